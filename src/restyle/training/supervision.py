"""Portraits as teachers of a generator: each is drawn anew from what is known of it.

A discriminator says only how samples differ from the data on the whole. Where every attribute of a
picture is known, a generator can first learn to draw: the attributes become a normal vector
(`restyle.portraits.factors`), the mapping network's input, and what is rendered is compared with
the picture itself. That costs a third of an adversarial step, cannot leave out a part of the data,
and leaves the discriminators what they are good at, the sharpness. Shown what to draw, generators
learn as fast as other networks (Dosovitskiy et al. 2015, "Learning to Generate Chairs").
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from restyle.losses.perceptual import perceptual
from restyle.portraits import Portraits
from restyle.portraits.factors import WIDTH, normal_vectors
from restyle.registry import load_maps
from restyle.training.config import GeneratorTraining

PERCEPTUAL = 0.8
MAPPING_RATE = 1000.0
"""The mapping network has a hundredth of the learning rate of the others. That is for networks that
need not find out what their input means."""


class Supervision:
    """What portraits are drawn from, and how far a drawing is from them."""

    def __init__(self, config: GeneratorTraining, device: torch.device):
        """Load the network that compares images.

        Raises:
            ValueError: The data are no portraits, no network is named, or z is too narrow.
            CheckpointError: The network cannot be used.
        """
        if config.data != "portraits" or not config.feature_network:
            raise ValueError(
                "supervised_images: expected data portraits and a feature_network, found data "
                f"{config.data!r} and feature_network {config.feature_network!r}"
            )
        if config.z_dim < WIDTH:
            raise ValueError(f"z_dim: expected at least {WIDTH}, found {config.z_dim}")
        self._source = Portraits("train", config.size, config.style)
        self._width, self._device = config.z_dim, device
        self._network = load_maps(config.feature_network)
        self._network.to(device, memory_format=torch.channels_last)  # pyright: ignore

    def vectors(self, indices: Iterable[int]) -> Tensor:
        """The normal vectors (B, z_dim) of portraits, by their indices in the training split."""
        portraits = [self._source[index] for index in indices]
        return torch.from_numpy(normal_vectors(portraits, self._width)).to(self._device)

    def loss(self, image: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """How far images (B, 3, H, W) in [-1, 1] are from what they should be; and numbers."""
        with torch.no_grad():
            wanted = self._network.maps(target)
        seen = perceptual(self._network, image, wanted).mean()
        distance = (image - target).abs().mean()
        numbers = {"l1": distance.detach(), "perceptual": seen.detach()}
        return distance + PERCEPTUAL * seen, numbers
