"""What the tiny official checkpoints computed when all parity cases passed.

Run as `python -m tests.importers.golden` to write the values anew; look at the difference.
"""

import json
import tempfile
import warnings
from pathlib import Path

import torch
from torch import Tensor

from restyle import importers
from restyle.model import InversionResult

from . import official

VALUES = Path(__file__).with_suffix(".json")

CHECKPOINTS = {  # name: encoder weights, official class
    "restyle_psp": lambda: (official.encoder(official.ir_se((1, 2, 1, 1))), "BackboneEncoder"),
    "restyle_e4e": lambda: (
        official.encoder(official.resnet((2, 1, 2, 1))),
        "ResNetProgressiveBackboneEncoder",
    ),
    "psp": lambda: (
        official.encoder(official.ir_se((1, 2, 1, 1), 3), pyramid=True),
        "GradualStyleEncoder",
    ),
    "e4e": lambda: (
        official.encoder(official.resnet((2, 1, 2, 1), 3), pyramid=True),
        "ResNetEncoder4Editing",
    ),
}


def target() -> Tensor:
    ramp = torch.linspace(-1, 1, 256)
    channels = [ramp.outer(ramp), ramp.expand(256, 256), ramp.square()[:, None].expand(256, 256)]
    return torch.stack(channels)[None]


def summary(result: InversionResult) -> list[list[float]]:
    """For each step: size of the codes and of the image, and one of the values of each."""
    return [
        [
            step.ws.norm().item(),
            step.image.norm().item(),
            step.ws[0, -1, 0].item(),
            step.image[0, 1, 3, 5].item(),
        ]
        for step in result.steps
    ]


def compute(name: str, folder: Path) -> list[list[float]]:
    torch.save(official.model(*CHECKPOINTS[name]()), folder / "model.pt")
    model = importers.read(folder / "model.pt")
    return summary(model.invert(target()))


if __name__ == "__main__":
    warnings.simplefilter("error")
    with tempfile.TemporaryDirectory() as folder:
        values = {name: compute(name, Path(folder)) for name in CHECKPOINTS}
    VALUES.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
