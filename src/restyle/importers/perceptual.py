"""LPIPS in its published files: torchvision's network, and PerceptualSimilarity's linear heads."""

import os
from itertools import count

from restyle.checkpoints import CheckpointError
from restyle.importers.archive import read_archive
from restyle.importers.keys import Weights, build
from restyle.losses.lpips import LPIPS, NETWORKS


def read_lpips(network: str | os.PathLike[str], heads: str | os.PathLike[str]) -> LPIPS:
    """Read both files of an LPIPS network.

    Args:
        network: AlexNet or VGG-16 in torchvision's naming (`features.0.weight`); its classifier is
            left out.
        heads: The linear layers of version 0.1 (`lin0.model.1.weight`).

    Raises:
        CheckpointError: Missing, unexpected or mis-shaped weights, or heads for another network.
    """
    return take_lpips(
        Weights(read_archive(network), os.fspath(network)),
        Weights(read_archive(heads), os.fspath(heads)),
    )


def take_lpips(network: Weights, heads: Weights) -> LPIPS:
    """Take the network from two tables, as `read_lpips` does from two files."""
    network.take_prefix("classifier.")
    kernel = network.shape("features.0.weight", 4)[-1]
    kind = "alex" if kernel == 11 else "vgg"
    tensors = {}
    # In torchvision's list an activation follows each convolution; poolings are numbered too.
    number = count()
    for i, stage in enumerate(NETWORKS[kind]):
        first = 1 if stage.pool else 0
        if stage.pool:
            next(number)
        for j in range(len(stage.channels)):
            layer = {f"features.{next(number)}": f"stages.{i}.{first + 2 * j}"}
            next(number)
            tensors |= network.rename(layer)
        weight = heads.take(f"lin{i}.model.1.weight")
        if weight.shape[0] != 1 or bool((weight < 0).any()):
            raise CheckpointError(
                f"{heads.source}: expected one weight of 0 or more for each channel in lin{i}"
            )
        tensors[f"calibration.{i}"] = weight.flatten()
    network.finish(f"LPIPS ({kind})")
    heads.finish("LPIPS's linear layers")
    return build(lambda: LPIPS(kind), tensors, f"{network.source} and {heads.source}")
