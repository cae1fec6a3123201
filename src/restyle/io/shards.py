"""Shards: the pictures of tar files (WebDataset's) and of Parquet files, by number.

Shards are listed once and then read at any place, rather than streamed from front to back, so that
a resumed training goes on with exactly the pictures that come next, however many processes share
them.
"""

import hashlib
import io
import tarfile
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from restyle.io import storage
from restyle.io.entries import Entry, bytes_at, check_size, tar_pictures
from restyle.io.files import atomic_write
from restyle.io.images import SUFFIXES, ImageError, decode_image, read_image

BUFFER = 2**28
"""Bytes of Parquet's groups of rows that are shuffled together."""

_HEADER = 512  # bytes before each picture in a tar file
_STAMPED = 4096  # bytes of each end of a shard that tell whether it is another one
_LISTING = 8  # shards that are listed at once


def open_shards(files: list[str], index: Path | None = None, fixed: bool = False) -> "Shards":
    """List the pictures of tar or Parquet files.

    Args:
        files: The files, all of one kind.
        index: Where the list is kept, so that it is made once.
        fixed: The files must be those of the index, if there is one; else it is made anew.

    Raises:
        ImageError: There are no pictures, or a file is damaged.
        ValueError: No column of a Parquet file holds images, or the files have changed.
        OSError: A file cannot be read.
    """
    kind = ParquetShards if files[0].lower().endswith(".parquet") else TarShards
    with ThreadPoolExecutor(_LISTING) as threads:
        stamps = list(threads.map(_stamp, files)) if index else []
        table = _kept(files, stamps, index, fixed) if index and index.exists() else None
        if table is None:
            table = _joined(list(threads.map(kind.listed, files)))
            if not table["counts"].sum():
                raise ImageError(files[0], f"images ({', '.join(SUFFIXES)})", "shards without any")
            if index:
                with atomic_write(index) as temporary:
                    np.savez(temporary, stamps=np.array(stamps), **table)  # pyright: ignore
    return kind(files, table)


