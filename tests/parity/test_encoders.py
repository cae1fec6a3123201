"""Every encoder of the reference computes its numbers."""

import re

import torch

from restyle.encoders import Encoder
from restyle.importers.keys import Weights
from restyle.importers.pixel2style import take_encoder

from .cases import Case, cases, load


def check_stages(case: Case, encoder: Encoder, x: torch.Tensor) -> None:
    """The outputs at the stages of progressive training that the case has."""
    for name in case.outputs:
        match = re.fullmatch(r"codes_(WTraining|Inference|Delta(\d+)Training)", name)
        if not match:
            continue
        stage = {"WTraining": 0, "Inference": encoder.config.num_ws - 1}.get(match[1])
        encoder.stage = int(match[2]) if stage is None else stage
        case.check(name, encoder(x)[0])


@cases("encoder_", large=True)
@torch.no_grad()
def test_encoder(path):
    case = load(path)
    x = case.inputs["x"]
    weights = Weights(case.checkpoints["encoder"], path.name)
    encoder = take_encoder(weights, case.params["encoder_type"], tuple(x.shape[-2:]))
    case.check("codes", encoder(x)[0])
    check_stages(case, encoder, x)
    case.check("features_mean", encoder.trunk(x).mean(dim=(2, 3)))
    case.finish()
