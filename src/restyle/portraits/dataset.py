"""Portraits as a data set: millions of people, drawn when they are asked for."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from restyle.portraits.attributes import Attributes, sample
from restyle.portraits.captions import caption
from restyle.portraits.drawing.renderer import check_style, landmarks, render

SPLITS = {
    "train": range(0, 10_000_000),
    "val": range(10_000_000, 10_050_000),
    "test": range(10_050_000, 10_100_000),
}
"""The numbers of the people in each split; no person, in any view, is in two of them."""


@dataclass(frozen=True)
class Portrait:
    """One picture of one person, with its ground truth. Pixels and words are made when first used.

    Attributes:
        identity: The person's number, the same in all views of that person and in no other split.
        attributes: Everything the picture shows.
        size: Height and width in pixels.
        style: The drawing style.
    """

    identity: int
    attributes: Attributes
    size: int
    style: str

    @cached_property
    def image(self) -> np.ndarray:
        """The picture: (H, W, 3) uint8, RGB."""
        return render(self.attributes, self.size, self.style)

    @cached_property
    def landmarks(self) -> np.ndarray:
        """Eyes, nose tip and mouth corners: (5, 2) float32, x and y in pixels."""
        return landmarks(self.attributes, self.size, self.style)

    @cached_property
    def caption(self) -> str:
        """The picture in one English sentence."""
        return caption(self.attributes)


class Portraits:
    """A map-style data set of portraits, one person per index; it can be shared by workers."""

    def __init__(self, split: str = "train", size: int = 128, style: str = "photo"):
        """Choose the people and how they are drawn.

        Args:
            split: `train` (10,000,000 people), `val` or `test` (50,000 each).
            size: Height and width of the pictures in pixels.
            style: The drawing style, one of `renderer.STYLES`.

        Raises:
            ValueError: The split, the size or the style is none of the possible ones.
        """
        if split not in SPLITS:
            raise ValueError(f"expected a split of {', '.join(SPLITS)}, got {split!r}")
        check_style(size, style)
        self.split, self.size, self.style = split, size, style
        self._people = SPLITS[split]

    def __len__(self) -> int:
        """Return the number of people."""
        return len(self._people)

    def __getitem__(self, index: int) -> Portrait:
        """Return a person's first picture."""
        return self.view(index, 0)

    def view(self, index: int, k: int) -> Portrait:
        """Return the k-th other picture of the person at `index`; k = 0 is the first picture.

        The identity attributes are the same in every view, the nuisance attributes are drawn anew.

        Raises:
            IndexError: There is no person at this index.
            ValueError: `k` is negative.
        """
        if k < 0:
            raise ValueError(f"expected a view of 0 or more, got {k}")
        person = self._people[index]
        return Portrait(person, sample(person, k), self.size, self.style)

    def images(self, indices: Iterable[int], k: int = 0) -> np.ndarray:
        """Return only the pictures of several people: (N, H, W, 3) uint8, RGB."""
        images = [self.view(int(i), k).image for i in indices]
        return np.stack(images) if images else np.zeros((0, self.size, self.size, 3), np.uint8)

    def vectors(self, indices: Iterable[int], k: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return only the attributes of several people, without drawing them.

        Returns:
            The continuous attributes scaled to [-1, 1], (N, C) float32, in the order of
            `attributes.continuous_names`; and the class numbers, (N, K) int64, in the order of
            `attributes.class_names`.
        """
        people = [self.view(int(i), k).attributes for i in indices]
        return np.stack([p.to_vector() for p in people]), np.stack([p.to_labels() for p in people])