def _joined(listed: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Join the tables of files, and add which file each of their runs is in."""
    table = {name: np.concatenate([one[name] for one in listed]) for name in listed[0]}
    table["files"] = np.repeat(np.arange(len(listed)), [len(one["counts"]) for one in listed])
    return table


def _stamp(file: str) -> str:
    """Return what tells a shard from another of its name: its size and a hash of its ends."""
    size = storage.file_size(file)
    ends = (storage.read_range(file, at, _STAMPED) for at in (0, max(0, size - _STAMPED)))
    digest = hashlib.blake2b(b"".join(ends), digest_size=8)
    return f"{PurePosixPath(file).name} of {size:,} bytes ({digest.hexdigest()})"


def _kept(
    files: list[str], stamps: list[str], index: Path, fixed: bool
) -> dict[str, np.ndarray] | None:
    """Read the list of shards that was kept; None if it is of others, and may be."""
    try:
        with np.load(index) as kept:  # runs no code
            table = dict(kept)
        before = table.pop("stamps").tolist()
    except Exception as error:  # a damaged file fails in as many ways as it can be damaged
        if fixed:
            raise ValueError(f"{index}: expected a list of shards, got: {error}") from error
        return None
    if before == stamps:
        return table
    if not fixed:
        return None
    expected, found, file = f"{len(before)} shards", str(len(stamps)), files[0]
    if len(before) == len(stamps):
        at = next(at for at, stamp in enumerate(stamps) if stamp != before[at])
        expected, found, file = before[at], stamps[at], files[at]
    raise ValueError(f"{file}: expected {expected}, as when the training began, got {found}")


@dataclass(frozen=True, eq=False)
class Shards(Sequence[Entry]):
    """The pictures of some files, by number.

    Attributes:
        files: The files.
        table: Arrays by name: `counts`, the pictures of each run of them that is read together or
            lies in one file; `files`, the number of that file; and what else is known.
    """

    files: Sequence[str]
    table: dict[str, np.ndarray]

    @cached_property
    def ends(self) -> np.ndarray:
        """How many pictures there are up to the end of each run."""
        return np.cumsum(self.table["counts"])

    def __len__(self) -> int:
        """The number of pictures."""
        return int(self.ends[-1])

    def _locate(self, at: int) -> tuple[int, str]:
        """Return the number of a picture's run, and the file."""
        run = int(np.searchsorted(self.ends, at, side="right"))
        return run, self.files[int(self.table["files"][run])]


class TarShards(Shards):
    """The pictures of tar files, each of them read by one request, in any order.

    Holds 32 bytes a picture and its name, which forked processes share. Tar files have no list of
    their members: to list them is to go through them, and far ones are downloaded for it once.
    """

    @staticmethod
    def listed(file: str) -> dict[str, np.ndarray]:
        """List a file's pictures."""
        names, numbers = bytearray(), array("q")
        for name, offset, size in tar_pictures(file):
            encoded = name.encode("utf-8", "surrogateescape")
            names += encoded
            numbers.extend((len(encoded), offset, size))
        columns = np.array(numbers, np.int64).reshape(-1, 3).T.copy()
        return {
            "counts": np.array([columns.shape[1]]),
            "names": np.frombuffer(bytes(names), np.uint8),
            **dict(zip(("lengths", "offsets", "sizes"), columns, strict=True)),
        }

    @cached_property
    def _name_ends(self) -> np.ndarray:
        return np.cumsum(self.table["lengths"])

    def __getitem__(self, at: int) -> Entry:  # pyright: ignore - a slice is not asked for
        """Return a picture to read."""
        _, file = self._locate(at)
        length, offset, size = (
            int(self.table[name][at]) for name in ("lengths", "offsets", "sizes")
        )
        end = int(self._name_ends[at])
        name = self.table["names"][end - length : end].tobytes().decode("utf-8", "surrogateescape")
        shown = f"{file}/{name}"
        read = partial(_read_member, file, offset, size, shown)
        return Entry(f"{PurePosixPath(file).name}/{name}", Path(shown), read)


def _read_member(file: str, offset: int, size: int, path: str) -> Image.Image:
    """Read a picture with its header, which tells whether it is still what was listed."""
    check_size(size, path)
    content = storage.read_range(file, offset - _HEADER, _HEADER + size)
    try:
        header = tarfile.TarInfo.frombuf(content[:_HEADER], "utf-8", "surrogateescape")
        same = header.size == size and len(content) == _HEADER + size
    except tarfile.TarError:
        same = False
    if not same:
        expected = f"{size:,} bytes at byte {offset:,}, as it was listed"
        raise ValueError(f"{path}: expected {expected}, got something else: the shard has changed")
    return decode_image(io.BytesIO(content[_HEADER:]), path)


class ParquetShards(Shards):
    """The pictures of Parquet files, read by whole groups of rows.

    Of each group it holds three numbers, and of the pictures those of the last groups that were
    read: twice `BUFFER` bytes and the largest group. So they are to be asked for in an order that
    stays for a while among groups of `BUFFER` bytes. Each process that reads does so for itself.
    """

    @staticmethod
    def listed(file: str) -> dict[str, np.ndarray]:
        """List a file's groups of rows."""
        from restyle.io.parquet import row_groups

        found = np.array(list(row_groups(file)), np.int64).reshape(-1, 2)
        return {"counts": found[:, 0], "bytes": found[:, 1]}

    @cached_property
    def _held(self) -> "OrderedDict[int, Any]":
        return OrderedDict()

    def __getitem__(self, at: int) -> Entry:  # pyright: ignore - a slice is not asked for
        """Return a picture to read."""
        run, file = self._locate(at)
        group = run - int(np.searchsorted(self.table["files"], self.table["files"][run]))
        row = at - int(self.ends[run] - self.table["counts"][run])
        name = f"{group}-{row}"
        shown = f"{file}/{name}"
        read = partial(self._read, run, file, group, row, shown)
        return Entry(f"{PurePosixPath(file).name}/{name}", Path(shown), read)

    def _read(self, run: int, file: str, group: int, row: int, path: str) -> Image.Image:
        rows = self._group(run, file, group)
        if isinstance(rows, ImageError):
            raise ImageError(path, rows.expected, rows.found)
        value = rows[row].as_py()
        if isinstance(value, dict):  # as Hugging Face's data sets keep images
            value = value.get("bytes") or value.get("path")
        if isinstance(value, str) and not storage.is_far(file):
            return read_image(Path(file).parent / value)
        if isinstance(value, str):
            place = f"{file.rpartition('/')[0]}/{value}"
            value = bytes_at(place, 0, storage.file_size(place), path)
        if not isinstance(value, bytes):
            raise ImageError(path, "an image or a path", type(value).__name__)
        return decode_image(io.BytesIO(value), path)

    def _group(self, run: int, file: str, group: int) -> Any:
        """Return the rows of a group, or what is wrong with them."""
        from restyle.io.parquet import read_group

        if run not in self._held:
            try:
                self._held[run] = read_group(file, group)
            except ImageError as error:
                self._held[run] = error
        self._held.move_to_end(run)
        sizes = self.table["bytes"]
        while sizes[list(self._held)].sum() > 2 * BUFFER + sizes.max():
            self._held.popitem(last=False)
        return self._held[run]
