"""How sure a mean is."""

from typing import NamedTuple

import numpy as np

BLOCK, BLOCKS = 100, 20  # 2000 resamples


class Interval(NamedTuple):
    """A mean and the interval that holds it with the chosen confidence."""

    mean: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        """`mean [low, high]`, each in the given format."""
        mean, low, high = (format(value, spec) for value in self)
        return f"{mean} [{low}, {high}]"


def bootstrap_mean(values: np.ndarray, confidence: float = 0.95, seed: int = 0) -> Interval:
    """The mean with a percentile bootstrap interval (Efron 1979).

    Give the difference of two methods on the same images for a paired comparison.

    Args:
        values: (N,), one for each image.
        confidence: Share of the resampled means inside the interval.
        seed: Of the resampling; equal values give equal intervals.

    Raises:
        ValueError: No values, or one that is not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise ValueError(f"expected finite values (N,), found shape {values.shape}")
    rng = np.random.default_rng(seed)
    # In blocks: the whole matrix of resamples would grow with the number of images.
    blocks = (rng.integers(len(values), size=(BLOCK, len(values))) for _ in range(BLOCKS))
    means = np.concatenate([values[rows].mean(axis=1) for rows in blocks])
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(values.mean()), float(low), float(high))
