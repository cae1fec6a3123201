"""Reading foreign PyTorch files without running anything that is in them."""

import argparse
import io
import os
import re
import zipfile
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from restyle.io.checkpoints import CheckpointError

ZIP_START = b"PK\x03\x04"
LEGACY_MAGIC = bytes.fromhex("8a0a6cfc9c46f9206aa850192e")  # the number that torch.save begins with

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


def read_archive(path: str | os.PathLike[str]) -> Any:
    """Read what `torch.save` wrote: containers, numbers, strings, tensors and option records only.

    The file is a zip archive, or of the legacy format; tensors are put on the CPU.

    Raises:
        CheckpointError: The file holds anything else, is damaged, or would take much more memory
            than it has bytes.
    """
    size = Path(path).stat().st_size
    try:
        with open(path, "rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            zipped = content[: len(ZIP_START)] == ZIP_START
            check_content(content, zipped)
        if zipped:
            _check_zip(path, size)
        with torch.serialization.safe_globals(ALLOWED):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except CheckpointError:
        raise
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
        Exception: Whatever PyTorch raises for a damaged file, or as `check_content` does.
    """
    check_content(content, zipped=False)
    with torch.serialization.safe_globals(ALLOWED):
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def check_content(content: bytes | mmap, zipped: bool) -> None:
    """Refuse what PyTorch would read, and what takes far more memory than it has bytes.

    Raises:
        ValueError: It calls for as many bytes as a number in it says, or, where it is not `zipped`,
            it is not of the legacy format (but one that could be packed).
    """
    if content.find(b"\nbytearray\n") >= 0:
        raise ValueError("builtins.bytearray, which is not run")
    if not zipped and content[2 : 2 + len(LEGACY_MAGIC)] != LEGACY_MAGIC:
        raise ValueError("another format than that of torch.save")


def _check_zip(path: str | os.PathLike[str], size: int) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except zipfile.BadZipFile as error:
        raise CheckpointError(
            f"{path}: expected a PyTorch checkpoint, got a damaged or incomplete one"
        ) from error
    if not any(entry.filename.endswith("data.pkl") for entry in entries):
        raise CheckpointError(f"{path}: expected a PyTorch checkpoint, got another zip archive")
    packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    if packed or sum(entry.file_size for entry in entries) > size:
        raise CheckpointError(
            f"{path}: expected uncompressed entries, as PyTorch writes, got a compressed archive"
        )


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
