"""Training data: the drawn portraits, or pictures in files, as one kind of source.

A training counts the images that it has seen. `draw` turns the count into indices, so that a
resumed run goes on where it was, and several processes share one pass over the data.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from restyle.io.datasets import list_entries
from restyle.io.entries import Entry
from restyle.io.images import ImageError, from_uint8, to_tensor, to_uint8
from restyle.io.pipeline import ahead as read_ahead
from restyle.io.shards import BUFFER, ParquetShards, TarShards
from restyle.io.storage import is_far
from restyle.training.config import RunOptions

T = TypeVar("T")

HELD_OUT = 20  # one file in so many is for validation
ENDLESS = 10_000_000  # a source of this length is never seen twice, and needs no shuffling
PREFETCHED = 4  # batches that each worker is ahead
FAR_READERS = 16  # pictures of a batch that are asked for at once in far storage
INDEX, CHECKPOINT = "shards.npz", "checkpoint.pt"  # of a run's folder


class Source(Protocol):
    """Images by index."""

    def __len__(self) -> int:
        """The number of images."""
        ...

    def images(self, indices: Sequence[int]) -> np.ndarray:
        """(N, H, W, 3) uint8, RGB; pairs have six channels, those of the target last."""
        ...


@dataclass(frozen=True, eq=False)
class Blocks:
    """Images that are read together, one run of them after the other.

    Attributes:
        counts: The images of each run.
        sizes: The bytes of each.
    """

    counts: np.ndarray
    sizes: np.ndarray


class Pictures:
    """Pictures in files, or pairs of them, resized to one size; broken ones are skipped.

    Attributes:
        broken: What was wrong with each file that could not be read so far.
        blocks: Which of them are read together; None if each is by itself.
    """

    def __init__(
        self,
        sides: Sequence[Sequence[Entry]],
        size: int | tuple[int, int],
        chosen: np.ndarray | range | None = None,
    ):
        """Take what is listed.

        Args:
            sides: The pictures, or those of a pair's two sides.
            size: What they are resized to: (height, width) or both at once.
            chosen: The numbers of those that are taken, in order; None: all.
        """
        self.sides = sides
        self.size = (size, size) if isinstance(size, int) else size
        self.chosen = range(len(sides[0])) if chosen is None else chosen
        self.broken: dict[Path, str] = {}
        self.blocks: Blocks | None = None
        if isinstance(listed := sides[0], ParquetShards):
            counts = np.diff(np.searchsorted(self.chosen, listed.ends), prepend=0)
            self.blocks = Blocks(counts, listed.table["bytes"])
        self._readers = FAR_READERS if any(map(_is_far, sides)) else 1

    def __len__(self) -> int:
        """The number of pictures or pairs, broken ones included."""
        return len(self.chosen)

    def images(self, indices: Sequence[int]) -> np.ndarray:
        """Read pictures: (N, H, W, 3 or 6) uint8. The next readable one stands in for a broken one.

        Raises:
            ValueError: If no file can be read, or a shard has changed.
        """
        if not len(indices):
            return np.zeros((0, *self.size, 3 * len(self.sides)), np.uint8)
        if self._readers == 1:
            return np.stack([self._read(int(index)) for index in indices])
        with ThreadPoolExecutor(self._readers) as threads:
            return np.stack(list(threads.map(self._read, map(int, indices))))

    def row(self, index: int) -> list[Entry]:
        """Return a picture, or the two of a pair."""
        return [side[int(self.chosen[index])] for side in self.sides]

    def _read(self, index: int) -> np.ndarray:
        for offset in range(len(self)):
            row = self.row((index + offset) % len(self))
            if any(entry.path in self.broken for entry in row):
                continue
            try:
                parts = [to_uint8(to_tensor(entry.read(), self.size)) for entry in row]
                return np.concatenate(parts, axis=2)
            except ImageError as error:
                self.broken[error.path] = str(error)
                warnings.warn(f"skipped: {error}", stacklevel=2)
        raise ValueError(f"expected at least one readable image, got {len(self)} broken ones")


def _is_far(side: Sequence[Entry]) -> bool:
    return isinstance(side, TarShards) and is_far(side.files[0])


def open_source(
    data: str,
    size: int | tuple[int, int],
    style: str = "photo",
    split: str = "all",
    targets: str = "",
    run: Path | None = None,
) -> Source:
    """Open what a training's `data` names.

    Args:
        data: "portraits", or what `list_entries` takes.
        size: Height and width that the images shall have.
        style: How portraits are drawn.
        split: "train", "val" (one file in twenty) or "all"; all of the portraits are those for
            training.
        targets: What the images shall become, as `data`: files with the same names but for their
            suffixes. Empty: the images alone.
        run: The folder of a training, which keeps the list of shards: once it has a checkpoint,
            they must not change.

    Raises:
        ValueError: If portraits are asked for in a shape that is not square, or as pairs; or if
            shards have changed or have no images.
        ImageError: If there are no images, or the names of pairs differ.
        OSError: If shards cannot be read.
    """
    if data != "portraits":
        index, begun = (run / INDEX, (run / CHECKPOINT).exists()) if run else (None, False)
        sides = _paired(data, targets) if targets else [list_entries(data, index, begun)]
        count = len(sides[0])
        held_out = range(0, count, HELD_OUT)
        kept = np.flatnonzero(np.arange(count) % HELD_OUT) if count > 1 else held_out
        return Pictures(sides, size, {"all": None, "val": held_out, "train": kept}[split])
    if targets:
        raise ValueError(f"targets: expected files as data, got portraits to become {targets!r}")
    from restyle.portraits import Portraits

    height, width = (size, size) if isinstance(size, int) else size
    if height != width:
        raise ValueError(f"size: portraits are square, got {height} x {width}")
    return Portraits(split="train" if split == "all" else split, size=height, style=style)


def draw(source: Source, positions: Sequence[int], seed: int = 0, flip: bool = False) -> np.ndarray:
    """The images that come at some positions of an endless, shuffled pass over a source.

    Which image comes at a position, and whether it is mirrored, depends on nothing but the position
    and the seed: not on how many processes share the pass.

    Args:
        source: Where from.
        positions: N of them, counted over all processes.
        seed: Seed of the shuffling; every pass over the source has an order of its own.
        flip: Mirror half of them.

    Returns:
        (N, H, W, 3 or 6) uint8.
    """
    images = source.images(indices_at(source, positions, seed))
    if flip and len(images):
        coins = [np.random.default_rng((seed, p, 1)).random() for p in positions]
        mirrored = np.array(coins) < 0.5
        images[mirrored] = images[mirrored, :, ::-1]
    return images


def indices_at(source: Source, positions: Sequence[int], seed: int = 0) -> list[int]:
    """Return which images of a source come at some positions, as `draw` says."""
    length = len(source)
    indices = [position % length for position in positions]
    if length < ENDLESS:
        blocks = source.blocks if isinstance(source, Pictures) else None
        orders = [_shuffled(length, seed, position // length, blocks) for position in positions]
        indices = [int(order[at]) for order, at in zip(orders, indices, strict=True)]
    return indices


def load(source: Source, indices: Iterable[int]) -> Tensor:
    """Load images by index: (N, 3 or 6, H, W) in [-1, 1]."""
    return from_uint8(source.images([int(index) for index in indices]))


class _Reader(Dataset[T]):
    """A function of positions as a data set."""

    def __init__(self, read: Callable[[int], T]):
        self.read = read

    def __getitem__(self, position: int) -> T:
        return self.read(position)


def ahead(read: Callable[[int], T], positions: Sequence[int], workers: int = 0) -> Iterator[T]:
    """Read what is at each position before it is asked for, in order.

    Args:
        read: Reads it; for workers, where processes are not forked, a function that can be pickled.
        positions: Where.
        workers: Processes that read; 0: a thread reads the next while this one is trained on.
    """
    if workers:
        # The loader's workers need no copies of what is small, and none of the collating.
        yield from DataLoader(
            _Reader(read),
            batch_size=None,
            sampler=positions,
            num_workers=workers,
            prefetch_factor=PREFETCHED,
            collate_fn=_as_it_is,
            worker_init_fn=_apart,
            generator=torch.Generator(),  # not the training's, whose numbers stay the same
            pin_memory=torch.cuda.is_available(),
        )
        return
    for _, coming in read_ahead(read, positions, count=1, readers=1):
        yield coming.result()


def _apart(_worker: int) -> None:
    """Keep signals to the training's process group, such as Ctrl-C, from a worker."""
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)


