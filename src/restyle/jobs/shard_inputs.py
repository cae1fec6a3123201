"""Images by the million: listed one after another, and read as bytes when a worker needs them."""

import errno
import io
import os
import posixpath
import time
from bisect import bisect_right
from collections.abc import Iterator, MutableMapping
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from restyle.io.arrow import pa, pq
from restyle.io.entries import bytes_at, tar_pictures
from restyle.io.files import escaped
from restyle.io.images import SUFFIXES, ImageError
from restyle.io.parquet import image_column
from restyle.io.storage import (
    expanded,
    far_files,
    file_size,
    is_far,
    is_far_folder,
    open_file,
    read_range,
)
from restyle.jobs.shard_settings import PlanShards

_LARGEST = 2**28  # bytes of an image file
_TRANSIENT = {errno.EIO, errno.ETIMEDOUT, errno.EAGAIN, errno.ECONNRESET, errno.ESTALE}
_TRIES = 4
_HELD = 2  # groups of rows: of images that are read side by side some are of the next group


class Listed(NamedTuple):
    """An image of a plan.

    Attributes:
        id: Tells it apart from all others.
        source: Its file, or the file that it lies in; a path or a URL.
        place: The offset of its first byte in a tar file, or its row in a Parquet file.
        size: Its bytes in a tar file.
    """

    id: str
    source: str
    place: int | None = None
    size: int | None = None

    @property
    def name(self) -> str:
        """Its name in messages."""
        return self.source if self.place is None else f"{self.source}/{self.id}"


def list_inputs(job: PlanShards, damaged: MutableMapping[str, str]) -> Iterator[Listed]:
    """Yield the images of an input in an order that is always the same, one at a time.

    Args:
        job: Says where they are, and which columns are theirs.
        damaged: Is told of files that could be listed in part, or not at all.

    Raises:
        ImageError: There are none.
        ValueError: A column is missing.
    """
    place = job.input if is_far(job.input) else os.path.abspath(job.input)
    suffix, root = _suffix(place), place
    if not os.path.exists(place) and (shards := expanded(place)):
        suffix, root = _suffix(shards[0]), _parent(shards[0])
        names = (shard.removeprefix(root).lstrip("/") for shard in shards)
    elif is_far_folder(place) if is_far(place) else os.path.isdir(place):
        suffix = _kind(place, job.out)
        endings = SUFFIXES if suffix == "image" else (suffix,)
        names = (name for name in _files(place, job.out) if _suffix(name) in endings)
    elif not is_far(place) and not os.path.isfile(place):
        raise ImageError(
            job.input, "a folder, a list, tar or Parquet files", "nothing of that name"
        )
    else:
        root, name = _parent(place), place
        names = iter([place.removeprefix(root).lstrip("/")])
    if suffix == "image":
        for name in names:
            yield Listed(escaped(name), _joined(root, name))
        return
    listing = {".tar": _in_tar, ".parquet": _in_parquet, ".txt": _in_list}.get(suffix)
    if listing is None:
        expected = "a folder, a list (.txt), tar or Parquet files"
        raise ImageError(job.input, expected, f"'{suffix}'")
    for name in names:
        file = _joined(root, name)
        try:
            yield from listing(file, escaped(name), job)
        except (ImageError, OSError, pa.ArrowInvalid) as error:
            damaged[escaped(file)] = " ".join(str(error).split())


def _kind(folder: str, out: Path) -> str:
    """Tell what a folder is searched for: images, else tar files, else Parquet files."""
    others = set()
    for name in _files(folder, out):
        if (suffix := _suffix(name)) in SUFFIXES:
            return "image"
        others.add(suffix)
    for suffix in (".tar", ".parquet"):
        if suffix in others:
            return suffix
    raise ImageError(folder, "images, tar or Parquet files", "a folder without any")


def _files(folder: str, out: Path) -> Iterator[str]:
    """Yield the files below a folder, relative to it, hidden ones and a plan's own excepted."""
    if is_far(folder):
        yield from (name for name in far_files(folder) if not _base(name).startswith("."))
        return
    own = os.path.abspath(out)
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if os.path.join(parent, name) != own)
        below = parent[len(folder) :].lstrip(os.sep)
        if parent != own:
            for name in sorted(files):
                if not name.startswith("."):
                    yield f"{below}/{name}" if below else name


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _suffix(name: str) -> str:
    return posixpath.splitext(_base(name))[1].lower()


def _parent(place: str) -> str:
    return posixpath.dirname(place) if is_far(place) else os.path.dirname(place)


def _joined(root: str, name: str) -> str:
    """Return where a name leads to, seen from a folder."""
    if is_far(name):
        return name
    return posixpath.join(root, name) if is_far(root) else os.path.abspath(os.path.join(root, name))


