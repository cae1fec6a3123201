"""The plan of the house, enforced on the source itself."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "restyle"
MODULES = sorted(SOURCE.rglob("*.py"))

PICKLE_READER = SOURCE / "importers" / "nvidia.py"
UNPICKLERS = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def label(path):
    return path.relative_to(SOURCE).as_posix()


def imported(path):
    """Full names of what a module imports, wherever in it, relative imports resolved."""
    package = ("restyle", *path.relative_to(SOURCE).parent.parts)
    names = []
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names += [f"{module}.{alias.name}" for alias in node.names]
    return names


def test_the_method_is_one_small_module():
    path = SOURCE / "refine.py"
    assert path.read_text(encoding="utf-8").count("\n") <= 120
    roots = {name.split(".")[0] for name in imported(path)}
    assert roots - {"torch"} <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_modules_stay_short(path):
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= 400, f"{label(path)} has {lines} lines"


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_no_file_can_run_code(path):
    names = {"torch.load"} | ({"load"} if "torch.load" in imported(path) else set())
    for node in ast.walk(parse(path)):
        if not isinstance(node, ast.Call):
            continue
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        where = f"{label(path)}:{node.lineno}"
        if ast.unparse(node.func) in names:
            assert given.get("weights_only") == "True", f"{where}: torch.load without its guard"
        assert given.get("allow_pickle", "False") == "False", f"{where}: allow_pickle"
    readers = {name.split(".")[0] for name in imported(path)} & UNPICKLERS
    assert not readers or path == PICKLE_READER, f"{label(path)} imports {sorted(readers)}"


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_no_torchvision(path):
    assert "torchvision" not in {name.split(".")[0] for name in imported(path)}


LIGHT = ["__init__.py", "cli/__init__.py", "io/files.py", "training/config.py"]
LIGHT += ["hub/catalogue.py", "hub/downloads.py"]


@pytest.mark.parametrize("name", LIGHT)
def test_light_modules_do_not_import_torch(name):
    parts = Path(name).with_suffix("").parts
    module = ".".join(part for part in ("restyle", *parts) if part != "__init__")
    heavy = ("torch", "scipy", "skia", "sklearn", "matplotlib")
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stdout + run.stderr
