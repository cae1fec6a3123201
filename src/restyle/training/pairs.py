"""Pairs of drawn portraits as training data for feature networks."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from restyle.io.images import from_uint8
from restyle.portraits.dataset import Portraits
from restyle.portraits.keypoints import face_points
from restyle.portraits.visibility import visible
from restyle.training.data import ahead

LAST = 2**62  # person; they come again before


@dataclass
class Batch:
    """Portraits and what they show; the first and the second half show the same persons in turn.

    Attributes:
        images: (B, 3, size, size) float32 in [-1, 1], channels last in memory.
        vectors: (B, C) continuous attributes, scaled to [-1, 1].
        labels: (B, K) class numbers.
        points: (B, P, 2) points of the face, in [-1, 1].
        shown: (B, C + K) whether the picture shows the attribute.
    """

    images: Tensor
    vectors: Tensor
    labels: Tensor
    points: Tensor
    shown: Tensor

    def to(self, device: torch.device) -> "Batch":
        """Move everything to a device."""
        return Batch(*(getattr(self, f.name).to(device) for f in fields(self)))


class Pool:
    """Pairs of views, most of them drawn some steps ago, so that drawing costs less than learning.

    Attributes:
        drawn: Persons drawn so far; the next one has this number (times the stride).
    """

    def __init__(
        self,
        portraits: Portraits,
        capacity: int,
        first: int = 0,
        stride: int = 1,
        workers: int = 0,
    ):
        """Start with an empty pool.

        Args:
            portraits: Where persons are drawn from, by number.
            capacity: Pairs that are kept.
            first: The first person of this process.
            stride: From one person of this process to the next.
            workers: Processes that draw ahead; 0: one thread.
        """
        self.portraits, self.capacity = portraits, capacity
        self.first, self.stride, self.workers = first, stride, workers
        self.drawn = 0
        self._coming: Iterator[tuple[np.ndarray, ...]] | None = None
        self._pairs: list[tuple[np.ndarray, ...]] = [()] * capacity  # what `views` gives
        self._filled = 0  # pairs drawn into the pool since the start of this process

    def batch(self, persons: int, fresh: int, rng: np.random.Generator) -> Batch:
        """Take a batch, part of it drawn now and the rest from what was drawn before.

        Args:
            persons: Persons in the batch, two views each.
            fresh: How many of them are new.
            rng: Chooses the others.
        """
        kept = min(self._filled, self.capacity)
        fresh = min(persons, max(fresh, persons - kept))
        old = rng.choice(kept, persons - fresh, replace=False)
        new = [self._draw() for _ in range(fresh)]
        # A new pair may have taken the place of a chosen old one; then it comes twice.
        rows = np.concatenate([np.array(old, dtype=np.int64), np.array(new, dtype=np.int64)])
        kinds = (np.stack(kind) for kind in zip(*(self._pairs[row] for row in rows), strict=True))
        images, *others = (np.concatenate([kind[:, 0], kind[:, 1]]) for kind in kinds)
        return Batch(from_uint8(images), *map(torch.from_numpy, others))

    def _draw(self) -> int:
        """Draw the next person into the pool; return the row."""
        if self._coming is None:
            people = range(self.first + self.drawn * self.stride, LAST, self.stride)
            self._coming = ahead(partial(views, self.portraits), people, self.workers)
        row = self._filled % self.capacity
        self._pairs[row] = next(self._coming)
        self.drawn += 1
        self._filled += 1
        return row


def views(portraits: Portraits, person: int) -> tuple[np.ndarray, ...]:
    """Draw two views of a person, and tell what they show: (2, ...) each, in `Batch`'s order."""
    told = []
    for portrait in (portraits.view(person % len(portraits), k) for k in (0, 1)):
        a = portrait.attributes
        shown = np.array([*visible(a).values()])  # the schema has the continuous attributes first
        told.append((portrait.image, a.to_vector(), a.to_labels(), face_points(a), shown))
    return tuple(np.stack(pair) for pair in zip(*told, strict=True))


def augment(images: Tensor) -> Tensor:
    """Spoil half of the images a little, as a generator would: blur and noise.

    Args:
        images: (B, 3, h, w) in [-1, 1].

    Returns:
        The same shape; random by torch's generator.
    """
    b = len(images)

    def some(share: float) -> Tensor:
        return (torch.rand(b, 1, 1, 1) < share).float().to(images.device)

    def strength() -> Tensor:
        return torch.rand(b, 1, 1, 1).to(images.device)

    blurred = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    images = torch.lerp(images, blurred, some(0.5) * 0.6 * strength())
    return images + some(0.5) * 0.06 * strength() * torch.randn_like(images)
