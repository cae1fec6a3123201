"""Backbones in their published naming: pSp's IR-SE, and torchvision's residual networks."""

import re
from typing import NamedTuple

import torch
from torch import Tensor

from restyle.importers.keys import Weights, build
from restyle.io.checkpoints import listed
from restyle.nn.backbones import Family, Trunk


class Naming(NamedTuple):
    """Names of a family's layers in published files.

    Attributes:
        stem: Foreign layer name to ours; the first entry tells the families apart.
        unit: The same in each unit.
        last: The convolution of a unit that says its width.
        projection: The one that only units have which begin a stage, apart from the first.
    """

    stem: dict[str, str]
    unit: dict[str, str]
    last: str
    projection: str

    @property
    def first(self) -> str:
        """The layer that sees the image."""
        return next(iter(self.stem))


_STEM = {"conv1": "0", "bn1": "1", "relu": "2"}
_UNIT = {
    "downsample.0": "shortcut.0",
    "downsample.1": "shortcut.1",
    **{f"conv{i}": f"conv{i}" for i in (1, 2, 3)},
    **{f"bn{i}": f"norm{i}" for i in (1, 2, 3)},
}
NAMINGS: dict[Family, Naming] = {
    "ir_se": Naming(
        {"input_layer.0": "0", "input_layer.1": "1", "input_layer.2": "2"},
        {
            "res_layer.0": "norm1",
            "res_layer.1": "conv1",
            "res_layer.2": "act",
            "res_layer.3": "conv2",
            "res_layer.4": "norm2",
            "res_layer.5.fc1": "gate.squeeze",
            "res_layer.5.fc2": "gate.excite",
            "shortcut_layer.0": "shortcut.0",
            "shortcut_layer.1": "shortcut.1",
        },
        "res_layer.3",
        "shortcut_layer.0",
    ),
    "resnet": Naming(_STEM, _UNIT, "conv2", "downsample.0"),
    "bottleneck": Naming(_STEM, _UNIT, "conv3", "downsample.0"),
}
Taken = tuple[tuple[int, ...], tuple[int, ...], dict[str, Tensor]]
"""Widths, units for each stage, and the weights under `Trunk`'s names."""


def family_of(weights: Weights) -> Family:
    """Tell which family's naming a table of weights has."""
    for family, naming in NAMINGS.items():
        if f"{naming.first}.weight" in weights:
            return family
    found = listed(weights.names()) or "nothing"
    raise weights.error("a backbone (input_layer.0.weight or conv1.weight)", found)


def take_trunk(weights: Weights, family: Family) -> Taken:
    """Take a trunk whose units are numbered through (`body.0` ... `body.23`).

    Stages are found by their projections: a stage begins where the width changes.

    Args:
        weights: The table to take from.
        family: Whose naming it has.
    """
    naming = NAMINGS[family]
    widths = [weights.shape(f"{naming.first}.weight", 4)[0]]
    units = {int(m[1]) for name in weights.names() if (m := re.match(r"body\.(\d+)\.", name))}
    if sorted(units) != list(range(len(units))) or not units:
        raise weights.error("units body.0, body.1, ...", units)
    projected = [k for k in units if f"body.{k}.{naming.projection}.weight" in weights]
    starts = sorted({0, *projected})
    ends = [*starts[1:], len(units)]
    widths += [weights.shape(f"body.{k}.{naming.last}.weight", 4)[0] for k in starts]
    tensors = weights.rename(naming.stem, ours="stem.")
    for stage, (start, end) in enumerate(zip(starts, ends, strict=True)):
        for unit in range(start, end):
            ours, theirs = f"stages.{stage}.{unit - start}.", f"body.{unit}."
            tensors |= weights.rename(naming.unit, ours, theirs)
    return tuple(widths), tuple(e - s for s, e in zip(starts, ends, strict=True)), tensors


def read_torchvision(weights: Weights) -> Trunk:
    """Read a residual network in torchvision's naming (`layer1.0.conv1`, ...), as a trunk of ours.

    The classifier (`fc`) is left out. Our stem has a PReLU where the file's network has a ReLU: its
    slope is zero, so the trunk computes what the file was trained for, up to the max-pooling.
    """
    weights.ignore(r"fc\.(weight|bias)")
    what = "a residual network of basic blocks"
    widths, units, tensors = take_residual(weights, "resnet", what)
    tensors["stem.2.weight"] = torch.zeros(widths[0])
    return build(lambda: Trunk("resnet", 3, widths, units), tensors, weights.source)


def take_residual(weights: Weights, family: Family, what: str) -> Taken:
    """Take all of a residual network in torchvision's naming, as `take_trunk` does."""
    blocks = {m[0] for name in weights.names() if (m := re.match(r"layer\d+\.\d+\b", name))}
    ordered = sorted(blocks, key=lambda block: [int(n) for n in re.findall(r"\d+", block)])
    numbered = {block: f"body.{i}" for i, block in enumerate(ordered)}
    body = Weights(weights.rename(numbered | {"conv1": "conv1", "bn1": "bn1"}), weights.source)
    weights.finish(what)
    taken = take_trunk(body, family)
    body.finish(what)
    return taken
