"""Portraits as teachers of a generator: each is drawn anew from what is known of it.

A discriminator says only how samples differ from the data on the whole. Where every attribute of a
picture is known, a generator can first learn to draw: the attributes become a normal vector
(`restyle.portraits.gaussian`), the mapping network's input, and what is rendered is compared with
the picture itself (Dosovitskiy et al. 2015, "Learning to Generate Chairs"). That costs a third of
an adversarial step, cannot leave out a part of the data, and leaves the discriminators what they
are good at, the sharpness.

The mapping network comes first: it learns within two minutes to unfold the vectors into codes in
which every attribute is a direction, and every class a corner. It can also come last, alone: what a
feature network reads in a drawing then says where in the space of codes a hat has come to lie.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np
import torch
from torch import Tensor
from tqdm import trange

from restyle.generators.stylegan2 import Mapping, StyleGAN2Config
from restyle.hub.registry import load_maps
from restyle.losses.perceptual import perceptual
from restyle.losses.pixels import pyramid
from restyle.portraits import Portraits
from restyle.portraits.attributes import class_names, continuous_names
from restyle.portraits.features import FeatureNetwork
from restyle.portraits.gaussian import WIDTH, meanings, normal_vectors
from restyle.training.config import GeneratorTraining

PERCEPTUAL = 0.8
STEPS, BATCH, RATE = 8000, 1024, 20.0  # of the mapping network's lessons
VALUE_DEVIATION = 0.45  # of most attributes, where their range is -1 to 1
CONTRAST = 2.0  # from a class to the next, where a continuous attribute deviates by 1
ENTRIES = len(continuous_names) + sum(len(names) - 1 for names in class_names.values())


def vectors_of(portraits: Portraits, width: int, indices: Iterable[int]) -> Tensor:
    """Give the normal vectors (B, width) of portraits by their indices, on the CPU."""
    return torch.from_numpy(normal_vectors([portraits[index] for index in indices], width))


class AttributePretraining:
    """The vectors that portraits are drawn from, and the distance of a drawing."""

    def __init__(self, config: GeneratorTraining, device: torch.device):
        """Load the network that compares images.

        Raises:
            ValueError: The data are no portraits, no network is named, or z or w is too narrow.
            CheckpointError: The network cannot be used.
        """
        if config.data != "portraits" or not config.feature_network:
            raise ValueError(
                "supervised_images: expected data portraits and a feature_network, got data "
                f"{config.data!r} and feature_network {config.feature_network!r}"
            )
        if config.z_dim < WIDTH:
            raise ValueError(f"z_dim: expected at least {WIDTH}, got {config.z_dim}")
        if config.w_dim < ENTRIES:
            raise ValueError(f"w_dim: expected at least {ENTRIES}, got {config.w_dim}")
        portraits = Portraits("train", config.size, config.style)
        self.vectors = partial(vectors_of, portraits, config.z_dim)
        """The vectors of portraits, by their indices in the training split."""
        network = load_maps(config.feature_network)
        if config.supervised_features and not isinstance(network, FeatureNetwork):
            raise ValueError(
                "supervised_features: expected a feature_network for portraits, got "
                f"{config.feature_network!r}"
            )
        self._network = network.to(device, memory_format=torch.channels_last)  # pyright: ignore
        self._features, self._pyramid = config.supervised_features, config.supervised_pyramid

    def loss(self, image: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Measure how far images (B, 3, H, W) in [-1, 1] are from their targets; and numbers."""
        network = self._network
        with torch.no_grad():
            wanted = network.maps(target)
        maps = network.maps(image)
        numbers = {
            "l1": (image - target).abs().mean(),
            "perceptual": perceptual(network, maps, wanted).mean(),
        }
        loss = numbers["l1"] + PERCEPTUAL * numbers["perceptual"]
        if self._pyramid:
            numbers["pyramid"] = pyramid(image, target).mean()
            loss = loss + self._pyramid * numbers["pyramid"]
        if self._features:
            assert isinstance(network, FeatureNetwork)  # or it would not have been built
            missed = network.features(image, maps) - network.features(target, wanted)
            numbers["features"] = missed.square().mean()
            loss = loss + self._features * numbers["features"]
        return loss, {name: value.detach() for name, value in numbers.items()}


def teach_mapping(mapping: Mapping, config: StyleGAN2Config, show: bool = False) -> float:
    """Teach a mapping network codes that are linear in the attributes of portraits.

    The codes are the attributes turned by a random rotation, so that none of them is the matter of
    single entries.

    Args:
        mapping: Freshly initialised, of at least as many outputs as there are values and classes.
        config: The shape of its generator.
        show: Show the progress.

    Returns:
        The share of the codes' variance that it has missed at the end.
    """
    device = next(mapping.parameters()).device
    random = torch.Generator().manual_seed(0)
    rotation = torch.linalg.qr(torch.randn(config.w_dim, ENTRIES, generator=random))[0].t()
    optimiser = torch.optim.Adam(mapping.parameters(), lr=RATE, betas=(0.9, 0.99))
    loss = wanted = torch.empty(0)
    for step in trange(STEPS, desc="mapping", disable=not show, mininterval=10):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        z = torch.randn(BATCH, config.z_dim, generator=random)
        wanted = (torch.from_numpy(_known(z.numpy())).float() @ rotation).to(device)
        loss = (mapping(z.to(device)) - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return loss.item() / wanted.var(dim=0).mean().item()


def _known(z: np.ndarray) -> np.ndarray:
    """Give what codes are linear in: (N, ENTRIES) values, and steps from class to class."""
    values, labels = meanings(z)
    counts = [len(names) for names in class_names.values()]
    steps = [labels[:, [column]] >= np.arange(1, count) for column, count in enumerate(counts)]
    return np.concatenate([values / VALUE_DEVIATION, *(CONTRAST * step for step in steps)], axis=1)
