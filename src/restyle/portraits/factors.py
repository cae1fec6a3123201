"""Portraits as normal vectors: where each attribute stands in its own distribution.

A generator's mapping network starts from normal vectors, whose entries mean nothing in particular.
For portraits a meaning can be given to them, as all that a picture is made of is known. The vectors
of random portraits are distributed as a mapping network's input is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from statistics import NormalDist

import numpy as np

from restyle.portraits.attributes import SCHEMA, Classes, Continuous
from restyle.portraits.dataset import Portrait

WIDTH = sum(len(spec.names) if isinstance(spec, Classes) else 1 for spec in SCHEMA.values())
"""Entries that portraits need: one for a continuous attribute, one for each class of another."""

TRIES = 512  # vectors drawn for a class, of which the first that says it is taken
EDGE = 1e-4  # keeps an attribute at the end of its range from being infinitely far out


def normal_vectors(portraits: Sequence[Portrait], width: int) -> np.ndarray:
    """Turn portraits into vectors; the same portrait always becomes the same one.

    A continuous attribute becomes the normal quantile of its rank. The class of another is the
    largest of as many entries, after constants were added that give every class its share. What is
    left of the width is random.

    Args:
        portraits: N of them.
        width: At least `WIDTH`.

    Returns:
        (N, width) float32.

    Raises:
        ValueError: The width is too small.
    """
    if width < WIDTH:
        raise ValueError(f"width: expected at least {WIDTH} entries, received {width}")
    return np.stack([_vector(portrait, width) for portrait in portraits]).astype(np.float32)


def _vector(portrait: Portrait, width: int) -> np.ndarray:
    random = np.random.Generator(np.random.Philox(key=[portrait.identity, 1]))
    entries = random.standard_normal(width)
    place = 0
    for name, spec in SCHEMA.items():
        value = getattr(portrait.attributes, name)
        if isinstance(spec, Continuous):
            rank = min(max(spec.rank(value), EDGE), 1 - EDGE)
            entries[place] = NormalDist().inv_cdf(rank)
            place += 1
        else:
            count = len(spec.names)
            tries = random.standard_normal((TRIES, count))
            says = (tries + advantages(spec.shares)).argmax(axis=1) == spec.names.index(value)
            entries[place : place + count] = tries[says.argmax()]
            place += count
    return entries


@cache
def advantages(shares: tuple[float, ...]) -> np.ndarray:
    """What to add to independent normal numbers so that each is the largest as often as it shall.

    Args:
        shares: How often, (K,), adding up to 1.

    Returns:
        (K,), found by fixed-point iteration on a sample.
    """
    wanted = np.log(shares)
    sample = np.random.Generator(np.random.Philox(key=0)).standard_normal((100_000, len(shares)))
    added = np.zeros(len(shares))
    for _ in range(100):
        found = np.bincount((sample + added).argmax(axis=1), minlength=len(shares))
        added += 0.5 * (wanted - np.log(np.maximum(found, 1) / len(sample)))
    return added - added.mean()
