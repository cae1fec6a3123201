"""One report for every measurement: printed in Markdown, kept as JSON, shown as one HTML file."""

import base64
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from restyle.io.files import atomic_write, write_json
from restyle.io.tables import Column, Table
from restyle.metrics.intervals import Interval

Figure = tuple[Path, str]
"""An SVG or PNG file, and its caption."""

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-size: 0.85rem; margin: 1rem 0; display: block;
        overflow-x: auto; }
th, td { border-bottom: 1px solid #ccc; padding: 0.25rem 0.6rem; text-align: left; }
img { max-width: 100%; }
code { background: #eee; padding: 0.1rem 0.3rem; }
figcaption { font-size: 0.85rem; color: #555; }
"""
MANY_ROWS = 40
TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


def this_command() -> str:
    """Return the command line of this process, which prints the figures again."""
    return shlex.join(["restyle", *sys.argv[1:]])


def tabulate(columns: Mapping[str, Column | str], records: Iterable[Mapping[str, Any]]) -> Table:
    """Return a table with a row for each record, as JSON keeps them.

    Args:
        columns: The columns by the records' keys.
        records: Values; intervals are dictionaries, and truth is said in words.
    """
    rows = [[_cell(record.get(key)) for key in columns] for record in records]
    return Table(list(columns.values()), rows)


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return Interval(**value) if isinstance(value, dict) else value


@dataclass(frozen=True)
class Section:
    """One part of a report.

    Attributes:
        title: Its heading; none where empty.
        tables: What is printed and shown.
        note: What helps to read the page, which is not printed.
        prose: Sentences that are printed as well as shown, after the tables.
        figures: Pictures of the page.
    """

    title: str = ""
    tables: Sequence[Table] = ()
    note: str = ""
    prose: Sequence[str] = ()
    figures: Sequence[Figure] = ()


@dataclass(frozen=True)
class Report:
    """The outcome of a measurement.

    Attributes:
        title: Its heading.
        results: The figures as `results.json` keeps them.
        sections: In their order.
        introduction: Paragraphs before them.
        left_out: The files that could not be measured, and why.
        command: What prints it again.
    """

    title: str
    results: Any
    sections: Sequence[Section]
    introduction: Sequence[str] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    command: str = field(default_factory=this_command)

    def text(self) -> str:
        """Return what is printed: prose and Markdown tables."""
        parts = [*self.introduction]
        for section in self.sections:
            if section.tables or section.prose:
                parts += [section.title, *(t.markdown() for t in section.tables), *section.prose]
        parts += [f"Left out: {name}: {why}" for name, why in self.left_out.items()]
        return "\n\n".join(part for part in parts if part)

    def html(self) -> str:
        """Return a page that needs no other file and no network."""
        body = "\n".join(self._parts())
        return (
            f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f"<title>{escape(self.title)}</title>\n<style>{STYLE}</style>\n</head>\n"
            f"<body>\n{body}\n</body>\n</html>\n"
        )

    def _parts(self) -> Iterator[str]:
        yield f"<h1>{escape(self.title)}</h1>"
        yield from map(_paragraph, self.introduction)
        yield f"<p>Printed again by <code>{escape(self.command)}</code></p>"
        for section in self.sections:
            if section.title:
                yield f"<h2>{escape(section.title)}</h2>"
            yield from map(_paragraph, filter(None, [section.note]))
            yield from map(_closed_if_long, section.tables)
            yield from map(_paragraph, section.prose)
            yield from (_figure(*figure) for figure in section.figures)
        if self.left_out:
            yield "<h2>Left out</h2>"
            yield _closed_if_long(Table(["file", "why"], list(self.left_out.items())))

    def write(self, folder: Path) -> "Report":
        """Write `report.html`, which stands alone, and `results.json`; return the report."""
        with atomic_write(folder / "report.html") as temporary:
            temporary.write_text(self.html(), encoding="utf-8")
        write_json(folder / "results.json", self.results)
        return self


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _closed_if_long(table: Table) -> str:
    text, rows = table.html(), len(table.rows)
    if rows <= MANY_ROWS:
        return text
    return f"<details><summary>{rows} rows</summary>{text}</details>"


def _figure(path: Path, caption: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    caption = escape(caption)
    return (
        f'<figure><img alt="{caption}" src="data:{TYPES[path.suffix]};base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )
