# Everything a developer runs. Needs make and Python 3.11 to 3.13; the rest goes into .venv.

BIN := .venv/bin
STAMP := .venv/.installed
TRY := build/try/index.html
RUNTIME := web/node_modules/.package-lock.json
EXPORT := build/portraits-onnx/model.json

.PHONY: help demo test coverage lint types docs bench clean

help:  ## list what there is
	@sed -n 's/^\([a-z]*\):.*## /make \1: /p' $(MAKEFILE_LIST)

demo: $(STAMP)  ## invert the bundled test portraits into demo/
	$(BIN)/restyle invert examples/portraits --out demo
	@echo
	@echo "Done. The step strips in $(CURDIR)/demo show, from left to right, the input, the average"
	@echo "image and the reconstruction after every step."

test: $(STAMP)  ## run the default tests (make test ARGS='-m slow' for others)
	$(BIN)/python -m pytest -n logical --maxprocesses 4 $(ARGS)

coverage: $(STAMP)  ## run the default and the slow tests, and print what they reach
	$(BIN)/python -m pytest -n logical --maxprocesses 4 \
	    -m 'not soak and not gpu and not network' --cov --cov-report term $(ARGS)

lint: $(STAMP)  ## check style, formatting and the order of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP)  ## check types
	$(BIN)/pyright

docs: $(STAMP) $(TRY)  ## build the documentation, and the page that needs no server, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(STAMP)  ## measure the speed of encoder, generator and a whole step
	$(BIN)/python benchmarks/speed.py $(ARGS)

clean:  ## remove the environment, demo results and caches
	rm -rf .venv web/node_modules demo site build dist .coverage .import_linter_cache .pytest_cache .ruff_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(TRY): $(STAMP) $(RUNTIME) $(EXPORT) $(wildcard web/*.*)
	$(BIN)/python web/build.py $(dir $(EXPORT)) $(@D)

$(EXPORT): $(STAMP) $(wildcard src/restyle/exporting/*.py src/restyle/weights/portraits/*)
	rm -rf $(@D)
	$(BIN)/restyle export portraits --out $(@D)

$(RUNTIME): web/package-lock.json
	@command -v npm >/dev/null || { \
	    echo "The page needs onnxruntime-web, which npm fetches; found no npm. Install it, with" \
	         "apt-get install npm or from nodejs.org." >&2; exit 1; }
	cd web && npm ci --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

# An environment without our stamp is not trusted to hold what is pinned: it is brought up to date.
$(STAMP): requirements.txt pyproject.toml
	@set -e; python=; \
	for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	    if $$candidate -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; \
	    then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "restyle needs Python 3.11, 3.12 or 3.13; found $$(python3 --version 2>&1 || echo none)." \
	         "Name one with: make PYTHON=/path/to/python3.11" >&2; exit 1; \
	fi; \
	echo "Installing what restyle needs into .venv ..."; \
	[ -x $(BIN)/pip ] || $$python -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)
