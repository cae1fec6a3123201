"""What the loop does inside: measurements of every step of a model's refinement."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from restyle.inversion.adaptive import MOST_STEPS, still_helps
from restyle.inversion.methods import DEFAULT_STEPS
from restyle.losses.pixels import l2
from restyle.metrics.intervals import mean_record
from restyle.model import ReStyle
from restyle.refine import Estimate, pool_to, refine

BANDS = 6
"""Frequency bands, each an octave wide; the last one ends where the sampling does."""

TOLERANCES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Those that stopping early is tried with, beside its own."""

Arrays = dict[str, np.ndarray]


@torch.no_grad()
def trace(model: ReStyle, target: Tensor, start: Estimate, steps: int) -> dict[str, np.ndarray]:
    """Refine a batch and measure what every step changes.

    Args:
        model: The model.
        target: (B, 3, h, w) in [-1, 1].
        start: Where to start.
        steps: How many steps to take, S.

    Returns:
        For each image: `mse` (B, S + 1), the start first; `layers` (B, S, num_ws), length of the
        residual in each layer; `bands` (B, S, BANDS), energy of the image's change in each
        frequency band (`band_energy`). And `heat` (S, h, w), the change's mean magnitude over the
        images and the colours, in [-1, 1] units.
    """
    before, shown = start, pool_to(start.image, target)
    found: dict[str, list[Tensor]] = {"mse": [l2(shown, target)], "layers": [], "bands": []}
    heat = []
    for estimate in refine(model.encode, model.generate, target, start, steps):
        image = pool_to(estimate.image, target)
        change = image - shown
        found["mse"].append(l2(image, target))
        found["layers"].append((estimate.ws - before.ws).norm(dim=2))
        found["bands"].append(band_energy(change))
        heat.append(change.abs().mean(dim=(0, 1)))
        before, shown = estimate, image
    arrays = {name: torch.stack(parts, dim=1).cpu().numpy() for name, parts in found.items()}
    return arrays | {"heat": torch.stack(heat).cpu().numpy()}


def band_energy(images: Tensor) -> Tensor:
    """Measure the energy of images in octaves of radial frequency.

    Band 0 is the mean; the last one holds what is above a quarter of the sampling frequency, with
    the corners of the spectrum; each one before is half as wide.

    Args:
        images: (B, C, h, w).

    Returns:
        (B, BANDS); the sum is the mean square of the image.
    """
    height, width = images.shape[-2:]
    spectrum = torch.fft.fft2(images.float(), norm="forward").abs().square().sum(dim=1)
    y = torch.fft.fftfreq(height, device=images.device)[:, None]
    x = torch.fft.fftfreq(width, device=images.device)[None]
    radius = (x.square() + y.square()).sqrt()
    octave = (BANDS + 1 + torch.log2(radius.clamp(min=1e-9))).floor().clamp(1, BANDS - 1)
    band = torch.where(radius == 0, 0, octave).long()
    energy = torch.zeros(len(images), BANDS, device=images.device)
    energy.index_add_(1, band.flatten(), spectrum.flatten(1))
    return energy / images.shape[1]


def band_names() -> list[str]:
    """Name the bands, in cycles per pixel."""
    low = [2.0 ** (band - BANDS - 1) for band in range(BANDS)]
    inner = [f"{low[band]:.3g} to {low[band + 1]:.3g}" for band in range(2, BANDS - 1)]
    return ["mean", f"below {low[2]:.3g}", *inner, f"above {low[-1]:.3g}"]


@torch.no_grad()
def starts(
    model: ReStyle, target: Tensor, steps: int, seed: int, other: ReStyle | None = None
) -> Iterator[tuple[str, Estimate]]:
    """Find other starts of a refinement.

    Args:
        model: The model.
        target: (B, 3, h, w).
        steps: Of the refinement that gives other persons' codes.
        seed: Of the random codes.
        other: Another model of the same latent space, whose codes are tried too.

    Yields:
        A name and a start: the average, a random sample, the reconstruction of another image of
        the batch if there is one, and the other model's of the same image.
    """
    count = len(target)
    yield "average", model.start(count)
    yield "random sample", model.sample(count, seed)
    if count > 1:
        found = model.invert(target, steps, count)
        yield "another image's code", Estimate(found.ws.roll(1, 0), found.image.roll(1, 0))
    if other is not None:
        ws = other.invert(target, None, count).ws
        yield f"{other.name}'s code", Estimate(ws, model.generate(ws))


