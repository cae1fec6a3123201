"""What is trained on: the drawn portraits, or any folder of images, as one kind of source.

A training counts the images that it has seen. `Order` turns the count into indices, so that a resumed run goes
on where it was, and several processes share one pass over the data.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from restyle.images import ImageError, list_images, read_image, to_tensor, to_uint8


class Source(Protocol):
    """Images by index."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def images(self, indices: Sequence[int]) -> np.ndarray:
        """(N, H, W, 3) uint8, RGB."""
        ...


class Folder:
    """The images of a folder and its subfolders, resized to one size; broken files are skipped.

    Attributes:
        broken: What was wrong with each file that could not be read so far.
    """

    def __init__(self, folder: str | Path, size: int | tuple[int, int]):
        """List the files.

        Args:
            folder: Where the images are.
            size: What they are resized to: (height, width) or both at once.

        Raises:
            ImageError: If there are none.
        """
        self.files = [file.path for file in list_images(folder)]
        self.size = (size, size) if isinstance(size, int) else size
        self.broken: dict[Path, str] = {}

    def __len__(self) -> int:
        """How many files there are."""
        return len(self.files)

    def images(self, indices: Sequence[int]) -> np.ndarray:
        """Read files; (N, H, W, 3) uint8. The next readable file stands in for a broken one.

        Raises:
            ValueError: If no file can be read.
        """
        return np.stack([self._read(int(index)) for index in indices])

    def _read(self, index: int) -> np.ndarray:
        for offset in range(len(self.files)):
            path = self.files[(index + offset) % len(self.files)]
            if path in self.broken:
                continue
            try:
                return to_uint8(to_tensor(read_image(path), self.size))
            except ImageError as error:
                self.broken[path] = str(error)
                warnings.warn(f"skipped: {error}", stacklevel=2)
        raise ValueError(
            f"expected at least one readable image, found {len(self.files)} broken ones"
        )


def open_source(data: str, size: int, style: str = "photo", split: str = "train") -> Source:
    """Open what a training's `data` names: "portraits", or a folder of images.

    Args:
        data: The name or the path.
        size: Height and width that the images shall have.
        style: How portraits are drawn.
        split: Which portraits.
    """
    if data == "portraits":
        from restyle.portraits.dataset import Portraits

        return Portraits(split=split, size=size, style=style)
    return Folder(data, size)


def draw(source: Source, position: int, count: int, seed: int = 0, flip: bool = False) -> Tensor:
    """The images that come at a position of an endless, shuffled pass over a source.

    Args:
        source: Where from.
        position: Images drawn before, over all processes.
        count: How many.
        seed: Seed of the shuffling; every pass over the source has an order of its own.
        flip: Mirror half of them.

    Returns:
        (count, 3, H, W) in [-1, 1].
    """
    positions = np.arange(position, position + count)
    if len(source) >= 10_000_000:  # a source that is never seen twice needs no shuffling
        indices = positions % len(source)
    else:
        orders = {e: _shuffled(len(source), seed, e) for e in set(positions // len(source))}
        indices = [orders[at // len(source)][at % len(source)] for at in positions]
    images = torch.from_numpy(source.images([int(index) for index in indices]))
    images = images.permute(0, 3, 1, 2).float() / 127.5 - 1
    if flip:
        mirrored = np.random.default_rng((seed, position)).random(count) < 0.5
        images[mirrored] = images[mirrored].flip(3)
    return images


def _shuffled(length: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng((seed, int(epoch))).permutation(length)
