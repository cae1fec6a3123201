"""What is trained on: the drawn portraits, or any folder of images, as one kind of source.

A training counts the images that it has seen. `draw` turns the count into indices, so that a
resumed run goes on where it was, and several processes share one pass over the data.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from restyle.images import ImageError, list_images, read_image, to_tensor, to_uint8

HELD_OUT = 20  # one file in so many of a folder is for validation
ENDLESS = 10_000_000  # a source of this length is never seen twice, and needs no shuffling


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

    def __init__(self, folder: str | Path, size: int | tuple[int, int], split: str = "all"):
        """List the files.

        Args:
            folder: Where the images are.
            size: What they are resized to: (height, width) or both at once.
            split: "val" for one file in twenty, "train" for the others, or "all".

        Raises:
            ImageError: If there are none.
        """
        files = [file.path for file in list_images(folder)]
        held_out = files[::HELD_OUT]
        splits = {"all": files, "val": held_out, "train": sorted(set(files) - set(held_out))}
        self.files = splits[split] or files
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


def open_source(
    data: str, size: int | tuple[int, int], style: str = "photo", split: str = "all"
) -> Source:
    """Open what a training's `data` names: "portraits", or a folder of images.

    Args:
        data: The name or the path.
        size: Height and width that the images shall have.
        style: How portraits are drawn.
        split: "train", "val" or "all"; all of the portraits are those for training.

    Raises:
        ValueError: If portraits are asked for in a shape that is not square.
        ImageError: If a folder has no images.
    """
    if data != "portraits":
        return Folder(data, size, split)
    from restyle.portraits import Portraits

    height, width = (size, size) if isinstance(size, int) else size
    if height != width:
        raise ValueError(f"size: portraits are square, found {height} x {width}")
    return Portraits(split="train" if split == "all" else split, size=height, style=style)


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
    indices = positions % len(source)
    if len(source) < ENDLESS:
        passes = positions // len(source)
        orders = {int(p): _shuffled(len(source), seed, int(p)) for p in set(passes)}
        indices = [orders[int(p)][at] for p, at in zip(passes, indices, strict=True)]
    images = load(source, indices)
    if flip:
        mirrored = torch.from_numpy(np.random.default_rng((seed, position)).random(count) < 0.5)
        images[mirrored] = images[mirrored].flip(3)
    return images


def load(source: Source, indices: Iterable[int]) -> Tensor:
    """Images by index: (N, 3, H, W) in [-1, 1]."""
    images = torch.from_numpy(source.images([int(index) for index in indices]))
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def _shuffled(length: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(length)
