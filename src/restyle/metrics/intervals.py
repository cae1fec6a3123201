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
    (column,) = _columns(values)
    return _interval(column.mean(), _resampled_means(seed, column)[0], confidence)


def bootstrap_ratio(
    above: np.ndarray, below: np.ndarray, confidence: float = 0.95, seed: int = 0
) -> Interval:
    """The ratio of two means over the same images, which are resampled together.

    Args:
        above: (N,), one for each image.
        below: (N,), of the same images; no resample's mean may be 0.
        confidence: As in `bootstrap_mean`.
        seed: As in `bootstrap_mean`.

    Raises:
        ValueError: No values, not as many of both, or one that is not finite.
    """
    columns = _columns(above, below)
    means = _resampled_means(seed, *columns)
    return _interval(columns[0].mean() / columns[1].mean(), means[0] / means[1], confidence)


def _columns(*columns: np.ndarray) -> list[np.ndarray]:
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    shape = arrays[0].shape
    for array in arrays:
        usable = array.ndim == 1 and len(array) and array.shape == shape
        if not usable or not np.isfinite(array).all():
            raise ValueError(f"expected finite values (N,), got shape {array.shape}")
    return arrays


def _resampled_means(seed: int, *columns: np.ndarray) -> np.ndarray:
    """Means (columns, resamples) of the same random rows of every column (N,)."""
    rng = np.random.default_rng(seed)
    count = len(columns[0])
    # In blocks: the whole matrix of resamples would grow with the number of images.
    blocks = (rng.integers(count, size=(BLOCK, count)) for _ in range(BLOCKS))
    means = [[column[rows].mean(axis=1) for column in columns] for rows in blocks]
    return np.concatenate(means, axis=1)


def _interval(mean: float, resampled: np.ndarray, confidence: float) -> Interval:
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(mean), float(low), float(high))
