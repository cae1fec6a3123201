"""How the loop works inside a model: coarse to fine, convergence, starts, bad inputs, stopping."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from tqdm import tqdm

from restyle.evaluation.data import Targets
from restyle.evaluation.loop_analysis import disturbed, starts, stopped_at, stopped_early, trace
from restyle.evaluation.records import claim, kept_arrays
from restyle.hub.registry import load
from restyle.inversion.adaptive import MOST_STEPS
from restyle.inversion.methods import DEFAULT_STEPS
from restyle.io.files import write_json
from restyle.metrics.intervals import bootstrap_mean
from restyle.model import ReStyle

TOLERANCES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Those that stopping early is tried with, beside its own."""

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Analysis:
    """What is analysed.

    Attributes:
        model: What `restyle.load` takes; its encoder must see the current image.
        other: Another model of the same generator, whose codes are one of the starts; None for
            none.
        data: "portraits", "toon" or a folder of images.
        images: The first so many of them; 256 portraits or all of a folder if None.
        steps: Steps of refinement.
        seed: Of what is random.
    """

    model: str = "portraits"
    other: str | None = None
    data: str = "portraits"
    images: int | None = None
    steps: int = 20
    seed: int = 0


def analyse(
    config: Analysis, out: Path, device: str = "auto", batch_size: int = 16
) -> dict[str, Any]:
    """Analyse a model; batches that are done are not done again.

    Args:
        config: What is analysed.
        out: Keeps the measurements of each batch, and `results.json`.
        device: Where to compute.
        batch_size: Images at once.

    Returns:
        What is written to `results.json`, and under `heat` the maps (steps, h, w).

    Raises:
        ValueError: There is no such model, it has a single-shot encoder, it takes other codes than
            the other one, or `out` holds another analysis.
        ImageError: The folder holds no images.
    """
    model = load(config.model, device)
    other = load(config.other, device) if config.other is not None else None
    _check(model, other)
    settings = {
        **vars(config),
        "model_sha256": model.weights_hash(),
        "other_sha256": other and other.weights_hash(),
        "batch_size": batch_size,
    }
    claim(out, settings)
    count = config.images
    if count is None and config.data in ("portraits", "toon"):
        count = 256
    targets = Targets(config.data, model.domain.input_size, count)
    parts = []
    with tqdm(total=len(targets.names), unit="image", disable=None) as progress:
        for number, (names, batch) in enumerate(targets.batches(batch_size)):
            batch = batch.to(model.device)
            seed = config.seed + number
            parts.append(
                kept_arrays(
                    out / "parts" / f"{number:05d}-{targets.fingerprint(names)}.npz",
                    lambda batch=batch, seed=seed: measure(model, other, batch, config.steps, seed),
                )
            )
            progress.update(len(names))
    if not parts:
        raise targets.none_usable()
    found = _together(parts)
    heat = found.pop("heat").sum(axis=0) / found["heat_of"].sum()
    results = {**settings, "images": len(found["mse"]), "left_out": targets.left_out}
    results |= summarise(found)
    write_json(out / "results.json", results)
    return results | {"heat": heat}


def measure(model: ReStyle, other: ReStyle | None, target: Tensor, steps: int, seed: int) -> Arrays:
    """All measurements of one batch, under names that `summarise` knows."""
    found = trace(model, target, model.start(len(target)), steps)
    found["heat"] = found["heat"][None] * len(target)
    found["heat_of"] = np.array([len(target)])
    for name, start in starts(model, target, DEFAULT_STEPS, seed, other):
        found[f"start:{name}"] = trace(model, target, start, MOST_STEPS)["mse"]
    for name, values in disturbed(model, target, DEFAULT_STEPS, seed).items():
        found |= {f"disturbed:{name}:{key}": array for key, array in values.items()}
    stopped = stopped_early(model, target)
    return found | {f"auto:{key}": array for key, array in stopped.items()}


def summarise(found: Arrays) -> dict[str, Any]:
    """From the values of all images to figures with 95 % intervals."""
    return {
        "steps": step_rows(found),
        "layers": found["layers"].mean(axis=0).tolist(),
        "bands": band_shares(found["bands"]).mean(axis=0).tolist(),
        "starts": _groups(found, "start:", lambda name, mse: {"mse": mse.mean(axis=0).tolist()}),
        "disturbances": disturbance_rows(found),
        "early_stopping": early_stopping(found),
    }


