"""The whole objective of an inversion: squared error, perceptual and identity distance."""

from typing import Any

import torch
from torch import Tensor

from restyle.losses.extraction import Extracted, extract
from restyle.losses.identity import identity
from restyle.losses.perceptual import perceptual
from restyle.losses.pixels import l2


class WeightedLosses:
    """A weighted sum of distances, for methods that compare many images with one target."""

    def __init__(
        self,
        features: Any = None,
        l2: float = 1.0,
        perceptual: float = 0.8,
        identity: float = 0.1,
        dtype: torch.dtype = torch.float32,
    ):
        """Choose the weights; the defaults are those that ReStyle's encoders are trained with.

        Args:
            features: A network with `maps` and `embed`, frozen; None for the squared error alone.
            l2: Weight of the mean squared error.
            perceptual: Weight of the perceptual distance.
            identity: Weight of the identity distance.
            dtype: The precision of the network; below float32 by automatic mixed precision.
        """
        self.features = features
        self.l2, self.perceptual, self.identity = l2, perceptual, identity
        self.dtype = dtype
        self._target: Tensor | None = None
        self._wanted: Extracted | None = None

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        """The distance (B,) of images (B, 3, h, w) in [-1, 1] to their targets."""
        total = self.l2 * l2(images, targets)
        if self.features is None:
            return total
        seen, wanted = self._extract(images), self._of(targets)
        total = total + self.perceptual * perceptual(self.features, seen.maps, wanted.maps)
        return total + self.identity * identity(self.features, seen.embedding, wanted.embedding)

    def _of(self, targets: Tensor) -> Extracted:
        """What the network sees in the targets; computed once as long as they are the same."""
        if self._wanted is None or self._target is not targets:
            with torch.no_grad():
                self._wanted = self._extract(targets)
            self._target = targets
        return self._wanted

    def _extract(self, images: Tensor) -> Extracted:
        mixed = self.dtype != torch.float32
        with torch.autocast(images.device.type, self.dtype, enabled=mixed):
            return extract(images, self.features, self.features)
