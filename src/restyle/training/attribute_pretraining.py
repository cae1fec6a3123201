"""Portraits as teachers of a generator: each is drawn anew from what is known of it.

A discriminator says only how samples differ from the data on the whole. Where every attribute of a
picture is known, a generator can first learn to draw: the attributes become a normal vector
(`restyle.portraits.gaussian`), the mapping network's input, and what is rendered is compared with
the picture itself (Dosovitskiy et al. 2015, "Learning to Generate Chairs"). That costs a third of
an adversarial step, cannot leave out a part of the data, and leaves the discriminators what they
are good at, the sharpness.

The mapping network is built, not trained: it unfolds the vectors into codes in which every
attribute is a direction, and every class a corner. One that is trained makes ramps of the steps
between classes, and what is drawn from a code between two hats is the ghost of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from restyle.generators.stylegan2 import GAIN, Mapping, StyleGAN2
from restyle.hub.registry import load_maps
from restyle.losses.perceptual import perceptual
from restyle.losses.pixels import pyramid
from restyle.nn.layers import EqualLinear, leaky_relu, pixel_norm
from restyle.portraits import Portraits
from restyle.portraits.attributes import SCHEMA, class_names, continuous_names
from restyle.portraits.features import FeatureNetwork
from restyle.portraits.gaussian import WIDTH, meanings, normal_vectors, table
from restyle.portraits.reading import CLASSES
from restyle.training.config import GeneratorTraining

PERCEPTUAL = 0.8
VALUE_DEVIATION = 0.45  # of most attributes, where their range is -1 to 1
CONTRAST = 2.0  # from a class to the next, where a continuous attribute deviates by 1
BORDERS = sum(len(names) - 1 for names in class_names.values())
ENTRIES = len(continuous_names) + BORDERS
LAYERS, UNITS = 4, 3 * len(continuous_names) + BORDERS  # the least of a mapping network
SAMPLES, TAIL = 30_000, 1e-3
STEP = 0.05  # half of a step's width after the first layer
FAR, BEND = 8.0, 1.0  # quantiles: beyond all, and from where values bend
LEAST = 0.4  # of the largest, that a rebuilt network makes a difference


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
        for name, least in (("w_dim", UNITS), ("mapping_layers", LAYERS)):
            if getattr(config, name) < least:
                raise ValueError(f"{name}: expected at least {least}, got {getattr(config, name)}")
        portraits = Portraits("train", config.size, config.style)
        self.vectors = partial(vectors_of, portraits, config.z_dim)
        """The vectors of portraits, by their indices in the training split."""
        network = load_maps(config.feature_network)
        self._network = network.to(device, memory_format=torch.channels_last)  # pyright: ignore
        self._pyramid = config.supervised_pyramid

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
        return loss, {name: value.detach() for name, value in numbers.items()}


def build_mapping(generator: StyleGAN2, fresh: bool) -> None:
    """Give a generator the mapping network that unfolds vectors into what portraits are made of.

    Its first three layers make every border between classes a step, 0.01 wide, and bend the
    quantiles of values back into values; the last one adds up codes. They are shifted, so that its
    activation leaves them alone, and what synthesis makes of them is not.

    Args:
        generator: Its mapping network is `LAYERS` deep and `UNITS` wide, or more.
        fresh: Whether codes are a random rotation, so that no attribute is the matter of single
            entries; otherwise they mean what they did: the nearest linear function of what
            portraits are made of takes the place of the network that was trained. What that one
            did not tell apart, codes are told apart by from now on.
    """
    device = generator.w_avg.device
    generator.cpu()
    z = torch.randn(SAMPLES, generator.config.z_dim, generator=_random())
    known = _known(z)
    if fresh:
        square = torch.randn(generator.config.w_dim, ENTRIES, generator=_random())
        codes, origin = torch.linalg.qr(square)[0].t(), torch.zeros(generator.config.w_dim)
    else:
        ws = generator.mapping(z).detach()
        codes = torch.linalg.lstsq(known - known.mean(dim=0), ws - ws.mean(dim=0)).solution
        u, kept, v = torch.linalg.svd(codes, full_matrices=False)
        codes = u @ torch.diag(kept.clamp(min=LEAST * kept[0])) @ v
        origin = (ws - known @ codes).mean(dim=0)
    wanted = known @ codes + origin
    shift = -wanted.quantile(TAIL, dim=0)
    _unfold(generator.mapping, z, wanted + shift)
    for _, layer in generator.synthesis.modulated():
        style = layer.style
        style.bias.data -= F.linear(shift, style.weight * style.scale).detach()
    generator.to(device)


@torch.no_grad()
def linear_codes(generator: StyleGAN2, network: FeatureNetwork) -> tuple[Tensor, Tensor]:
    """Fit the linear function from what a network reads of portraits to their codes.

    Args:
        generator: It was supervised by attributes.
        network: Its scale of values is the one that is meant.

    Returns:
        (w_dim, entries) weights, for standardised values and then the probabilities of all
        classes, and (w_dim,) what is added; codes are measured from the average.
    """
    z = torch.randn(SAMPLES, generator.config.z_dim, generator=_random())
    values, labels = meanings(z.numpy())
    hot = [F.one_hot(one, n) for one, n in zip(torch.from_numpy(labels).t(), CLASSES, strict=True)]
    read = network.standardise(torch.from_numpy(values).float())
    known = torch.cat([read, *hot, torch.ones(len(z), 1)], dim=1).double()
    wanted = generator.mapping(z) - generator.w_avg
    # One entry of each class too many: of all solutions the smallest.
    found = torch.linalg.lstsq(known, wanted.double(), driver="gelsd").solution.float()
    return found[:-1].t(), found[-1]


def _unfold(mapping: Mapping, z: Tensor, wanted: Tensor) -> None:
    """Build the layers, the last one for the codes that are wanted of the vectors."""
    names = list(SCHEMA)
    values, n = [names.index(name) for name in continuous_names], len(continuous_names)
    borders = [(i, t) for i, name in enumerate(names) if name in class_names for t in table(name)]
    steps, at, m = [i for i, _ in borders], torch.tensor([t for _, t in borders]), len(borders)
    # A border is where two slopes part, and a step what they differ by: 0.25 before, 1.25 behind.
    slope = 1 / (1.6 * STEP)
    parts = torch.tensor([STEP, -STEP])[:, None]
    one, difference = torch.eye(len(names)), torch.cat([torch.eye(m), -torch.eye(m)], dim=1)
    straight, bent = torch.eye(n), torch.full((n,), FAR)
    layers = cast(Sequence[EqualLinear], mapping.layers)
    _set(
        layers[0],
        torch.cat([one[values], slope * one[steps * 2]]),
        torch.cat([bent, (slope * (parts - at)).flatten()]),
    )
    _set(
        layers[1],
        torch.block_diag(straight, slope * difference.repeat(2, 1)),
        torch.cat([0 * bent, (slope * (parts - 0.75)).expand(2, m).flatten()]),
    )
    _set(
        layers[2],
        torch.block_diag(torch.cat([straight, straight, -straight]), difference),
        torch.cat([0 * bent, -bent - BEND, bent - BEND, torch.full((m,), -0.25)]),
    )
    width = 3 * n + m
    for layer in layers[3:-1]:
        _set(layer, torch.eye(width), torch.zeros(width))
    with torch.no_grad():
        x = pixel_norm(z)
        for layer in layers[:-1]:
            x = leaky_relu(layer(x))
    known = torch.cat([x[:, :width], torch.ones(len(x), 1)], dim=1)
    found = torch.linalg.lstsq(known.double(), wanted.double()).solution.float()
    _set(layers[-1], found[:-1].t(), found[-1])


def _random() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@torch.no_grad()
def _set(layer: EqualLinear, weight: Tensor, bias: Tensor) -> None:
    """Make a layer with its activation compute leaky_relu(weight @ x + bias), of less units."""
    layer.weight.zero_()[: len(weight), : weight.shape[1]] = weight / (layer.scale * GAIN)
    layer.bias.zero_()[: len(bias)] = bias / (layer.lr_multiplier * GAIN)


def _known(z: Tensor) -> Tensor:
    """Give what codes are linear in: (N, ENTRIES) values, and steps from class to class."""
    values, labels = meanings(z.numpy())
    steps = [labels[:, [column]] >= np.arange(1, count) for column, count in enumerate(CLASSES)]
    known = [values / VALUE_DEVIATION, *(CONTRAST * step for step in steps)]
    return torch.from_numpy(np.concatenate(known, axis=1)).float()