def _in_tar(file: str, name: str, job: PlanShards) -> Iterator[Listed]:
    for member, offset, size in tar_pictures(file):
        yield Listed(escaped(f"{name}/{member}"), file, offset, size)


def _in_list(file: str, name: str, job: PlanShards) -> Iterator[Listed]:
    root = _parent(file)
    with io.TextIOWrapper(open_file(file), "utf-8", "surrogateescape", "") as lines:
        for line in lines:
            if line := line.rstrip("\r\n"):
                known, _, path = line.rpartition("\t")
                yield Listed(escaped(known or path), _joined(root, path))


def _in_parquet(file: str, name: str, job: PlanShards) -> Iterator[Listed]:
    with open_file(file) as stream, pq.ParquetFile(stream) as table:
        known = table.schema_arrow.names
        _image_column(table, job.image_column, file)
        column = job.id_column or ("id" if "id" in known else None)
        if column is None:
            ids = (f"{name}/{row}" for row in range(table.metadata.num_rows))
        else:
            _require(column, known, file)
            batches = table.iter_batches(columns=[column])
            ids = (value for batch in batches for value in batch.column(0).to_pylist())
        for row, value in enumerate(ids):
            if value is None:
                raise ValueError(f"{file}: expected an id in '{column}', got none in row {row}")
            yield Listed(escaped(str(value)), file, row)


def _image_column(table: pq.ParquetFile, wanted: str | None, file: str) -> str:
    return _require(wanted, table.schema_arrow.names, file) if wanted else image_column(table, file)


def _require(column: str, known: list[str], file: str) -> str:
    if column not in known:
        raise ValueError(f"{file}: expected a column '{column}', got {', '.join(known)}")
    return column


class Reader:
    """Reads the bytes of listed images, in any thread; fast where they are asked for in order."""

    def __init__(self, column: str | None = None) -> None:
        """Name the column of Parquet files that holds images; the usual one if None."""
        self._column, self._lock = column, Lock()
        self._table = lru_cache(_HELD)(self._open)
        self._group = lru_cache(_HELD)(self._load)

    def __call__(self, listed: Listed) -> bytes:
        """Read an image's bytes; storage that fails for a moment is asked again.

        Raises:
            ImageError: They cannot be read.
        """
        for attempt in range(_TRIES):
            try:
                return self._read(listed)
            except OSError as error:
                if error.errno not in _TRANSIENT or attempt == _TRIES - 1:
                    found = error.strerror or str(error)
                    raise ImageError(listed.name, "a readable file", found) from error
                time.sleep(0.1 * 2**attempt)
            except pa.ArrowException as error:
                raise ImageError(listed.name, "an intact Parquet file", str(error)) from error
        raise AssertionError("unreachable")

    def _read(self, listed: Listed) -> bytes:
        if listed.place is None:
            return _read_file(listed.source)
        if listed.size is not None:
            return bytes_at(listed.source, listed.place, listed.size, listed.name)
        value = self._value(listed.source, listed.place)
        if isinstance(value, dict):  # as Hugging Face's data sets keep images
            value = value.get("bytes") or value.get("path")
        if isinstance(value, str):
            return _read_file(_joined(_parent(listed.source), value))
        if not isinstance(value, bytes):
            raise ImageError(listed.name, "an image or a path", type(value).__name__)
        return value

    def _value(self, file: str, row: int) -> Any:
        with self._lock:
            _, _, starts = self._table(file)
            group = bisect_right(starts, row) - 1
            return self._group(file, group)[row - starts[group]].as_py()

    def _open(self, file: str) -> tuple[pq.ParquetFile, str, list[int]]:
        """Open a Parquet file: the column with images, and the first row of each group."""
        table, starts = pq.ParquetFile(open_file(file)), [0]
        for group in range(table.metadata.num_row_groups - 1):
            starts.append(starts[-1] + table.metadata.row_group(group).num_rows)
        return table, _image_column(table, self._column, file), starts

    def _load(self, file: str, group: int) -> pa.ChunkedArray:
        table, column, _ = self._table(file)
        return table.read_row_group(group, columns=[column]).column(0)


def _read_file(place: str) -> bytes:
    if not is_far(place) and os.path.exists(place) and not os.path.isfile(place):
        raise ImageError(place, "an image file", "something that is no file")  # a pipe never ends
    size = _LARGEST if is_far(place) else file_size(place)  # to ask for it takes a request
    content = read_range(place, 0, min(size, _LARGEST) + 1)
    if len(content) > _LARGEST:
        raise ImageError(place, f"at most {_LARGEST:,} bytes", "more")
    return content