def _as_it_is(read: Any) -> Any:
    return read


class Batches:
    """The batches of one process of a training, read ahead."""

    def __init__(
        self,
        source: Source,
        config: RunOptions,
        count: int,
        first: int = 0,
        flip: bool = False,
        beside: Callable[[Sequence[int]], Tensor] | None = None,
    ):
        """Choose what is read.

        Args:
            source: Where from.
            config: Its seed and workers are used.
            count: Images in a batch.
            first: Position of the first image of a run's first batch.
            flip: Mirror half of them.
            beside: What is wanted beside the images at some positions.
        """
        self.source, self.config, self.count = source, config, count
        self.first, self.flip, self.beside = first, flip, beside

    def positions(self, images: int) -> range:
        """Return which images come after so many."""
        return range(self.first + images, self.first + images + self.count)

    def read(self, images: int) -> tuple[Tensor, Tensor, dict[Path, str]]:
        """Read a batch: (B, H, W, C) uint8, what is beside it, and which files are broken."""
        places = self.positions(images)
        pixels = torch.from_numpy(draw(self.source, places, self.config.seed, self.flip))
        beside = torch.empty(0) if self.beside is None else self.beside(places)
        return pixels, beside, self.source.broken if isinstance(self.source, Pictures) else {}

    def ahead(self, starts: Sequence[int], device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """Give the batches after each number of images on a device.

        Images are (B, C, H, W) float32 in [-1, 1]; with them comes what is beside them.
        """
        for pixels, beside, broken in ahead(self.read, starts, self.config.workers):
            if isinstance(self.source, Pictures):
                self.source.broken.update(broken)
            yield (
                from_uint8(pixels.to(device, non_blocking=True)),
                beside.to(device, non_blocking=True),
            )


@lru_cache(maxsize=2)
def _shuffled(length: int, seed: int, epoch: int, blocks: Blocks | None = None) -> np.ndarray:
    """Return the order of a pass: of blocks, and of the images in `BUFFER` bytes of blocks."""
    random = np.random.default_rng((seed, epoch))
    if blocks is None:
        return random.permutation(length)
    order = random.permutation(len(blocks.counts))
    counts, firsts = blocks.counts[order], (np.cumsum(blocks.counts) - blocks.counts)[order]
    ends = np.cumsum(counts)
    images = np.arange(length) + np.repeat(firsts - (ends - counts), counts)
    windows = np.cumsum(blocks.sizes[order]) // BUFFER
    for part in np.split(images, ends[:-1][np.diff(windows) > 0]):
        random.shuffle(part)  # in place: a part of `images`
    return images


def _paired(data: str, targets: str) -> list[list[Entry]]:
    """Entries of two containers with the same names, suffixes aside."""
    listed = [list_entries(place) for place in (data, targets)]
    if any(isinstance(side, ParquetShards) for side in listed):
        raise ValueError("targets: expected pairs in folders, zip or tar files, got Parquet")
    sources, wanted = (
        {PurePath(entry.name).with_suffix("").as_posix(): entry for entry in side}
        for side in listed
    )
    if sources.keys() != wanted.keys():
        alone = sorted(sources.keys() ^ wanted.keys())
        raise ImageError(
            targets,
            f"a target for each of the {len(sources)} images of {data}",
            f"{len(alone)} without a counterpart, such as {alone[0]}",
        )
    return [list(sources.values()), [wanted[name] for name in sources]]
