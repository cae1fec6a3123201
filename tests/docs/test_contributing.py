"""What CONTRIBUTING says about places is so."""

import re
from pathlib import Path

import pytest

import restyle

ROOT = Path(__file__).parents[2]
PACKAGE = Path(restyle.__file__).parent
TABLE = re.compile(r"\[start:where\] -->\n(.*?)<!--", re.DOTALL)


def rows() -> list[list[str]]:
    """The names in backticks of each row."""
    (table,) = TABLE.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    return [re.findall(r"`([^`]+)`", line) for line in table.splitlines()[2:]]


@pytest.mark.parametrize("names", rows(), ids=lambda names: names[0])
def test_places_are_there_and_hold_what_is_named(names):
    paths = [name for name in names if re.search(r"\.py$|/$", name)]
    found = [(ROOT if path.startswith("tests") else PACKAGE) / path for path in paths]
    assert found and all(path.exists() for path in found)
    files = [file for path in found for file in (path.rglob("*.py") if path.is_dir() else [path])]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    for name in set(names) - set(paths):
        if re.fullmatch(r"@?\w*[A-Z@]\w*", name):
            assert re.search(rf"\b{name.lstrip('@')}\b", text), name