SPOILED = ("none", "noise of 0.2", "a quarter of the resolution")
"""The disturbances that leave everything in its place, so that what was spoiled is known."""


def disturbances(seed: int) -> dict[str, Callable[[Tensor], Tensor]]:
    """Return, by name, what makes images (B, 3, h, w) worse than those of the training."""

    def noise(images: Tensor) -> Tensor:
        random = torch.Generator().manual_seed(seed)
        return images + 0.2 * torch.randn(images.shape, generator=random).to(images)

    def blur(images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        small = F.interpolate(images, (height // 4, width // 4), mode="bilinear", antialias=True)
        return F.interpolate(small, (height, width), mode="bilinear")

    return {
        **dict(zip(SPOILED, (lambda images: images, noise, blur), strict=True)),
        "cropped to 85 %": partial(moved, scale=0.85),
        "shifted by 6 %": partial(moved, shift=0.06),
        "turned by 10 degrees": partial(moved, degrees=10),
    }


def moved(images: Tensor, scale: float = 1.0, shift: float = 0.0, degrees: float = 0.0) -> Tensor:
    """Zoom in, shift to the left and turn images (B, 3, h, w); edges are continued."""
    turn = torch.tensor(np.deg2rad(degrees))
    cos, sin = (turn.cos() * scale).item(), (turn.sin() * scale).item()
    matrix = torch.tensor([[cos, -sin, 2 * shift], [sin, cos, 0.0]]).to(images)
    grid = F.affine_grid(matrix.expand(len(images), 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


@torch.no_grad()
def disturbed(
    model: ReStyle, target: Tensor, steps: int, seed: int
) -> dict[str, dict[str, np.ndarray]]:
    """Invert disturbed images.

    Returns:
        For each disturbance: `mse` (B,), the squared error to what was shown to the model;
        `to_undisturbed` (B,), the distance of the codes from those of the undisturbed image as a
        share of those codes' distance from the average; and of those in `SPOILED` `mse_to_clean`
        (B,), the squared error to the undisturbed image.
    """
    plain = model.invert(target, steps, len(target))
    reach = (plain.ws - model.start_ws).flatten(1).norm(dim=1)
    found = {}
    for name, change in disturbances(seed).items():
        shown = change(target)
        result = model.invert(shown, steps, len(target))
        image = pool_to(result.image, shown)
        away = (result.ws - plain.ws).flatten(1).norm(dim=1) / reach
        found[name] = {"mse": l2(image, shown).cpu().numpy(), "to_undisturbed": away.cpu().numpy()}
        if name in SPOILED:
            found[name]["mse_to_clean"] = l2(image, target).cpu().numpy()
    return found


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


def measure(model: ReStyle, other: ReStyle | None, target: Tensor, steps: int, seed: int) -> Arrays:
    """Measure everything of one batch, under names that `summarise` knows."""
    found = trace(model, target, model.start(len(target)), steps)
    found["heat"] = found["heat"][None] * len(target)
    found["heat_of"] = np.array([len(target)])
    for name, start in starts(model, target, DEFAULT_STEPS, seed, other):
        found[f"start:{name}"] = trace(model, target, start, MOST_STEPS)["mse"]
    for name, values in disturbed(model, target, DEFAULT_STEPS, seed).items():
        found |= {f"disturbed:{name}:{key}": array for key, array in values.items()}
    stopped = model.invert(target, "auto", len(target))
    found["auto:mse"] = l2(pool_to(stopped.image, target), target).cpu().numpy()
    return found | {"auto:steps": stopped.steps_used.cpu().numpy()}


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
