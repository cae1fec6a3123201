"""LPIPS in its published files: torchvision's network, and PerceptualSimilarity's linear layers."""

import os
from dataclasses import dataclass
from itertools import count
from typing import Literal

import torch
from torch import Tensor

from restyle.importers.archive import read_archive
from restyle.importers.keys import Weights, build
from restyle.io.checkpoints import CheckpointError, Unfilled, check_strict
from restyle.losses.lpips import LPIPS, NETWORKS

Network = Literal["alex", "vgg"]
NAMES: dict[Network, str] = {"alex": "AlexNet", "vgg": "VGG-16"}
CLASSIFIERS: dict[Network, str] = {"alex": "[146]", "vgg": "[036]"}


@dataclass(frozen=True)
class LPIPSPart:
    """One of the two files that an LPIPS network is made of.

    Attributes:
        part: The convolutions (`stages`), or what the channels of their maps count
            (`calibration`).
        network: Which convolutions.
        tensors: The weights, by the names of `LPIPS`.
        source: The file, for messages.
    """

    part: Literal["stages", "calibration"]
    network: Network
    tensors: dict[str, Tensor]
    source: str


def read_lpips(network: str | os.PathLike[str], heads: str | os.PathLike[str]) -> LPIPS:
    """Read both files of an LPIPS network.

    These are AlexNet or VGG-16 in torchvision's naming (`features.0.weight`), whose classifier is
    left out, and the linear layers of version 0.1 (`lin0.model.1.weight`).

    Raises:
        CheckpointError: Missing, unexpected or mis-shaped weights, or heads for another network.
    """
    return take_lpips(*(Weights(read_archive(path), path) for path in (network, heads)))


def take_lpips(network: Weights, heads: Weights) -> LPIPS:
    """Take the network from two tables, as `read_lpips` does from two files."""
    stages, calibration = take_stages(network), take_calibration(heads)
    if stages.network != calibration.network:
        raise CheckpointError(
            f"{heads.source}: expected the linear layers for {NAMES[stages.network]}, "
            f"got those for {NAMES[calibration.network]}"
        )
    source = f"{network.source} and {heads.source}"
    return build(lambda: LPIPS(stages.network), stages.tensors | calibration.tensors, source)


def take_stages(weights: Weights) -> LPIPSPart:
    """Take the convolutions of AlexNet or VGG-16."""
    network: Network = "alex" if weights.shape("features.0.weight", 4)[-1] == 11 else "vgg"
    weights.ignore(rf"classifier\.{CLASSIFIERS[network]}\.(weight|bias)")
    tensors = {}
    # In torchvision's list an activation follows each convolution; poolings are numbered too.
    number = count()
    for i, stage in enumerate(NETWORKS[network]):
        first = 1 if stage.pool else 0
        if stage.pool:
            next(number)
        for j in range(len(stage.channels)):
            layer = {f"features.{next(number)}": f"stages.{i}.{first + 2 * j}"}
            next(number)
            tensors |= weights.rename(layer)
    weights.finish(NAMES[network])
    return _checked(LPIPSPart("stages", network, tensors, os.fspath(weights.source)))


def take_calibration(weights: Weights) -> LPIPSPart:
    """Take the linear layers of LPIPS, version 0.1, for AlexNet or VGG-16."""
    network: Network = "alex" if weights.shape("lin1.model.1.weight", 4)[1] == 192 else "vgg"
    tensors = {}
    for i in range(len(NETWORKS[network])):
        weight = weights.take(f"lin{i}.model.1.weight")
        if weight.shape[:1] != (1,) or bool((weight < 0).any()):
            raise weights.error(f"one weight of 0 or more for each channel in lin{i}", "others")
        tensors[f"calibration.{i}"] = weight.flatten()
    weights.finish(f"LPIPS's linear layers for {NAMES[network]}")
    return _checked(LPIPSPart("calibration", network, tensors, os.fspath(weights.source)))


def _checked(part: LPIPSPart) -> LPIPSPart:
    """Check a part as strictly as the whole, in which zeros stand for the other one."""
    with Unfilled(15_000_000):  # VGG-16's convolutions
        network = LPIPS(part.network)
    others = {
        name: torch.zeros(()).expand(tensor.shape)
        for name, tensor in network.state_dict().items()
        if not name.startswith(f"{part.part}.")
    }
    check_strict(network, others | part.tensors, part.source)
    return part
