"""Names that are imported when they are used, and errors that say which extra is missing."""

import pytest

from restyle.io.imports import needed, on_first_use


def test_names_are_found_in_their_modules():
    find = on_first_use("restyle", {"Column": "io.tables", "domains": ""})
    assert find("Column").__module__ == "restyle.io.tables"
    assert find("domains").__name__ == "restyle.domains"
    with pytest.raises(AttributeError, match="module 'restyle' has no attribute 'Table'"):
        find("Table")


def test_a_missing_package_is_answered_with_its_extra():
    with pytest.raises(ImportError, match=r"plots need it: pip install 'restyle\[evaluate\]'"):
        with needed("evaluate", "plots need it"):
            import there_is_no_such_package  # noqa: F401  # pyright: ignore
