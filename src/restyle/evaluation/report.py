"""One report for every measurement: printed in Markdown, kept as JSON, shown as a page."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from restyle.evaluation.html import Page
from restyle.io.files import write_json
from restyle.io.tables import Table

Figure = tuple[Path, str]
"""An SVG or PNG file, and its caption."""


def this_command() -> str:
    """Return the command line of this process, which prints the figures again."""
    return shlex.join(["restyle", *sys.argv[1:]])


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
    """What a measurement says.

    Attributes:
        title: Its heading.
        results: The figures as JSON has them.
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

    def record(self) -> Any:
        """Return the figures as `results.json` keeps them."""
        return self.results

    def write(self, folder: Path) -> Report:
        """Write `report.html`, which stands alone, and `results.json`; return the report."""
        page = Page(self.title)
        for text in self.introduction:
            page.text(text)
        page.command(self.command)
        for section in self.sections:
            if section.title:
                page.heading(section.title)
            for text in filter(None, [section.note]):
                page.text(text)
            for table in section.tables:
                page.table(table)
            for text in section.prose:
                page.text(text)
            for path, caption in section.figures:
                page.picture(path, caption)
        if self.left_out:
            page.heading("Left out")
            page.table(Table(["file", "why"], list(self.left_out.items())))
        page.save(folder / "report.html")
        write_json(folder / "results.json", self.results)
        return self
