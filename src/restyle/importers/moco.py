"""MoCo's ResNet-50 in its published file."""

import os
import re
from collections.abc import Mapping
from typing import Any

from restyle.importers.archive import read_archive
from restyle.importers.keys import Weights, build
from restyle.importers.trunks import take_residual
from restyle.io.checkpoints import CheckpointError, listed, with_prefix
from restyle.losses.moco import MoCo

PREFIX = "module.encoder_q."
# The projection of version 2 (version 1 has another), and what a training goes on from.
UNUSED = rf"{re.escape(PREFIX)}fc\.[02]\.(weight|bias)|module\.encoder_k\..+|module\.queue(_ptr)?"
OTHER_ENTRIES = {"epoch", "arch", "optimizer"}


def read_moco(path: str | os.PathLike[str]) -> MoCo:
    """Read a training checkpoint of MoCo, version 2: `{"state_dict": {"module.encoder_q. ...`.

    The momentum encoder, the queue and the projection (`fc`) are left out.

    Raises:
        CheckpointError: Another file, or missing, unexpected or mis-shaped weights.
    """
    return take_moco(read_archive(path), os.fspath(path))


def is_moco(content: Any) -> bool:
    """Tell whether the content of a file is a training checkpoint of MoCo."""
    table = content.get("state_dict") if isinstance(content, Mapping) else None
    return isinstance(table, Mapping) and any(str(name).startswith(PREFIX) for name in table)


def take_moco(content: Any, source: str) -> MoCo:
    """Take the network from the content of a file, as `read_moco` does from the file."""
    if not is_moco(content):
        raise CheckpointError(f"{source}: expected a MoCo checkpoint, got no {PREFIX}conv1.weight")
    unknown = set(content) - OTHER_ENTRIES - {"state_dict"}
    if unknown:
        raise CheckpointError(
            f"{source}: expected a MoCo checkpoint, got unexpected: {listed(unknown)}"
        )
    table = Weights(content["state_dict"], source)
    table.ignore(UNUSED)
    weights = table.take_prefix(PREFIX)
    table.finish("MoCo's ResNet-50")
    widths, units, tensors = take_residual(weights, "bottleneck", "MoCo's ResNet-50, version 2")
    return build(lambda: MoCo(units, widths[0]), with_prefix(tensors, "layers"), source)
