"""The figures of an analysis of the loop, from the values of all images."""

from typing import Any

import numpy as np

from restyle.inversion.adaptive import MOST_STEPS, still_helps
from restyle.metrics.intervals import mean_record

TOLERANCES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Those that stopping early is tried with, beside its own."""

Arrays = dict[str, np.ndarray]


def summarise(found: Arrays) -> dict[str, Any]:
    """Turn the values of all images into figures with 95 % intervals."""
    return {
        "steps": step_rows(found),
        "layers": found["layers"].mean(axis=0).tolist(),
        "bands": band_shares(found["bands"]).mean(axis=0).tolist(),
        "starts": [
            {"name": key.removeprefix("start:"), "mse": mse.mean(axis=0).tolist()}
            for key, mse in found.items()
            if key.startswith("start:")
        ],
        "disturbances": disturbance_rows(found),
        "early_stopping": early_stopping(found),
        "way": way_rows(found),
    }


def step_rows(found: Arrays) -> list[dict[str, Any]]:
    """Return for each step: error, size of the change, its centre in layers and octaves, gains.

    `ratio` is the length of a residual to that of the step before; `band` says how far up in the
    bands (0: the mean of the image) and `layer` in which layer the change's centre lies.
    """
    mse, layers = found["mse"], found["layers"]
    lengths = np.linalg.norm(layers, axis=2)  # (N, S)
    band = (band_shares(found["bands"]) * np.arange(found["bands"].shape[2])).sum(axis=2)
    energy = np.square(layers)
    layer = (energy * np.arange(layers.shape[2])).sum(axis=2) / _positive(energy.sum(axis=2))
    change = np.sqrt(found["bands"].sum(axis=2)).mean(axis=0)
    columns = {"length": lengths, "band": band, "layer": layer}
    rows: list[dict[str, Any]] = [{"step": 0, "mse": mean_record(mse[:, 0])}]
    for step in range(1, mse.shape[1]):
        before, now = mse[:, step - 1], mse[:, step]
        row = {
            "step": step,
            "mse": mean_record(now),
            **{name: mean_record(values[:, step - 1]) for name, values in columns.items()},
            "change": float(change[step - 1]),
            "improved": float((now < before).mean()),
            "worse_by_1_percent": float((now > 1.01 * before).mean()),
        }
        if step > 1:
            ratio = lengths[:, step - 1] / _positive(lengths[:, step - 2])
            low, median, high = np.quantile(ratio, (0.25, 0.5, 0.75)).tolist()
            row["ratio"] = {"low": low, "median": median, "high": high}
        rows.append(row)
    return rows


def band_shares(bands: np.ndarray) -> np.ndarray:
    """Return the energies of each image's change as shares that sum to 1."""
    return bands / _positive(bands.sum(axis=2, keepdims=True))


def disturbance_rows(found: Arrays) -> list[dict[str, Any]]:
    """Return for each disturbance the error to what was shown, and how far the codes moved."""
    rows: dict[str, dict[str, Any]] = {}
    for key, values in found.items():
        if key.startswith("disturbed:"):
            _, name, figure = key.split(":")
            rows.setdefault(name, {"disturbance": name})[figure] = mean_record(values)
    return list(rows.values())


def way_rows(found: Arrays) -> list[dict[str, Any]]:
    """Return for each step what it adds of the way to an optimum, where that was measured."""
    ways = {
        key.removeprefix("way:"): each.T for key, each in found.items() if key.startswith("way:")
    }
    return [
        {"step": step} | {name: mean_record(values) for name, values in zip(ways, row, strict=True)}
        for step, row in enumerate(zip(*ways.values(), strict=True), start=1)
    ]


def early_stopping(found: Arrays) -> dict[str, Any]:
    """Compute what `steps="auto"` costs and loses, and what it would with other tolerances.

    Returns:
        `stopping_row` of the measured run; `histogram`, how many images took how many steps;
        `fixed`, the mean error after each number of steps; `tolerances`, a row for each.
    """
    mse, lengths = found["mse"], np.linalg.norm(found["layers"], axis=2)
    steps = found["auto:steps"]
    most = min(MOST_STEPS, lengths.shape[1])
    return {
        **stopping_row(steps, found["auto:mse"], mse),
        "histogram": np.bincount(steps, minlength=MOST_STEPS + 1).tolist(),
        "fixed": mse[:, : most + 1].mean(axis=0).tolist(),
        "tolerances": [
            {"tolerance": tolerance} | stopping_row(*stopped_at(mse, lengths, tolerance, most), mse)
            for tolerance in TOLERANCES
        ],
    }


def stopped_at(
    mse: np.ndarray, lengths: np.ndarray, tolerance: float, most_steps: int = MOST_STEPS
) -> tuple[np.ndarray, np.ndarray]:
    """Replay what `refine_until` would do at a tolerance, from what the steps are known to give.

    Args:
        mse: (N, S + 1) squared errors, the start first, S at least `most_steps`.
        lengths: (N, S) of the residuals.
        tolerance: As in `refine_until`.
        most_steps: As in `refine_until`.

    Returns:
        The steps (N,) that each image takes, and its squared error (N,) after them.
    """
    running = np.ones(len(mse), dtype=bool)
    steps, lowest = np.zeros(len(mse), dtype=int), np.full(len(mse), np.inf)
    for step in range(most_steps):
        error = mse[:, step + 1]
        goes_on = still_helps(error, lowest, lengths[:, step], lengths[:, 0], tolerance)
        steps += running
        lowest = np.where(running, np.minimum(error, lowest), lowest)
        running &= goes_on
    return steps, lowest


def stopping_row(steps: np.ndarray, mse: np.ndarray, fixed: np.ndarray) -> dict[str, Any]:
    """Compare stopping early with fixed numbers of steps.

    Args:
        steps: (N,) that the images took.
        mse: (N,) their errors then.
        fixed: (N, S + 1) their errors after each number of steps.

    Returns:
        `steps`, the mean number; `mse` with its interval; `fixed_at_same_cost`, the mean error of
        as many steps for every image (between whole numbers, of the share of images that reaches
        the mean), and `difference` from it, image by image; `best_fixed`, the lowest mean of the
        first ten numbers of steps, and `loss`, how much more than that it is; `best_of_each`, the
        mean of each image's own best of them, and `loss_to_each`.
    """
    mse, fixed = mse.astype(np.float64), fixed.astype(np.float64)
    taken = steps.mean()
    below = int(taken)
    above, share = min(below + 1, fixed.shape[1] - 1), taken - below
    same = (1 - share) * fixed[:, below] + share * fixed[:, above]
    first = fixed[:, 1 : MOST_STEPS + 1]
    best, each = first.mean(axis=0).min(), first.min(axis=1).mean()
    return {
        "steps": float(taken),
        "mse": mean_record(mse),
        "fixed_at_same_cost": float(same.mean()),
        "difference": mean_record(mse - same),
        "best_fixed": float(best),
        "loss": float(mse.mean() / best - 1),
        "best_of_each": float(each),
        "loss_to_each": float(mse.mean() / each - 1),
    }


def _positive(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, 1e-12)
