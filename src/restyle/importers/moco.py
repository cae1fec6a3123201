"""MoCo's ResNet-50 in its published file."""

import os
import re
from collections.abc import Mapping
from typing import Any

from restyle.importers.archive import read_archive
from restyle.importers.keys import Weights, build
from restyle.io.checkpoints import CheckpointError, listed
from restyle.losses.moco import MoCo

PREFIX = "module.encoder_q."
# The projection of version 2 (version 1 has another), and what a training goes on from.
UNUSED = rf"{re.escape(PREFIX)}fc\.[02]\.(weight|bias)|module\.encoder_k\..+|module\.queue(_ptr)?"
OTHER_ENTRIES = {"epoch", "arch", "optimizer"}
UNIT = {
    "downsample.0": "shortcut.0",
    "downsample.1": "shortcut.1",
    **{f"conv{i}": f"conv{i}" for i in (1, 2, 3)},
    **{f"bn{i}": f"norm{i}" for i in (1, 2, 3)},
}


def read_moco(path: str | os.PathLike[str]) -> MoCo:
    """Read a training checkpoint of MoCo, version 2: `{"state_dict": {"module.encoder_q. ...`.

    The momentum encoder, the queue and the projection (`fc`) are left out.

    Raises:
        CheckpointError: Another file, or missing, unexpected or mis-shaped weights.
    """
    content = read_archive(path)
    if not is_moco(content):
        raise CheckpointError(f"{path}: expected a MoCo checkpoint, got no {PREFIX}conv1.weight")
    return take_moco(content, os.fspath(path))


def is_moco(content: Any) -> bool:
    """Tell whether the content of a file is a training checkpoint of MoCo."""
    table = content.get("state_dict") if isinstance(content, Mapping) else None
    return isinstance(table, Mapping) and any(str(name).startswith(PREFIX) for name in table)


def take_moco(content: Mapping[str, Any], source: str) -> MoCo:
    """Take the network from the content of a file, as `read_moco` does from the file."""
    unknown = set(content) - OTHER_ENTRIES - {"state_dict"}
    if unknown:
        raise CheckpointError(
            f"{source}: expected a MoCo checkpoint, got unexpected: {listed(unknown)}"
        )
    table = Weights(content["state_dict"], source)
    table.ignore(UNUSED)
    weights = table.take_prefix(PREFIX)
    table.finish("MoCo's ResNet-50")
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
    weights.finish("MoCo's ResNet-50, version 2")
    return build(lambda: MoCo(units, width), tensors, source)
