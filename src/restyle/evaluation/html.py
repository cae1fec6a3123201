"""Reports as one HTML file that needs no other file and no network."""

from __future__ import annotations

import base64
import html
from pathlib import Path

from restyle.io.files import atomic_write
from restyle.io.tables import Table

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


class Page:
    """A report that is built from top to bottom."""

    def __init__(self, title: str):
        """Begin with a title."""
        self.title = title
        self._parts = [f"<h1>{html.escape(title)}</h1>"]

    def heading(self, text: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{html.escape(text)}</h2>")

    def text(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(f"<p>{html.escape(text)}</p>")

    def command(self, text: str) -> None:
        """Say which command prints these figures again."""
        self._parts.append(f"<p>Printed again by <code>{html.escape(text)}</code></p>")

    def table(self, table: Table) -> None:
        """Add a table; one of very many rows is closed until the reader opens it."""
        text = table.html()
        if len(table.rows) > MANY_ROWS:
            text = f"<details><summary>{len(table.rows)} rows</summary>{text}</details>"
        self._parts.append(text)

    def picture(self, path: Path, caption: str) -> None:
        """Add an SVG or PNG file, which becomes part of the page."""
        data = base64.b64encode(Path(path).read_bytes()).decode("ascii")
        caption = html.escape(caption)
        self._parts.append(
            f'<figure><img alt="{caption}" src="data:{TYPES[path.suffix]};base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )

    def save(self, path: Path) -> None:
        """Write the page."""
        body = "\n".join(self._parts)
        with atomic_write(path) as temporary:
            temporary.write_text(
                f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
                f"<title>{html.escape(self.title)}</title>\n<style>{STYLE}</style>\n</head>\n"
                f"<body>\n{body}\n</body>\n</html>\n",
                encoding="utf-8",
            )
