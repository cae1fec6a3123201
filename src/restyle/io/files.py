"""Files that are either whole or not there: atomic writes, JSON, hashes."""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any

_FULL = 1 << 16  # bytes; a disk with fewer to give is full
_TEMPORARY = re.compile(r"\..{1,40}\.[0-9a-f]{8}(\.[a-z0-9]+)?")
SURROGATES = "backslashreplace"
"""Encoding errors of file names that are not UTF-8: written as the escapes that JSON reads."""


def escaped(name: object) -> str:
    """Return a text in which what is not UTF-8 is escaped, such as bytes of a file's name."""
    return str(name).encode("utf-8", SURROGATES).decode()


def printable(text: str, keep: str = "") -> str:
    """Escape what a terminal must not be sent: control characters, and names that are not UTF-8.

    Args:
        text: Anything.
        keep: Characters that are sent as they are, such as ends of lines.
    """
    return "".join(c if c.isprintable() or c in keep else ascii(c)[1:-1] for c in text)


@contextmanager
def atomic_write(path: str | Path, exclusive: bool = False) -> Iterator[Path]:
    """Write a file so that no reader ever sees it half done.

    Yields a temporary path in the same folder (created where missing), with the suffix of `path`.
    When the block ends, what was written there is synced to the disk and renamed to `path`,
    replacing an older file. When the block raises, or is interrupted, the temporary file is
    removed and `path` stays as it was.

    Args:
        path: The file.
        exclusive: Replace nothing: of several processes that write `path`, on whatever machines,
            one succeeds. Needs a file system with hard links.

    Raises:
        FileExistsError: `exclusive` is set, and the file is there.
        OSError: The folder cannot be written, or the disk is full; it names the file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.stem[:40]}.{secrets.token_hex(4)}{path.suffix}"
    try:
        with _naming(path):
            temporary.touch(exist_ok=False)
            yield temporary
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
            if exclusive:
                os.link(temporary, path)  # unlike a rename, fails where there is a file already
                temporary.unlink()
            else:
                temporary.replace(path)
    except BaseException:
        with suppress(OSError):  # the first error is the one to be told
            temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file in errors of writing it, and a full disk in those of libraries."""
    try:
        yield
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if number is None and shutil.disk_usage(path.parent).free < _FULL:
            number = errno.ENOSPC
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(path)) from error


def remove_temporaries(folder: str | Path, of: str = "") -> None:
    """Remove what `atomic_write` left when its process was killed.

    Args:
        folder: Where to look, and in all folders below it.
        of: The name of a file, to remove what was to become it in the folder itself.
    """
    pattern = f".{escape(Path(of).stem[:40])}.*{escape(Path(of).suffix)}" if of else "**/.*"
    for path in Path(folder).glob(pattern):
        if _TEMPORARY.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def write_json(path: str | Path, value: Any) -> None:
    """Write a value as indented JSON, atomically.

    Raises:
        ValueError: The value holds NaN or infinity, which JSON cannot represent.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8", errors=SURROGATES)


def append_jsonl(path: str | Path, record: dict[str, Any]) -> None:
    """Append one record to a JSON-lines file, created with its folder where missing.

    The line goes out in one write. A last line that a killed process left unfinished is ended
    first, so that it spoils itself alone and never the record that follows.

    Raises:
        ValueError: The record holds NaN or infinity, which JSON cannot represent.
        OSError: It cannot be written; names the file.
    """
    line = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _naming(path), path.open("ab+") as stream:
        if stream.tell() > 0:
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":
                line = "\n" + line
        stream.write(line.encode("utf-8", SURROGATES))


def read_jsonl(path: str | Path) -> list[dict[str, Any]]:
    """Read the records of a JSON-lines file in order, passing over lines that were cut off.

    A missing file has no records.
    """
    path = Path(path)
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's content, 64 hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut, where folders can be synced."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def cache_folder() -> Path:
    """Return where downloads and what was made of them are kept."""
    named = os.environ.get("RESTYLE_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "restyle"