def step_rows(found: Arrays) -> list[dict[str, Any]]:
    """For each step: error, size of the change, its centre in layers and octaves, who gained.

    `ratio` is the length of a residual to that of the step before; `finer` says how far up in the
    bands (0: the mean of the image) and `layer` in which layer the change's centre lies.
    """
    mse, layers = found["mse"], found["layers"]
    lengths = np.linalg.norm(layers, axis=2)  # (N, S)
    band = (band_shares(found["bands"]) * np.arange(found["bands"].shape[2])).sum(axis=2)
    energy = np.square(layers)
    layer = (energy * np.arange(layers.shape[2])).sum(axis=2) / _positive(energy.sum(axis=2))
    rows: list[dict[str, Any]] = [{"step": 0, "mse": bootstrap_mean(mse[:, 0])._asdict()}]
    for step in range(1, mse.shape[1]):
        row = {
            "step": step,
            "mse": bootstrap_mean(mse[:, step])._asdict(),
            "length": bootstrap_mean(lengths[:, step - 1])._asdict(),
            "change": float(np.sqrt(found["bands"][:, step - 1].sum(axis=1)).mean()),
            "band": bootstrap_mean(band[:, step - 1])._asdict(),
            "layer": bootstrap_mean(layer[:, step - 1])._asdict(),
            "improved": float((mse[:, step] < mse[:, step - 1]).mean()),
            "worse_by_1_percent": float((mse[:, step] > 1.01 * mse[:, step - 1]).mean()),
        }
        if step > 1:
            ratio = lengths[:, step - 1] / _positive(lengths[:, step - 2])
            row["ratio"] = dict(
                zip(
                    ("low", "median", "high"),
                    np.quantile(ratio, (0.25, 0.5, 0.75)).tolist(),
                    strict=True,
                )
            )
        rows.append(row)
    return rows


def band_shares(bands: np.ndarray) -> np.ndarray:
    """The energies of each image's change as shares that sum to 1."""
    return bands / _positive(bands.sum(axis=2, keepdims=True))


def disturbance_rows(found: Arrays) -> list[dict[str, Any]]:
    """For each disturbance: the error to what was shown, and how far the codes moved."""
    rows: dict[str, dict[str, Any]] = {}
    for key, values in found.items():
        if key.startswith("disturbed:"):
            _, name, figure = key.split(":")
            rows.setdefault(name, {"disturbance": name})[figure] = bootstrap_mean(values)._asdict()
    return list(rows.values())


def early_stopping(found: Arrays) -> dict[str, Any]:
    """What `steps="auto"` costs and loses, and what it would with other tolerances.

    Returns:
        What `stopping_row` gives of the measured run; `histogram`, how many images took how many
        steps; `fixed`, the mean error after each number of steps up to the most; `tolerances`, a
        row each as of the measured run, from what the steps of all images are known to give.
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
        "mse": bootstrap_mean(mse)._asdict(),
        "fixed_at_same_cost": float(same.mean()),
        "difference": bootstrap_mean(mse - same)._asdict(),
        "best_fixed": float(best),
        "loss": float(mse.mean() / best - 1),
        "best_of_each": float(each),
        "loss_to_each": float(mse.mean() / each - 1),
    }


def _groups(found: Arrays, prefix: str, row: Any) -> list[dict[str, Any]]:
    return [
        {"name": key.removeprefix(prefix), **row(key, values)}
        for key, values in found.items()
        if key.startswith(prefix)
    ]


def _together(parts: list[Arrays]) -> Arrays:
    names = {name: None for part in parts for name in part}  # in order
    return {name: np.concatenate([p[name] for p in parts if name in p]) for name in names}


def _positive(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, 1e-12)


def _check(model: ReStyle, other: ReStyle | None) -> None:
    if model.single_shot:
        raise ValueError(
            f"expected a model that refines, got '{model.name}' with a single-shot encoder"
        )
    if other is not None and other.start_ws.shape != model.start_ws.shape:
        raise ValueError(
            f"expected codes of shape {tuple(model.start_ws.shape)} from the other model, "
            f"got {tuple(other.start_ws.shape)}"
        )
