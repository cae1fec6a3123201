"""What the loop does inside: measurements of every step of a model's refinement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from restyle.inversion.adaptive import MOST_STEPS, still_helps
from restyle.losses.pixels import l2
from restyle.model import ReStyle
from restyle.refine import Estimate, pool_to, refine

BANDS = 6
"""Frequency bands, each an octave wide; the last one ends where the sampling does."""


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
    """The energy of images in octaves of radial frequency.

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
    """What the bands are called, in cycles per pixel."""
    low = [2.0 ** (band - BANDS - 1) for band in range(BANDS)]
    inner = [f"{low[band]:.3g} to {low[band + 1]:.3g}" for band in range(2, BANDS - 1)]
    return ["mean", f"below {low[2]:.3g}", *inner, f"above {low[-1]:.3g}"]


@torch.no_grad()
def starts(
    model: ReStyle, target: Tensor, steps: int, seed: int, other: ReStyle | None = None
) -> Iterator[tuple[str, Estimate]]:
    """Where else a refinement could start.

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
    """Ways in which an input can be worse than those that a model was trained on.

    Returns:
        By name, what turns images (B, 3, h, w) in [-1, 1] into disturbed ones.
    """

    def noise(images: Tensor) -> Tensor:
        random = torch.Generator().manual_seed(seed)
        return images + 0.2 * torch.randn(images.shape, generator=random).to(images)

    def blur(images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        small = F.interpolate(images, (height // 4, width // 4), mode="bilinear", antialias=True)
        return F.interpolate(small, (height, width), mode="bilinear")

    return {
        SPOILED[0]: lambda images: images,
        SPOILED[1]: noise,
        SPOILED[2]: blur,
        "cropped to 85 %": lambda images: moved(images, scale=0.85),
        "shifted by 6 %": lambda images: moved(images, shift=0.06),
        "turned by 10 degrees": lambda images: moved(images, degrees=10),
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
        found[name] = {
            "mse": l2(image, shown).cpu().numpy(),
            "to_undisturbed": away.cpu().numpy(),
        }
        if name in SPOILED:
            found[name]["mse_to_clean"] = l2(image, target).cpu().numpy()
    return found


def stopped_at(
    mse: np.ndarray, lengths: np.ndarray, tolerance: float, most_steps: int = MOST_STEPS
) -> tuple[np.ndarray, np.ndarray]:
    """What `refine_until` would do at a tolerance, from what the steps are known to give.

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


def stopped_early(model: ReStyle, target: Tensor) -> dict[str, Any]:
    """Invert with `steps="auto"`: `mse` (B,), `steps` (B,) that each image took."""
    result = model.invert(target, "auto", len(target))
    image = pool_to(result.image, target)
    return {"mse": l2(image, target).cpu().numpy(), "steps": result.steps_used.cpu().numpy()}
