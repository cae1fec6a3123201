"""Portraits as normal vectors: where each attribute stands in its own distribution.

A generator's mapping network starts from normal vectors, whose entries mean nothing in particular.
For portraits a meaning can be given to them, as all that a picture is made of is known. The vectors
of random portraits are distributed as a mapping network's input is. It looks at their direction
alone, so their length is always the same.
"""

from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from statistics import NormalDist

import numpy as np

from restyle.portraits.attributes import SCHEMA, Classes
from restyle.portraits.dataset import Portrait

WIDTH = len(SCHEMA)
"""Entries that portraits need: one for each attribute, in the order of the schema."""

EDGE = 1e-4  # keeps an attribute at the end of its range from being infinitely far out
GRID = np.linspace(0, 1, 513)  # positions in an attribute's range whose ranks are tabulated


def normal_vectors(portraits: Sequence[Portrait], width: int) -> np.ndarray:
    """Turn N portraits into vectors (N, width) float32, the same portrait always into the same one.

    An attribute becomes the normal quantile of its rank; a class that of a random rank among those
    that are its share. What is left of the width is random, and makes up the length: the mean
    square is 1 if there is room, as there is from twice `WIDTH` on.

    Raises:
        ValueError: The width is below `WIDTH`.
    """
    if width < WIDTH:
        raise ValueError(f"width: expected at least {WIDTH} entries, got {width}")
    return np.stack([_vector(portrait, width) for portrait in portraits]).astype(np.float32)


def _vector(portrait: Portrait, width: int) -> np.ndarray:
    random = np.random.Generator(np.random.Philox(key=[portrait.identity, 1]))
    known = []
    for (name, spec), chance in zip(SCHEMA.items(), random.random(WIDTH), strict=True):
        value = getattr(portrait.attributes, name)
        if isinstance(spec, Classes):
            at = spec.names.index(value)
            rank = sum(spec.shares[:at]) + chance * spec.shares[at]
        else:
            rank = spec.rank(value)
        known.append(_quantile(rank))
    free = random.standard_normal(width - WIDTH)
    missing = width - np.square(known).sum()
    return np.append(known, free * np.sqrt(max(missing, 0) / max(np.square(free).sum(), EDGE)))


def meanings(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read the attributes that normal vectors (N, width) stand for, whatever their mean square.

    Returns:
        The continuous attributes scaled to [-1, 1], (N, C), and the class numbers of the others,
        (N, K); both in the order of the schema.
    """
    vectors = vectors / np.sqrt(np.square(vectors).mean(axis=1, keepdims=True))
    values, labels = [], []
    for name, entries in zip(SCHEMA, vectors.T, strict=False):
        places = table(name)
        if isinstance(SCHEMA[name], Classes):
            labels.append(np.searchsorted(places, entries))
        else:
            values.append(2 * np.interp(entries, places, GRID) - 1)
    return np.stack(values, axis=1), np.stack(labels, axis=1)


@cache
def table(name: str) -> np.ndarray:
    """Give normal quantiles: of an attribute's positions in `GRID`, or of its classes' borders."""
    spec = SCHEMA[name]
    if isinstance(spec, Classes):
        ranks = list(accumulate(spec.shares))[:-1]
    else:
        ranks = [spec.distribution.rank(position) for position in GRID]
    return np.array([_quantile(rank) for rank in ranks])


def _quantile(rank: float) -> float:
    return NormalDist().inv_cdf(min(max(rank, EDGE), 1 - EDGE))
