"""A table says the same in each form."""

from hypothesis import given
from hypothesis import strategies as st

from restyle.io.tables import Column, Table

cells = st.text("ab|<&\"' 1", max_size=6)


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
