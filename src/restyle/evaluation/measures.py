"""What is measured on each reconstruction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from restyle.losses.identity import identity
from restyle.losses.perceptual import perceptual
from restyle.losses.pixels import l2
from restyle.metrics.pixels import ms_ssim, psnr
from restyle.refine import pooled


class Measure(NamedTuple):
    """One figure: what it is called, and how it is read."""

    title: str
    digits: int
    higher_is_better: bool = False


MEASURES = {
    "mse": Measure("MSE", 4),
    "psnr": Measure("PSNR (dB)", 2, higher_is_better=True),
    "ms_ssim": Measure("MS-SSIM (at 256 px)", 3, higher_is_better=True),
    "perceptual": Measure("perceptual distance", 4),
    "identity": Measure("identity distance", 4),
}


class Judge:
    """Measures reconstructions at the size of their targets; every image counts."""

    def __init__(self, network: Any, names: Sequence[str] = tuple(MEASURES)):
        """Choose what is measured.

        Args:
            network: Gives `maps` and `embed` for the perceptual and the identity distance.
            names: Of the measures.

        Raises:
            ValueError: There is no such measure.
        """
        unknown = sorted(set(names) - set(MEASURES))
        if unknown:
            raise ValueError(f"expected measures of {', '.join(MEASURES)}, found {unknown[0]!r}")
        self.network = network
        self.names = tuple(names)

    @torch.no_grad()
    def against(self, target: Tensor) -> Callable[[Tensor], dict[str, list[float]]]:
        """Prepare to measure against targets (B, 3, h, w) in [-1, 1].

        Returns:
            A function of images (B, 3, H, W), which are area-pooled to the target's size. It gives
            B values of every measure.
        """
        maps: Any = self.network.maps(target) if "perceptual" in self.names else None
        embedding: Any = self.network.embed(target) if "identity" in self.names else None
        functions = {
            "mse": lambda image: l2(image, target),
            "psnr": lambda image: psnr(image, target),
            "ms_ssim": lambda image: ms_ssim(image, target),
            "perceptual": lambda image: perceptual(self.network, image, maps),
            "identity": lambda image: identity(self.network, image, embedding),
        }

        @torch.no_grad()
        def measure(image: Tensor) -> dict[str, list[float]]:
            small = pooled(image, target)
            return {name: functions[name](small).tolist() for name in self.names}

        return measure
