"""What holds for all names, settings, tables and contents."""

import json
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restyle.io.claims import claim
from restyle.io.files import atomic_write
from restyle.io.images import list_images
from restyle.io.tables import Column, Table

words = st.text("abcxyz", min_size=1, max_size=4)
values = st.one_of(st.none(), st.booleans(), st.integers(), words, st.lists(st.integers()))
mappings = st.dictionaries(words, values, min_size=1, max_size=5)
cells = st.text("ab|<&\"' 1", max_size=6)


@given(st.sets(st.integers(0, 9999), min_size=1, max_size=12))
@settings(max_examples=20)
def test_numbers_in_names_are_in_order_and_each_file_is_listed_once(numbers):
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            (Path(folder) / f"image{number}.png").touch()
        files = list_images([folder, Path(folder) / f"image{min(numbers)}.png"])
    found = [int(re.findall(r"\d+", file.name.name)[0]) for file in files]
    assert found == sorted(numbers)


@given(mappings)
@settings(max_examples=20)
def test_a_claim_repeated_is_granted(wanted):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "settings.json"
        assert claim(path, wanted, "a run") == {}
        assert claim(path, wanted, "a run") == wanted


@given(mappings, mappings)
@settings(max_examples=20)
def test_a_folder_of_other_settings_is_refused_and_kept(first, second):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "settings.json"
        claim(path, first, "a run")
        differing = {k for k in first | second if first.get(k) != second.get(k)}
        if differing:
            with pytest.raises(ValueError, match="choose another folder"):
                claim(path, second, "a run")
            assert json.loads(path.read_text()) == first
        assert claim(path, second, "a run", may_change=differing) == first


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=5))
def test_a_table_holds_every_cell_in_each_form(rows):
    table = Table(["left", Column("right")], rows)
    lines = table.markdown().splitlines()
    assert len(lines) == len(rows) + 2 and len({len(line) for line in lines}) == 1
    assert table.html().count("<td>") == 2 * len(rows)
    assert [tuple(row.values()) for row in table.record()] == rows
    assert len(table.text().split("\n")) == len(rows) + 1


@given(st.floats(-1e6, 1e6), st.integers(0, 6))
def test_a_column_formats_as_python_does(value, digits):
    table = Table([Column("x", f".{digits}f")], [[value]])
    assert table.text().splitlines()[1].strip() == f"{value:.{digits}f}"


@given(st.binary(max_size=64), st.binary(max_size=64), st.booleans())
@settings(max_examples=20)
def test_a_file_is_the_old_or_the_new_one_and_nothing_is_left(old, new, fails):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.bin"
        path.write_bytes(old)
        try:
            with atomic_write(path) as temporary:
                temporary.write_bytes(new)
                assert path.read_bytes() == old
                if fails:
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
        assert path.read_bytes() == (old if fails else new)
        assert [file.name for file in Path(folder).iterdir()] == ["file.bin"]
