"""The optimisers that encoders are trained with, by name."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from restyle.io.imports import needed
from restyle.training.muon import Muon

Parameters = Iterable[nn.Parameter] | Iterable[dict[str, Any]]
"""What an optimiser changes: tensors, or groups with options of their own."""

RANGER = {"betas": (0.95, 0.999), "eps": 1e-5, "k": 6, "alpha": 0.5, "degenerated_to_sgd": True}


def make_optimiser(
    name: str, parameters: Parameters, lr: float, **options: Any
) -> torch.optim.Optimizer:
    """Make an optimiser.

    Ranger is RAdam (Liu et al., ICLR 2020) with lookahead (Zhang et al., NeurIPS 2019) and
    centralised gradients (Yong et al., ECCV 2020), with the settings of pSp and ReStyle: until the
    rectification is defined, in the first steps, it descends along the mean gradient.

    Args:
        name: ranger, adam, adamw or muon.
        parameters: What it changes.
        lr: The learning rate.
        options: Settings of the optimiser other than the usual ones.

    Raises:
        ValueError: An unknown name.
        ImportError: Ranger's library is missing.
    """
    if name == "ranger":
        with needed("train", "the optimiser 'ranger' needs pytorch-optimizer"):
            from pytorch_optimizer import Ranger
        return Ranger(parameters, lr=lr, **RANGER | options)
    if name == "muon":
        return Muon(parameters, lr=lr, **options)
    makers = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    if name not in makers:
        raise ValueError(f"optimiser: expected ranger, muon, {', '.join(makers)}; got {name!r}")
    return makers[name](parameters, lr=lr, fused=True, **options)
