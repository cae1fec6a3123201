"""Perceptual distance: how differently a network sees two images."""

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor


class FeatureMaps(Protocol):
    """A network whose inner maps can be compared.

    It may have a `calibration`: for each map a weight (C,) for each channel, learned from people's
    judgements. Without it all channels of all maps count alike.
    """

    def maps(self, images: Tensor) -> list[Tensor]:
        """Compute maps (B, C, h, w) of images (B, 3, H, W) in [-1, 1], from fine to coarse."""
        ...


Images = Tensor | Sequence[Tensor]
"""Images (B, 3, h, w) in [-1, 1], or the maps of them, when they are compared more than once."""


def perceptual(network: FeatureMaps, images: Images, targets: Images) -> Tensor:
    """Measure the perceptual distance of each image to its target; LPIPS if calibrated.

    At every place of every map the features are scaled to unit length; their squared distance is
    averaged over places and weighted over maps (Zhang et al. 2018, "The Unreasonable Effectiveness
    of Deep Features as a Perceptual Metric", equation 1).

    Args:
        network: Gives the maps.
        images: (B, 3, h, w), RGB in [-1, 1], or their maps.
        targets: The targets, likewise.

    Returns:
        (B,), from 0 to 4 without a calibration.

    Raises:
        ValueError: The maps differ in number or shape.
    """
    return distances_by_map(network, images, targets).sum(dim=1)


def distances_by_map(network: FeatureMaps, images: Images, targets: Images) -> Tensor:
    """Return the share of each map in `perceptual`, which has the same arguments: (B, maps)."""
    seen, wanted = (
        network.maps(one) if isinstance(one, Tensor) else one for one in (images, targets)
    )
    shapes, expected = [tuple(m.shape) for m in wanted], [tuple(m.shape) for m in seen]
    if shapes != expected:
        raise ValueError(f"targets: expected maps of shapes {expected}, got {shapes}")
    layers = zip(seen, wanted, _channel_weights(network, seen), strict=True)
    return torch.stack([_distance(a, b, weight) for a, b, weight in layers], dim=1)


def map_residuals(
    network: FeatureMaps, maps: Sequence[Tensor], targets: Sequence[Tensor], weight: float
) -> list[Tensor]:
    """Return residuals (B, M) for each map, whose squares sum to `weight` times `perceptual`."""
    layers = zip(maps, targets, _channel_weights(network, maps), strict=True)
    return [
        (_difference(a, b) * (weight * w / a[0, 0].numel()).sqrt()[:, None, None]).flatten(1)
        for a, b, w in layers
    ]


def _channel_weights(network: FeatureMaps, maps: Sequence[Tensor]) -> Sequence[Tensor]:
    alike = maps[0].new_full((1,), 1 / len(maps), dtype=torch.float32)
    return getattr(network, "calibration", [alike] * len(maps))


def _difference(a: Tensor, b: Tensor) -> Tensor:
    return F.normalize(a.float(), dim=1) - F.normalize(b.float(), dim=1)


def _distance(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    return (_difference(a, b).square() * weight[:, None, None]).sum(dim=1).mean(dim=(1, 2))
