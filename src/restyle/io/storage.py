"""Files here and far away: local paths, and what fsspec opens (`s3://`, `gs://`, `hf://`)."""

import glob
import io
import os
import re
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, BinaryIO, TypeVar

from restyle.io.imports import needed

T = TypeVar("T")

_TRIES = 6
_BUFFER = 2**20  # bytes that are asked for at least


def is_far(place: str) -> bool:
    """Return True for a URL."""
    return "://" in place


def open_file(place: str) -> BinaryIO:
    """Open a file for reading.

    Raises:
        OSError: It is not there, or cannot be read.
    """
    if not is_far(place):
        return open(place, "rb")
    return io.BufferedReader(_Stream(place), _BUFFER)


def read_range(place: str, start: int, size: int) -> bytes:
    """Read some bytes of a file, in one request; fewer where it ends.

    Raises:
        OSError: It is not there, or cannot be read.
    """
    if not is_far(place):
        with open(place, "rb") as stream:
            stream.seek(start)
            return stream.read(size)
    files, path = _far(place)
    return _again(lambda: files.cat_file(path, start=start, end=start + size))


def file_size(place: str) -> int:
    """Return a file's bytes.

    Raises:
        OSError: It is not there.
    """
    if not is_far(place):
        return os.stat(place).st_size
    files, path = _far(place)
    return _again(lambda: files.size(path))


def expanded(pattern: str) -> list[str]:
    """Return the files of a pattern: by number, `shards-{000..127}.tar`, or `shards-*.tar`.

    Numbers are taken as they are; none of another text.
    """
    if (numbers := re.search(r"\{(\d+)\.\.(\d+)\}", pattern)) is not None:
        start, end = pattern[: numbers.start()], pattern[numbers.end() :]
        width, places = len(numbers[1]), range(int(numbers[1]), int(numbers[2]) + 1)
        return [f"{start}{number:0{width}}{end}" for number in places]
    if "*" not in pattern:
        return []
    if not is_far(pattern):
        return sorted(glob.glob(pattern))
    files, path = _far(pattern)
    return sorted(files.unstrip_protocol(found) for found in _again(lambda: files.glob(path)))


def in_folder(folder: str, suffix: str) -> list[str]:
    """Return the files of a folder whose names end so."""
    return expanded(f"{folder.rstrip('/') if is_far(folder) else glob.escape(folder)}/*{suffix}")


def far_files(folder: str) -> Iterator[str]:
    """Yield the files below a far folder, relative to it, in an order that is always the same.

    Holds one folder's list at a time.

    Raises:
        OSError: A folder is not there, or cannot be read.
    """
    files, top = _far(folder)

    def below(path: str) -> Iterator[str]:
        found = _again(lambda: files.ls(path, detail=True))
        files.invalidate_cache(path)
        names = {one["name"].rstrip("/"): one["type"] for one in found}
        names.pop(path.rstrip("/"), None)  # the folder itself, where it is an object of its own
        for wanted in ("file", "directory"):
            for name in sorted(names):
                if names[name] == wanted == "file":
                    yield name[len(top) :].lstrip("/")
                elif names[name] == wanted:
                    yield from below(name)

    return below(top)


def is_far_folder(place: str) -> bool:
    """Return True if there are files below a URL.

    Raises:
        OSError: It cannot be read.
    """
    files, path = _far(place)
    try:
        return _again(lambda: files.info(path))["type"] == "directory"
    except FileNotFoundError:
        return False


class _Stream(io.RawIOBase):
    """A far file, of which each read is a request of its own, repeated where it fails."""

    def __init__(self, place: str) -> None:
        self._place, self._at, self._size = place, 0, file_size(place)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        wanted = max(0, min(len(buffer), self._size - self._at))
        found = read_range(self._place, self._at, wanted) if wanted else b""
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)


def _far(place: str) -> tuple[Any, str]:
    protocol, _, path = place.partition("://")
    files = _storage(f"{protocol}://{path.partition('/')[0]}", os.getpid())
    return files, files._strip_protocol(place)


@lru_cache(maxsize=8)
def _storage(root: str, _process: int) -> Any:
    """Open a store, once for all threads: fsspec would keep one for each that ever was."""
    with needed("shards", f"{root} is read by fsspec"):
        from fsspec.core import url_to_fs
    try:
        return url_to_fs(root)[0]
    except (ImportError, ValueError) as error:  # such as: install s3fs to access S3
        raise ImportError(f"{root}: {error}") from error


def _again(call: Callable[[], T]) -> T:
    """Call what asks far storage, again where it fails for a moment."""
    for attempt in range(_TRIES):
        try:
            return call()
        except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError):
            raise
        except Exception as error:  # stores' packages raise their own, too
            if attempt == _TRIES - 1:
                raise error if isinstance(error, OSError) else OSError(str(error)) from error
            time.sleep(0.1 * 2**attempt)
    raise AssertionError("unreachable")
