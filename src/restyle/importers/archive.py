"""Reading foreign PyTorch files without running anything that is in them."""

import argparse
import io
import os
import re
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from restyle.importers.pickles import check_pickle
from restyle.importers.zip_files import find_pickle
from restyle.io.checkpoints import CheckpointError

ZIP_START = b"PK\x03\x04"
LEGACY_MAGIC = bytes.fromhex("8a0a6cfc9c46f9206aa850192e")  # the number that torch.save begins with
_LEGACY_PICKLES = 5  # magic, version, system, the object, the keys of its storages

# Options of a training script are stored as a Namespace, with NumPy scalars among them.
_scalar = np.float64(0).__reduce__()[0]
_NUMBER_TYPES = (np.bool_, np.int32, np.int64, np.float16, np.float32, np.float64)
ALLOWED = [
    argparse.Namespace,
    np.dtype,
    *(type(np.dtype(number)) for number in _NUMBER_TYPES),
    (_scalar, "numpy.core.multiarray.scalar"),
    (_scalar, "numpy._core.multiarray.scalar"),
]


def is_archive(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file was written by `torch.save`, in its zip format or the one before it.

    Raises:
        CheckpointError: The file cannot be read.
    """
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise CheckpointError(f"{path}: expected a checkpoint, got a device or a pipe")
    try:
        with open(path, "rb") as file:
            start = file.read(2 + len(LEGACY_MAGIC))
    except OSError as error:
        raise CheckpointError(f"{path}: expected a checkpoint, got: {error.strerror}") from error
    # The legacy format is a pickle: an opcode and a protocol number come first.
    return start.startswith(ZIP_START) or start[2:] == LEGACY_MAGIC


def read_archive(path: str | os.PathLike[str], mapped: bool = True) -> Any:
    """Read what `torch.save` wrote: containers, numbers, strings, tensors and option records only.

    The file is a zip archive, or of the legacy format; tensors are put on the CPU. If `mapped`,
    those of a zip archive stay in the file, which then has to stay as it is.

    Raises:
        CheckpointError: The file holds anything else, is damaged, or would take much more memory
            than it has bytes.
    """
    size = Path(path).stat().st_size
    try:
        with open(path, "rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            zipped = content[: len(ZIP_START)] == ZIP_START
            if zipped:
                start, end = find_pickle(content)
                check_pickle(io.BytesIO(content[start:end]))
            else:
                _check_legacy(content)
        with torch.serialization.safe_globals(ALLOWED):
            content = torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipped and mapped
            )
    except Exception as error:  # a damaged file fails in as many ways as it can be damaged
        raise CheckpointError(
            f"{path}: expected a PyTorch checkpoint, got: {reason(error)}"
        ) from error
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in _tensors(content))
    if claimed > 2 * size:
        raise CheckpointError(
            f"{path}: expected tensors of the file's {size} bytes, got {claimed} bytes of them"
        )
    return content


def load_legacy(content: bytes) -> Any:
    """Read what `torch.save` wrote to memory in the format before zip archives.

    Raises:
        Exception: Whatever PyTorch raises for a damaged file, or as `check_pickle` does.
    """
    stream = io.BytesIO(content)
    _check_legacy(stream)
    stream.seek(0)
    with torch.serialization.safe_globals(ALLOWED):
        return torch.load(stream, map_location="cpu", weights_only=True)


def _check_legacy(stream: IO[bytes] | mmap) -> None:
    """Check the pickles of a file, which come before its numbers."""
    if stream.read(2 + len(LEGACY_MAGIC))[2:] != LEGACY_MAGIC:
        raise ValueError("another format than that of torch.save")  # one that could be packed
    stream.seek(0)
    for _ in range(_LEGACY_PICKLES):
        check_pickle(stream, whole=False)


def _tensors(content: Any) -> Iterator[Tensor]:
    """Yield all tensors in containers, however deep, and though they hold themselves."""
    left, seen = [content], set()
    while left:
        item = left.pop()
        if isinstance(item, Tensor):
            yield item
        elif isinstance(item, dict | list | tuple) and id(item) not in seen:
            seen.add(id(item))
            left += item.values() if isinstance(item, dict) else item


def reason(error: Exception) -> str:
    """Say why a file could not be read, without PyTorch's advice on reading it anyway."""
    text = str(error).strip() or type(error).__name__
    refused = re.search(r"GLOBAL ([\w.]+)", text)
    if refused:
        return f"{refused[1]}, which is not run"
    if text.startswith("Weights only load failed"):
        return "something else than weights"
    return text.splitlines()[0].split(". ", 1)[0][:200]
