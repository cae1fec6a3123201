"""Pairs of drawn portraits as training data for feature networks."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from restyle.io.images import from_uint8
from restyle.portraits.attributes import Attributes, class_names, continuous_names
from restyle.portraits.dataset import Portraits
from restyle.portraits.keypoints import COUNT, face_points
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
        size, shown = portraits.size, len(continuous_names) + len(class_names)
        self._images = np.empty((capacity, 2, size, size, 3), np.uint8)
        self._vectors = np.empty((capacity, 2, len(continuous_names)), np.float32)
        self._labels = np.empty((capacity, 2, len(class_names)), np.int64)
        self._points = np.empty((capacity, 2, COUNT, 2), np.float32)
        self._shown = np.empty((capacity, 2, shown), bool)
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
        kinds = (self._vectors, self._labels, self._points, self._shown)
        told = (torch.from_numpy(_views_apart(kind[rows])) for kind in kinds)
        return Batch(from_uint8(_views_apart(self._images[rows])), *told)

    def _draw(self) -> int:
        """Draw the next person into the pool; return the row."""
        if self._coming is None:
            people = range(self.first + self.drawn * self.stride, LAST, self.stride)
            self._coming = ahead(partial(views, self.portraits), people, self.workers)
        row = self._filled % self.capacity
        kinds = (self._images, self._vectors, self._labels, self._points, self._shown)
        for kind, value in zip(kinds, next(self._coming), strict=True):
            kind[row] = value
        self.drawn += 1
        self._filled += 1
        return row


def views(portraits: Portraits, person: int) -> tuple[np.ndarray, ...]:
    """Draw two views of a person: images, and vectors, labels, points and what is shown of each."""
    index = person % len(portraits)
    both = (portraits[index], portraits.view(index, 1))
    seen = [portrait.attributes for portrait in both]
    return (
        np.stack([portrait.image for portrait in both]),
        np.stack([attributes.to_vector() for attributes in seen]),
        np.stack([attributes.to_labels() for attributes in seen]),
        np.stack([face_points(attributes) for attributes in seen]),
        np.stack([shown(attributes) for attributes in seen]),
    )


def shown(attributes: Attributes) -> np.ndarray:
    """Tell what a portrait shows: (C + K,) bool, the continuous attributes before the classes."""
    seen = visible(attributes)
    return np.array([seen[name] for name in (*continuous_names, *class_names)])


def _views_apart(pairs: np.ndarray) -> np.ndarray:
    """Turn (N, 2, ...) into (2 N, ...): all first views, then all second ones."""
    return np.concatenate([pairs[:, 0], pairs[:, 1]])


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
