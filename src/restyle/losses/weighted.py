"""The whole objective of an inversion: squared error, perceptual and identity distance."""

import hashlib
from typing import Any

import torch
from torch import Tensor

from restyle.io.checkpoints import weights_hash
from restyle.losses.extraction import Extracted, extract
from restyle.losses.perceptual import scaled_maps
from restyle.losses.pixels import difference


class WeightedLosses:
    """A weighted sum of distances, for methods that compare many images with one target."""

    def __init__(
        self,
        features: Any = None,
        l2: float = 1.0,
        perceptual: float = 0.8,
        identity: float = 0.1,
        dtype: torch.dtype = torch.float32,
        faces: Any = None,
    ):
        """Choose the weights; the defaults are those that ReStyle's encoders are trained with.

        Args:
            features: A network with `maps`, and with `embed` if it knows persons, frozen; None for
                the squared error alone.
            l2: Weight of the mean squared error.
            perceptual: Weight of the perceptual distance.
            identity: Weight of the identity distance.
            dtype: The precision of the network; below float32 by automatic mixed precision.
            faces: Another network with `embed`, instead of that of `features`.
        """
        self.features = features
        self.faces = features if faces is None and hasattr(features, "embed") else faces
        self.l2, self.perceptual, self.identity = l2, perceptual, identity
        self.dtype = dtype
        self._target: Tensor | None = None
        self._wanted: Extracted | None = None

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        """Return the distance (B,) of images (B, 3, h, w) in [-1, 1] to their targets."""
        return torch.stack([r.square().sum(dim=1) for r in self._parts(images, targets)]).sum(0)

    def residuals(self, images: Tensor, targets: Tensor) -> Tensor:
        """Return residuals (B, M) whose squared norms are the distances that a call gives.

        The perceptual distance and one minus the cosine are sums of squares of normalised features,
        so the whole objective is one for Gauss-Newton methods.
        """
        return torch.cat(self._parts(images, targets), dim=1)

    def _parts(self, images: Tensor, targets: Tensor) -> list[Tensor]:
        """Return the residuals (B, M) of each term, and of each map."""
        parts = [(self.l2 / images[0].numel()) ** 0.5 * difference(images, targets).flatten(1)]
        if self.features is not None:
            seen, wanted = self._extract(images), self._of(targets)
            for a, b in zip(seen.maps, wanted.maps, strict=True):
                parts.append(self.perceptual**0.5 * (a - b).flatten(1))
            if self.faces is not None:
                parts.append((self.identity / 2) ** 0.5 * (seen.embedding - wanted.embedding))
        return parts

    def digest(self) -> str:
        """Return a hash of what the distance depends on: the weights, and the network's own."""
        networks = [self.features] + [self.faces] * (self.faces is not self.features)
        hashes = [weights_hash(one.state_dict()) if one is not None else "none" for one in networks]
        text = f"{self.l2:g} {self.perceptual:g} {self.identity:g} {' '.join(hashes)}"
        return hashlib.sha256(text.encode()).hexdigest()

    def _of(self, targets: Tensor) -> Extracted:
        """Extract the targets' features, once as long as they are the same."""
        if self._wanted is None or self._target is not targets:
            with torch.no_grad():
                self._wanted = self._extract(targets)
            self._target = targets
        return self._wanted

    def _extract(self, images: Tensor) -> Extracted:
        mixed = self.dtype != torch.float32
        with torch.autocast(images.device.type, self.dtype, enabled=mixed):
            seen = extract(images, self.features, self.faces)
            return seen._replace(maps=scaled_maps(self.features, seen.maps))
