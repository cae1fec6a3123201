"""How much of a person survives in another style: the same code, two generators, one network."""

from typing import Protocol

import torch
from torch import Tensor

from restyle.portraits.attributes import class_names, identity_names

BATCH = 50


class Reader(Protocol):
    """A network that measures attributes."""

    def attributes(self, images: Tensor) -> dict[str, Tensor]:
        """Values (B,) or logits (B, K) by attribute's name, of images (B, 3, h, w) in [-1, 1]."""
        ...


def surviving_identity(reader: Reader, first: Tensor, second: Tensor) -> dict[str, float]:
    """Compare the identity attributes of the same people in two styles.

    A style may shift an attribute for everybody (toons have larger eyes) without any person being
    lost. So what counts is whether one picture tells the other: for an attribute with values the
    squared correlation over the people, for one with classes their agreement beyond chance (Cohen's
    kappa). Pictures of two styles that are drawn of the same people give the most that can be had.

    Args:
        reader: Measures attributes in both styles.
        first: (N, 3, h, w) in [-1, 1], pictures of N people in one style.
        second: The same people in the other style, such as renders of the same codes.

    Returns:
        By name of an identity attribute the share that survives, from 0 to 1; `mean` of all.

    Raises:
        ValueError: The pictures are not of as many people, or of fewer than two.
    """
    if len(first) != len(second) or len(first) < 2:
        raise ValueError(
            f"expected two or more people in both styles, got {len(first)} and {len(second)}"
        )
    with torch.no_grad():
        a, b = _read(reader, first), _read(reader, second)
    shares = {
        name: _agreement(a[name], b[name]) if name in class_names else _explained(a[name], b[name])
        for name in identity_names
    }
    return {**shares, "mean": sum(shares.values()) / len(shares)}


def _read(reader: Reader, images: Tensor) -> dict[str, Tensor]:
    parts = [reader.attributes(part) for part in images.split(BATCH)]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _explained(a: Tensor, b: Tensor) -> float:
    """Squared correlation; 0 where one of them does not vary, or they go against each other."""
    a, b = (x.double() - x.double().mean() for x in (a, b))
    spread = (a.norm() * b.norm()).item()
    return max(0.0, (a @ b).item() / spread) ** 2 if spread > 1e-12 else 0.0


def _agreement(a: Tensor, b: Tensor) -> float:
    """Cohen's kappa of the most likely classes, at least 0."""
    classes = a.shape[1]
    a, b = a.argmax(dim=1), b.argmax(dim=1)
    agree = (a == b).double().mean().item()
    shares = [torch.bincount(x, minlength=classes).double() / len(x) for x in (a, b)]
    chance = (shares[0] @ shares[1]).item()
    return max(0.0, (agree - chance) / (1 - chance)) if chance < 1 - 1e-12 else 0.0
