"""The Python of README and docs does what it says: it is run, file by file.

The blocks of a file share one namespace and run in a scratch folder beside the examples. What
cannot run here has a comment before it that readers of the page do not see:

    <!-- not run: needs downloaded networks -->
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>[^>]+?) -->\s*)?^```python\n(?P<code>.*?)^```$", re.M | re.S
)


def blocks(page: Path) -> list[tuple[int, str, str | None]]:
    """Each Python block: its first line's number, its code, and why it is not run, or None."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, found.start("code")) + 1, found["code"], found["reason"])
        for found in BLOCK.finditer(text)
    ]


def pages_with_python():
    return [
        pytest.param(page, id=page.relative_to(ROOT).as_posix())
        for page in PAGES
        if any(reason is None for _, _, reason in blocks(page))
    ]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", pages_with_python())
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__snippet__"}
    for line, code, reason in blocks(page):
        if reason is None:
            # Lines are numbered as in the page, so that a traceback leads there.
            exec(compile("\n" * (line - 1) + code, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_all_python_of_a_page_compiles(page):
    for line, code, _ in blocks(page):
        compile("\n" * (line - 1) + code, str(page), "exec")


def test_blocks_are_found_and_those_not_run_told_apart(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "a\n\n```python\nx = 1\n```\n\n<!-- not run: slow -->\n```python\nx = 2\n```\n\n"
        "```bash\nls\n```\n"
    )
    assert blocks(page) == [(4, "x = 1\n", None), (9, "x = 2\n", "slow")]
