"""Style space S: how its channels vary, and edits in it.

Source: Wu, Lischinski and Shechtman, "StyleSpace Analysis: Disentangled Controls for StyleGAN Image
Generation" (CVPR 2021): single channels of S change less besides what they change than directions
of W do, and are moved by their own deviation over the generator's samples (section 4).
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from restyle.editing.directions import Direction, DirectionError
from restyle.editing.edits import checked_strength, layer_numbers
from restyle.generators.stylegan2 import StyleGAN2
from restyle.generators.styles import StyleLayer, affine, style_layers
from restyle.io.checkpoints import CheckpointError, weights_hash
from restyle.io.tied import TiedFile
from restyle.refine import Estimate

SAMPLES = 100_000
"""Codes that the statistics of channels are measured over."""

LARGEST = 1e5
"""Largest number in styles: those of generators stay below about 100."""

_CHUNK = 10_000


@dataclass(frozen=True)
class Styled(Estimate):
    """An edit in style space.

    Attributes:
        ws: (B, num_ws, D), the codes that it began with, moved by edits in W and W+ alone.
        image: (B, 3, H, W), the render of the styles.
        styles: (B, S), those of the codes, moved by edits in S.
    """

    styles: Tensor = field(kw_only=True)


@dataclass(frozen=True)
class StyleStatistics:
    """How the styles of a generator's samples vary, channel by channel.

    Attributes:
        mean: (S,).
        deviation: (S,), standard deviations.
    """

    mean: Tensor
    deviation: Tensor


@torch.no_grad()
def measure_statistics(generator: StyleGAN2, samples: int = SAMPLES) -> StyleStatistics:
    """Measure the mean and the deviation of every channel over samples, in bounded memory.

    Styles are affine in w, so that the mean and the covariance of w hold all that is asked for.
    """
    matrix, bias = (part.double().cpu() for part in affine(generator.synthesis))
    total = torch.zeros(matrix.shape[1], dtype=torch.float64)
    products = torch.zeros(2 * (matrix.shape[1],), dtype=torch.float64)
    for seed, first in enumerate(range(0, samples, _CHUNK)):
        w = generator.sample_w(min(_CHUNK, samples - first), seed).double().cpu()
        total += w.sum(dim=0)
        products += w.T @ w
    mean = total / samples
    covariance = products / samples - torch.outer(mean, mean)
    variance = ((matrix @ covariance) * matrix).sum(dim=1).clamp_min(0)
    return StyleStatistics((matrix @ mean + bias).float(), variance.sqrt().float())


def statistics_file(generator: StyleGAN2) -> TiedFile:
    """Return where a generator's statistics are kept."""
    return TiedFile("styles", {"generator_sha256": weights_hash(generator.state_dict())})


def statistics_of(generator: StyleGAN2, folder: Path | None = None) -> StyleStatistics:
    """Return a generator's statistics: the model's, the cache's, or new ones, which are kept.

    Args:
        generator: On any device.
        folder: Of the model's checkpoint, where they may lie.

    Raises:
        CheckpointError: A file is damaged, or the folder's is of another generator.
    """
    file, count = statistics_file(generator), style_layers(generator.synthesis)[-1].stop
    tensors = file.find(folder)
    if tensors is None:
        print("measuring how this generator's styles vary, once", file=sys.stderr)
        found = measure_statistics(generator)
        try:
            file.write(file.cached, vars(found))
        except OSError as error:
            warnings.warn(f"the statistics of styles are not kept: {error}", stacklevel=2)
        return found
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if shapes != {"mean": (count,), "deviation": (count,)}:
        raise CheckpointError(f"expected statistics of {count} channels, got {shapes}")
    return StyleStatistics(**tensors)


def check_styles(styles: Tensor, channels: int) -> None:
    """Refuse what are no styles (B, S), float, of so many channels, at most 100,000 either way.

    Raises:
        ValueError: Another shape or type, none, NaN, or numbers that no style has.
    """
    wanted = f"expected styles (B, {channels})"
    if not isinstance(styles, Tensor) or not styles.is_floating_point():
        found = getattr(styles, "dtype", type(styles).__name__)
        raise ValueError(f"{wanted} of floats, got {found}")
    if styles.ndim != 2 or not len(styles) or styles.shape[1] != channels:
        raise ValueError(f"{wanted}, got {tuple(styles.shape)}")
    largest = styles.detach().abs().amax()
    if not bool(largest <= LARGEST):  # NaN is not, either
        raise ValueError(f"{wanted} of at most {LARGEST:,.0f} either way, got {float(largest):g}")


def check_direction(direction: Direction, layers: Sequence[StyleLayer]) -> None:
    """Check that a direction in S can move the styles of a generator.

    Raises:
        DirectionError: It has another number of channels, or layers that there are not.
    """
    shape, channels = tuple(direction.vector.shape), layers[-1].stop
    if shape != (channels,):
        raise DirectionError(
            f"direction '{direction.name}': expected {channels} channels of S for this generator, "
            f"got {shape}"
        )
    direction.check_layers(max(layer.row for layer in layers) + 1)


def calibrated(direction: Direction, generator: StyleGAN2, w: Tensor) -> Direction:
    """Return a direction in S with its scale measured over the styles of codes (N, D)."""
    matrix, bias = affine(generator.synthesis)
    parts = [part @ matrix.T + bias for part in w.split(_CHUNK)]
    return direction.calibrated(torch.cat(parts))


def shift_styles(
    styles: Tensor,
    direction: Direction,
    strength: float | Tensor,
    layers: Sequence[StyleLayer],
    rows: str | Sequence[int] | None = None,
) -> Tensor:
    """Move styles along a direction in S.

    Args:
        styles: (B, S).
        direction: Where to; its scale must be known.
        strength: How far, in standard deviations of the generator's styles along the direction; one
            number, or (B,).
        layers: Of the styles.
        rows: The rows of W+ whose styles are moved; those of the direction if None.

    Returns:
        New styles (B, S).

    Raises:
        ValueError: The direction does not fit or has no scale, a strength is not a finite number,
            or there are no such layers.
    """
    check_direction(direction, layers)
    if direction.scale is None:
        raise ValueError(f"direction '{direction.name}': expected a scale, got none")
    amount = checked_strength(strength, styles)
    num_ws = max(layer.row for layer in layers) + 1
    kept = layer_numbers(direction.layers if rows is None else rows, num_ws)
    step = direction.vector.to(styles) * direction.scale
    for layer in layers:
        if layer.row not in kept:
            step[layer.start : layer.stop] = 0
    return styles + amount.reshape(-1, 1) * step
