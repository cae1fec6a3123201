"""Published directions: the files of ReStyle and e4e (`.pt`) and of InterFaceGAN (`.npy`)."""

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from restyle.editing.directions import Direction, DirectionError
from restyle.importers.archive import is_archive, read_archive, reason
from restyle.io.checkpoints import CheckpointError
from restyle.io.tensors import check_file

_NUMPY = b"\x93NUMPY"


def read_direction(
    path: str | os.PathLike[str], name: str | None = None, licence: str = "unknown"
) -> Direction:
    """Read a published direction, whatever device it was saved on, as `name` or the file's own.

    Such a file holds one array (D,), (1, D) or (num_ws, D) and nothing else. What is made of it has
    no scale yet: editing measures it with the generator at hand.

    Raises:
        DirectionError: Missing, empty, damaged, or something else. Nothing in it is ever executed.
    """
    path = Path(path)
    check_file(path, "a published direction", DirectionError)
    vector = _archived(path) if is_archive(path) else _array(path)
    try:
        return Direction(name or path.stem, vector, licence=licence, about=f"from {path.name}")
    except DirectionError as error:
        raise DirectionError(f"{path}: {error}") from error


def _archived(path: Path) -> Tensor:
    try:
        content = read_archive(path)
    except CheckpointError as error:
        raise DirectionError(str(error)) from error
    if not isinstance(content, Tensor):
        raise DirectionError(f"{path}: expected one tensor, got a {type(content).__name__}")
    return content


def _array(path: Path) -> Tensor:
    with path.open("rb") as stream:
        if stream.read(len(_NUMPY)) != _NUMPY:
            raise DirectionError(f"{path}: expected a direction (.pt or .npy), got neither")
    try:
        # Mapped, so that no header can claim more than the file has.
        values = np.load(path, mmap_mode="r", allow_pickle=False)
        return torch.from_numpy(np.array(values, dtype=np.float32))
    except Exception as error:  # a damaged header fails in as many ways as it can be damaged
        raise DirectionError(
            f"{path}: expected a direction (.pt or .npy), got: {reason(error)}"
        ) from error
