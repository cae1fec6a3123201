"""MoCo's ResNet-50 in its published file."""

import os
import re
from collections.abc import Mapping

from restyle.checkpoints import CheckpointError
from restyle.importers.archive import read_archive
from restyle.importers.keys import Weights, build
from restyle.losses.similarity import MoCo

PREFIX = "module.encoder_q."
UNIT = {
    "conv1": "conv1",
    "bn1": "norm1",
    "conv2": "conv2",
    "bn2": "norm2",
    "conv3": "conv3",
    "bn3": "norm3",
    "downsample.0": "shortcut.0",
    "downsample.1": "shortcut.1",
}


def read_moco(path: str | os.PathLike[str]) -> MoCo:
    """Read a training checkpoint of MoCo, version 2: `{"state_dict": {"module.encoder_q. ...`.

    The momentum encoder, the queue and the projection (`fc`) are left out.

    Raises:
        CheckpointError: Missing, unexpected or mis-shaped weights.
    """
    content = read_archive(path)
    table = content.get("state_dict") if isinstance(content, Mapping) else None
    if not isinstance(table, Mapping):
        raise CheckpointError(f"{path}: expected a MoCo checkpoint with a state_dict, found none")
    return take_moco(Weights(table, os.fspath(path)))


def take_moco(weights: Weights) -> MoCo:
    """Take the network from a table, as `read_moco` does from a file."""
    weights = weights.take_prefix(PREFIX)
    weights.take_prefix("fc.")
    width = weights.shape("conv1.weight", 4)[0]
    blocks = [re.match(r"layer(\d+)\.(\d+)\.", name) for name in weights.names()]
    numbers = {(int(m[1]) - 1, int(m[2])) for m in blocks if m}
    units = [
        sum(level == i for level, _ in numbers) for i in range(1 + max(numbers, default=(-1,))[0])
    ]
    tensors = weights.rename({"conv1": "conv", "bn1": "norm"})
    for level, unit in sorted(numbers):
        ours, theirs = f"stages.{level}.{unit}.", f"layer{level + 1}.{unit}."
        tensors |= weights.rename(UNIT, ours, theirs)
    weights.finish("MoCo's ResNet-50")
    return build(lambda: MoCo(units, width), tensors, weights.source)
