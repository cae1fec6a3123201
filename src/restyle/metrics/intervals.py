"""Bootstrap intervals of means."""

from typing import Any, NamedTuple

import numpy as np

from restyle.io.imports import needed

RESAMPLES = 2000
BATCH_VALUES = 2_000_000  # resampled at once: all of them would grow with the number of images


class Interval(NamedTuple):
    """A mean and the interval that holds it with a confidence of 95 %."""

    mean: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        """Return `mean [low, high]`, each in the given format."""
        mean, low, high = (format(value, spec) for value in self)
        return f"{mean} [{low}, {high}]"


def bootstrap_mean(values: np.ndarray) -> Interval:
    """Return the mean of values (N,), one an image, with a 95 % percentile bootstrap interval.

    Equal values give equal intervals. Give the difference of two methods on the same images for a
    paired comparison. Source: Efron 1979, "Bootstrap Methods: Another Look at the Jackknife".

    Raises:
        ValueError: No values, or one that is not finite.
    """
    return _interval(np.mean, values)


def bootstrap_ratio(above: np.ndarray, below: np.ndarray) -> Interval:
    """Return the ratio of two means over the same images (N,), which are resampled together.

    The interval is that of `bootstrap_mean`; no resample's mean of those `below` may be 0.

    Raises:
        ValueError: No values, not as many of both, or one that is not finite.
    """

    def ratio(a: np.ndarray, b: np.ndarray, axis: int = -1) -> np.ndarray:
        return a.mean(axis=axis) / b.mean(axis=axis)

    return _interval(ratio, above, below)


def mean_record(values: np.ndarray) -> dict[str, float] | None:
    """Return `bootstrap_mean` of what is finite, as JSON keeps it; None where nothing is."""
    known = values[np.isfinite(values)]
    return bootstrap_mean(known)._asdict() if len(known) else None


def mean_known(values: np.ndarray) -> np.ndarray:
    """Return means of columns of values (N, ...) over what is known; NaN where nothing is."""
    return np.ma.masked_invalid(values).mean(axis=0).filled(np.nan)


def _interval(statistic: Any, *columns: np.ndarray) -> Interval:
    with needed("evaluate", "intervals need scipy"):
        from scipy.stats import bootstrap
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    for array in arrays:
        usable = array.ndim == 1 and len(array) and array.shape == arrays[0].shape
        if not usable or not np.isfinite(array).all():
            raise ValueError(f"expected finite values (N,), got shape {array.shape}")
    mean = float(statistic(*arrays))
    if len(arrays[0]) == 1:  # nothing to resample
        return Interval(mean, mean, mean)
    found = bootstrap(
        arrays,
        statistic,
        n_resamples=RESAMPLES,
        batch=max(1, BATCH_VALUES // len(arrays[0])),
        paired=len(arrays) > 1,
        confidence_level=0.95,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high))
