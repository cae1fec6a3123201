"""Backbones in their published naming: pSp's IR-SE, and torchvision's residual networks."""

import re

import torch
from torch import Tensor

from restyle.importers.keys import Weights, build
from restyle.io.checkpoints import CheckpointError, listed
from restyle.nn.backbones import Family, Trunk

# Foreign layer name to ours. The two families tell themselves apart by the first entry.
RESIDUAL_STEM = {"conv1": "0", "bn1": "1", "relu": "2"}
RESIDUAL_UNIT = {
    "downsample.0": "shortcut.0",
    "downsample.1": "shortcut.1",
    **{f"conv{i}": f"conv{i}" for i in (1, 2, 3)},
    **{f"bn{i}": f"norm{i}" for i in (1, 2, 3)},
}
STEMS: dict[Family, dict[str, str]] = {
    "ir_se": {"input_layer.0": "0", "input_layer.1": "1", "input_layer.2": "2"},
    "resnet": RESIDUAL_STEM,
    "bottleneck": RESIDUAL_STEM,
}
UNITS: dict[Family, dict[str, str]] = {
    "ir_se": {
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
    "resnet": RESIDUAL_UNIT,
    "bottleneck": RESIDUAL_UNIT,
}
Taken = tuple[tuple[int, ...], tuple[int, ...], dict[str, Tensor]]
"""Widths, units for each stage, and the weights under `Trunk`'s names."""

LAST_CONVOLUTIONS: dict[Family, str] = {
    "ir_se": "res_layer.3",
    "resnet": "conv2",
    "bottleneck": "conv3",
}
PROJECTIONS = ("shortcut_layer.0", "downsample.0")


def family_of(weights: Weights) -> Family:
    """Tell which family's naming a table of weights has.

    Raises:
        CheckpointError: Neither.
    """
    for family, stem in STEMS.items():
        if f"{next(iter(stem))}.weight" in weights:
            return family
    raise CheckpointError(
        f"{weights.source}: expected a backbone (input_layer.0.weight or conv1.weight), "
        f"got {listed(weights.names()) or 'nothing'}"
    )


def take_trunk(weights: Weights, family: Family) -> Taken:
    """Take a trunk whose units are numbered through (`body.0` ... `body.23`).

    Stages are found by their projections: a stage begins where the width changes.

    Args:
        weights: The table to take from.
        family: Whose naming it has.

    Raises:
        CheckpointError: No units, or gaps in their numbers.
    """
    stem = next(iter(STEMS[family]))
    widths = [weights.shape(f"{stem}.weight", 4)[0]]
    units = {int(m[1]) for name in weights.names() if (m := re.match(r"body\.(\d+)\.", name))}
    if sorted(units) != list(range(len(units))) or not units:
        raise CheckpointError(f"{weights.source}: expected units body.0, body.1, ..., got {units}")
    projected = [k for k in units for p in PROJECTIONS if f"body.{k}.{p}.weight" in weights]
    starts = sorted({0, *projected})
    ends = [*starts[1:], len(units)]
    last = LAST_CONVOLUTIONS[family]
    widths += [weights.shape(f"body.{k}.{last}.weight", 4)[0] for k in starts]
    tensors = weights.rename(STEMS[family], ours="stem.")
    for stage, (start, end) in enumerate(zip(starts, ends, strict=True)):
        for unit in range(start, end):
            tensors |= weights.rename(
                UNITS[family], ours=f"stages.{stage}.{unit - start}.", theirs=f"body.{unit}."
            )
    return tuple(widths), tuple(e - s for s, e in zip(starts, ends, strict=True)), tensors


def read_torchvision(weights: Weights) -> Trunk:
    """Read a residual network in torchvision's naming (`layer1.0.conv1`, ...), as a trunk of ours.

    The classifier (`fc`) is left out. Our stem has a PReLU where the file's network has a ReLU: its
    slope is zero, so the trunk computes what the file was trained for, up to the max-pooling.

    Raises:
        CheckpointError: Missing, unexpected or mis-shaped weights, or a network of bottlenecks.
    """
    weights.ignore(r"fc\.(weight|bias)")
    what = "a residual network of basic blocks"
    widths, units, tensors = take_residual(weights, "resnet", what)
    tensors["stem.2.weight"] = torch.zeros(widths[0])
    return build(lambda: Trunk("resnet", 3, widths, units), tensors, weights.source)


def take_residual(weights: Weights, family: Family, what: str) -> Taken:
    """Take all of a residual network in torchvision's naming, as `take_trunk` does.

    Raises:
        CheckpointError: Other weights than those of `what`.
    """
    blocks = {m[0] for name in weights.names() if (m := re.match(r"layer\d+\.\d+\b", name))}
    ordered = sorted(blocks, key=lambda block: [int(n) for n in re.findall(r"\d+", block)])
    numbered = {block: f"body.{i}" for i, block in enumerate(ordered)}
    body = Weights(weights.rename(numbered | {"conv1": "conv1", "bn1": "bn1"}), weights.source)
    weights.finish(what)
    taken = take_trunk(body, family)
    body.finish(what)
    return taken
