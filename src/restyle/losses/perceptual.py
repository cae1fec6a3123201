"""Perceptual distance: how differently a network sees two images."""

from collections.abc import Sequence
from typing import Protocol

import torch
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
    pairs = zip(scaled_maps(network, seen), scaled_maps(network, wanted), strict=True)
    return torch.stack([(a - b).square().sum(dim=(1, 2, 3)) for a, b in pairs], dim=1)


def scaled_maps(network: FeatureMaps, maps: Sequence[Tensor]) -> list[Tensor]:
    """Scale maps (B, C, h, w) so that two images' distance is the sum of their squared differences.

    Targets that are compared often are scaled once.
    """
    alike = maps[0].new_full((1,), 1 / len(maps), dtype=torch.float32)
    weights = getattr(network, "calibration", [alike] * len(maps))
    return [
        _unit(x.float()) * (weight / x[0, 0].numel()).sqrt()[:, None, None]
        for x, weight in zip(maps, weights, strict=True)
    ]


def _unit(x: Tensor) -> Tensor:
    # As F.normalize, whose norm over channels takes three times as long on CPUs.
    return x * x.square().sum(dim=1, keepdim=True).clamp_min(1e-24).rsqrt()
