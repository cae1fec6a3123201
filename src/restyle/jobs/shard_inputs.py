"""Images by the million: listed one after another, and read as bytes when a worker needs them."""

import errno
import os
import time
from collections.abc import Iterator, MutableMapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from restyle.io.arrow import pa, pq
from restyle.io.datasets import bytes_at, expanded, tar_pictures
from restyle.io.files import escaped
from restyle.io.images import SUFFIXES, ImageError
from restyle.jobs.shard_settings import PlanShards

_LARGEST = 2**28  # bytes of an image file
_COLUMNS = ("image", "bytes", "path")
_TRANSIENT = {errno.EIO, errno.ETIMEDOUT, errno.EAGAIN, errno.ECONNRESET, errno.ESTALE}
_TRIES = 4


class Listed(NamedTuple):
    """An image of a plan.

    Attributes:
        id: Tells it apart from all others.
        source: Its file, or the file that it lies in.
        place: The offset of its first byte in a tar file, or its row in a Parquet file.
        size: Its bytes in a tar file.
    """

    id: str
    source: Path
    place: int | None = None
    size: int | None = None

    @property
    def name(self) -> Path:
        """Its name in messages."""
        return self.source if self.place is None else self.source / self.id


def list_inputs(job: PlanShards, damaged: MutableMapping[str, str]) -> Iterator[Listed]:
    """Yield the images of an input in an order that is always the same, one at a time.

    Args:
        job: Says where they are, and which columns are theirs.
        damaged: Is told of files that could be listed in part, or not at all.

    Raises:
        ImageError: There are none.
        ValueError: A column is missing.
    """
    path = Path(job.input)
    suffix = path.suffix.lower()
    if shards := expanded(job.input):
        files, root = iter(shards), shards[0].parent
        suffix = shards[0].suffix.lower()
    elif path.is_dir():
        suffix, root = _kind(path, job.out), path
        endings = SUFFIXES if suffix == "image" else (suffix,)
        files = (file for file in _files(path, job.out) if file.suffix.lower() in endings)
    elif not path.is_file():
        raise ImageError(path, "a folder, a list, tar or Parquet files", "nothing of that name")
    else:
        files, root = iter([path]), path.parent
    if suffix == "image":
        for file in files:
            yield Listed(escaped(os.path.relpath(file, root)), _absolute(file))
        return
    listing = {".tar": _in_tar, ".parquet": _in_parquet, ".txt": _in_list}.get(suffix)
    if listing is None:
        raise ImageError(path, "a folder, a list (.txt), tar or Parquet files", f"'{suffix}'")
    for file in files:
        try:
            yield from listing(file, escaped(os.path.relpath(file, root)), job)
        except (ImageError, OSError, pa.ArrowInvalid) as error:
            damaged[escaped(file)] = " ".join(str(error).split())


def _kind(folder: Path, out: Path) -> str:
    """Tell what a folder is searched for: images, else tar files, else Parquet files."""
    others = set()
    for file in _files(folder, out):
        if file.suffix.lower() in SUFFIXES:
            return "image"
        others.add(file.suffix.lower())
    for suffix in (".tar", ".parquet"):
        if suffix in others:
            return suffix
    raise ImageError(folder, "images, tar or Parquet files", "a folder without any")


def _files(folder: Path, out: Path) -> Iterator[Path]:
    """Yield the files below a folder, hidden ones and a plan's own excepted."""
    own = os.path.abspath(out)
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if os.path.abspath(os.path.join(parent, f)) != own)
        if os.path.abspath(parent) != own:
            yield from (Path(parent, file) for file in sorted(files) if not file.startswith("."))


def _in_tar(file: Path, name: str, job: PlanShards) -> Iterator[Listed]:
    for member, offset, size in tar_pictures(file):
        yield Listed(escaped(f"{name}/{member}"), _absolute(file), offset, size)


def _in_list(file: Path, name: str, job: PlanShards) -> Iterator[Listed]:
    with file.open(encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            if line := line.rstrip("\r\n"):
                known, _, path = line.rpartition("\t")
                yield Listed(escaped(known or path), _absolute(file.parent / path))


def _in_parquet(file: Path, name: str, job: PlanShards) -> Iterator[Listed]:
    with pq.ParquetFile(file) as table:
        known = table.schema_arrow.names
        image_column(known, job.image_column, file)
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
            yield Listed(escaped(str(value)), _absolute(file), row)


def image_column(known: list[str], wanted: str | None, file: Path) -> str:
    """Return the column of a Parquet file that holds images.

    Raises:
        ValueError: There is none.
    """
    if wanted is None:
        wanted = next((name for name in _COLUMNS if name in known), _COLUMNS[0])
    return _require(wanted, known, file)


def _require(column: str, known: list[str], file: Path) -> str:
    if column not in known:
        raise ValueError(f"{file}: expected a column '{column}', got {', '.join(known)}")
    return column


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


class Reader:
    """Reads the bytes of listed images; fast where they are asked for in order."""

    def __init__(self, column: str | None = None) -> None:
        """Name the column of Parquet files that holds images; the usual one if None."""
        self._column = column
        self._table: _Rows | None = None

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
        if self._table is None or self._table.file != listed.source:
            self._table = _Rows(listed.source, self._column)
        value = self._table[listed.place]
        if isinstance(value, dict):  # as Hugging Face's data sets keep images
            value = value.get("bytes") or value.get("path")
        if isinstance(value, str):
            return _read_file(listed.source.parent / value)
        if not isinstance(value, bytes):
            raise ImageError(listed.name, "an image or a path", type(value).__name__)
        return value


class _Rows:
    """One column of a Parquet file, of which one group of rows is held in memory."""

    def __init__(self, file: Path, column: str | None) -> None:
        self.file = file
        self._table = pq.ParquetFile(file)
        self._column = image_column(self._table.schema_arrow.names, column, file)
        self._held, self._first = pa.chunked_array([], pa.null()), 0

    @cached_property
    def _starts(self) -> list[int]:
        metadata, starts = self._table.metadata, [0]
        for group in range(metadata.num_row_groups):
            starts.append(starts[-1] + metadata.row_group(group).num_rows)
        return starts

    def __getitem__(self, row: int) -> Any:
        if not self._first <= row < self._first + len(self._held):
            group = max(g for g, start in enumerate(self._starts[:-1]) if start <= row)
            self._held = self._table.read_row_group(group, columns=[self._column]).column(0)
            self._first = self._starts[group]
        return self._held[row - self._first].as_py()


def _read_file(path: Path) -> bytes:
    if path.exists() and not path.is_file():  # reading a pipe would wait for ever
        raise ImageError(path, "an image file", "something that is no file")
    if (size := path.stat().st_size) > _LARGEST:
        raise ImageError(path, f"at most {_LARGEST:,} bytes", f"{size:,}")
    return path.read_bytes()
