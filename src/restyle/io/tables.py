"""Tables with column formats: printed as text or Markdown, kept as JSON, shown as HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        title: Its heading.
        format: A format specification such as `.4f` or `,`; text is printed as it is.
    """

    title: str
    format: str = ""

    def show(self, value: Any) -> str:
        """Return a cell's text; nothing for None."""
        if value is None:
            return ""
        return value if isinstance(value, str) else format(value, self.format)


@dataclass(frozen=True)
class Table:
    """Rows of values under columns; each form is made from the same cells.

    Attributes:
        columns: The columns; a bare string is one without a format.
        rows: Values, one for each column; None leaves the cell empty.
    """

    columns: Sequence[Column | str]
    rows: Sequence[Sequence[Any]]

    def _columns(self) -> list[Column]:
        return [Column(c) if isinstance(c, str) else c for c in self.columns]

    def _cells(self) -> list[list[str]]:
        return [
            [column.show(value) for column, value in zip(self._columns(), row, strict=True)]
            for row in self.rows
        ]

    def text(self) -> str:
        """Return lines whose columns line up, for a terminal."""
        head = [column.title for column in self._columns()]
        return "\n".join("  ".join(row).rstrip() for row in _padded([head, *self._cells()]))

    def markdown(self) -> str:
        """Return a Markdown table whose columns line up."""
        head = [column.title for column in self._columns()]
        first, *rest = _padded([head, *self._cells()], least=3)
        rule = "|" + "|".join("-" * (len(cell) + 2) for cell in first) + "|"
        lines = ["| " + " | ".join(first) + " |", rule]
        return "\n".join(lines + ["| " + " | ".join(cells) + " |" for cells in rest])

    def html(self) -> str:
        """Return a `<table>`."""
        head = "".join(f"<th>{escape(column.title)}</th>" for column in self._columns())
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
            for cells in self._cells()
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def record(self) -> list[dict[str, Any]]:
        """Return the rows as JSON keeps them, by the columns' titles."""
        titles = [column.title for column in self._columns()]
        return [dict(zip(titles, row, strict=True)) for row in self.rows]


def _padded(rows: Sequence[Sequence[str]], least: int = 0) -> list[list[str]]:
    widths = [max(least, *map(len, column)) for column in zip(*rows, strict=True)]
    return [[cell.ljust(w) for cell, w in zip(row, widths, strict=True)] for row in rows]
