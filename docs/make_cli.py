"""Write the command line's manual: `python docs/make_cli.py > docs/cli.md`."""

from collections.abc import Iterator

from cyclopts import App
from rich.console import Console

from restyle.cli import app

WIDTH = 92  # of the pages, in characters

HEAD = """\
# The command line

What `--help` says, command by command. This page is written by `python docs/make_cli.py`.

Errors are one line on stderr: which file or option, what was expected, what was found. Exit codes:
0, all went well; 1, something failed on the way (of several inputs, at least one); 2, the command
could not be carried out as it was given, and nothing was written; 130, interrupted. With the
variable `RESTYLE_TRACEBACK` set, errors show where they come from.
"""


def commands(root: App, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The names of a program's commands, outer ones first."""
    yield path
    for name in sorted(name for name in root if not name.startswith("-")):
        yield from commands(root[name], (*path, name))


def manual() -> str:
    """The help of every command, as Markdown."""
    pages = [HEAD]
    for path in commands(app):
        console = Console(width=WIDTH, color_system=None, force_terminal=False, record=True)
        with console.capture() as capture:
            app.help_print(list(path), console=console)
        text = "\n".join(line.rstrip() for line in capture.get().strip().splitlines())
        pages.append(f"## {' '.join(('restyle', *path))}\n\n```text\n{text}\n```\n")
    return "\n".join(pages)


if __name__ == "__main__":
    print(manual(), end="")
