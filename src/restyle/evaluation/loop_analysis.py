"""Measurements of every step of a model's refinement: what the loop does inside."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from restyle.evaluation.loop_summary import Arrays
from restyle.evaluation.way import Way
from restyle.inversion.adaptive import MOST_STEPS
from restyle.inversion.methods import DEFAULT_STEPS
from restyle.losses.pixels import l2
from restyle.model import ReStyle
from restyle.refine import Estimate, pool_to, refine

BANDS = 6
"""Frequency bands, each an octave wide; the last one ends where the sampling does."""


@torch.no_grad()
def trace(model: ReStyle, target: Tensor, start: Estimate, steps: int) -> Arrays:
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
def disturbed(model: ReStyle, target: Tensor, steps: int, seed: int) -> dict[str, Arrays]:
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


def measure(
    model: ReStyle,
    other: ReStyle | None,
    way: Way | None,
    target: Tensor,
    steps: int,
    seed: int,
) -> Arrays:
    """Measure everything of one batch, under names that `loop_summary` knows."""
    found = trace(model, target, model.start(len(target)), steps)
    found["heat"] = found["heat"][None] * len(target)
    found["heat_of"] = np.array([len(target)])
    for name, start in starts(model, target, DEFAULT_STEPS, seed, other):
        found[f"start:{name}"] = trace(model, target, start, MOST_STEPS)["mse"]
    for name, values in disturbed(model, target, DEFAULT_STEPS, seed).items():
        found |= {f"disturbed:{name}:{key}": array for key, array in values.items()}
    stopped = model.invert(target, "auto", len(target))
    found["auto:mse"] = l2(pool_to(stopped.image, target), target).cpu().numpy()
    found["auto:steps"] = stopped.steps_used.cpu().numpy()
    return found | way.measure(target) if way else found
