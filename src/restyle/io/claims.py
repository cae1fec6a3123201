"""Whose folder is this: what its results depend on, and who is working in it."""

import json
import os
import platform
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from restyle.io.files import write_json


def claim(
    path: str | Path,
    settings: Mapping[str, Any],
    what: str,
    may_change: Container[str] = (),
    results: Iterable[str] = (),
) -> dict[str, Any]:
    """Tie a folder to settings, so that results of others are never mixed with its own.

    Args:
        path: The JSON file in the folder that keeps the settings; written where missing, and again
            where something changed that may change.
        settings: What the folder's results depend on; paths count as text, tuples as lists.
        what: What the folder holds, for the message, such as "a training run".
        may_change: Names of settings that need not be the same.
        results: Names of files and folders beside it that are to be written; where nobody has
            claimed the folder they must not be there.

    Returns:
        The settings that the file held before; empty if there was none.

    Raises:
        ValueError: The folder belongs to other settings, with both values of each, or holds files
            of somebody else.
    """
    path = Path(path)
    if not path.exists():
        check_own(path.parent, results)
    wanted = json.loads(json.dumps(settings, default=str))
    found = read_settings(path, what)
    differing = [
        f"{name} {wanted.get(name)!r} (found {found.get(name)!r})"
        for name in (*wanted, *(name for name in found if name not in wanted))
        if wanted.get(name) != found.get(name) and name not in may_change
    ]
    if found and differing:
        raise ValueError(
            f"{path.parent}: expected {what} with {', '.join(differing)}; choose another folder"
        )
    if found != wanted:
        write_json(path, wanted)
    return found


def check_own(folder: Path, results: Iterable[str]) -> None:
    """Refuse a folder with files where results are to be, which no earlier call wrote.

    Args:
        folder: Where nobody has written yet, as far as is known.
        results: Names of files and folders in it.

    Raises:
        ValueError: One of them is a file, or a folder with files.
    """
    for place in (folder / name for name in results):
        files = [place] if place.is_file() else (p for p in place.rglob("*") if p.is_file())
        if stranger := next(iter(files), None):
            raise ValueError(
                f"{folder}: expected a folder for results alone, got one with {stranger}, "
                "which no earlier call wrote; choose another --out"
            )


def check_new(out: Path, inputs: Sequence[str | Path], overwrite: bool) -> None:
    """Refuse to write over an input, and over any other file unless `overwrite` is set.

    Raises:
        ValueError: The file is there.
    """
    if any(os.path.realpath(path) == os.path.realpath(out) for path in inputs):
        raise ValueError(f"{out}: expected another file than the inputs, got one of them")
    if out.exists() and not overwrite:
        raise ValueError(f"{out}: expected a new file, got one that is there (see --overwrite)")


def read_settings(path: str | Path, what: str) -> dict[str, Any]:
    """Read the settings that a folder is tied to.

    Args:
        path: What `claim` wrote; where it is missing there are none.
        what: What the folder holds, for the message.

    Raises:
        ValueError: The file is damaged, or holds something else.
    """
    path = Path(path)
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected the settings of {what}, got: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected the settings of {what}, got {type(found).__name__}")
    return found


@contextmanager
def locked(path: str | Path, seconds: float = 0.0) -> Iterator[None]:
    """Hold a file's lock, which the system gives back however the process ends.

    The file is made where missing, and stays.

    Raises:
        ValueError: Another process still holds it after `seconds`.
    """
    from filelock import FileLock, Timeout

    lock, who = FileLock(path, timeout=seconds), "another process"
    try:
        lock.acquire()
    except Timeout:
        with suppress(OSError):
            who = Path(path).read_text(encoding="utf-8") or who
        raise ValueError(
            f"{Path(path).parent}: expected a folder that nobody works in, "
            f"got one in which {who} is at work"
        ) from None
    try:
        with suppress(OSError):  # some systems let nobody write into a file that is locked
            Path(path).write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")
        yield
    finally:
        lock.release()
