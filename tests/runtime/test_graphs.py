"""CUDA graphs, and the rates that they read."""

import dataclasses

import pytest
import torch

from restyle.runtime.graphs import Replayed, set_rate
from restyle.training.config import GeneratorTraining
from restyle.training.generator import GeneratorTrainer

SMALL = GeneratorTraining(size=16, channels=(16, 16, 8), z_dim=16, w_dim=16, batch=8)


def test_a_rate_may_be_a_number_or_a_tensor():
    kept = torch.tensor(0.5)
    groups = [{"lr": 0.5}, {"lr": kept}]
    for group in groups:
        set_rate(group, 0.25)
    assert groups == [{"lr": 0.25}, {"lr": kept}]
    assert kept.item() == 0.25


@pytest.mark.gpu
def test_a_replayed_function_follows_its_inputs():
    weight = torch.zeros((), device="cuda")

    def add(x: torch.Tensor) -> dict[str, torch.Tensor]:
        weight.add_(x.sum())
        return {"weight": weight.clone()}

    replayed = Replayed(add)
    seen = [replayed(torch.full((2,), float(k), device="cuda"))["weight"].item() for k in range(8)]
    assert seen == [0, 2, 6, 12, 20, 30, 42, 56]


@pytest.mark.gpu
def test_a_generator_learns_the_same_with_and_without_graphs():
    device, results = torch.device("cuda"), []
    for replays in (True, False):
        torch.manual_seed(0)
        trainer = GeneratorTrainer(dataclasses.replace(SMALL, precision="float32"), device)
        trainer._replays = replays
        for number in range(24):
            torch.manual_seed(number)
            real = torch.rand(8, 3, 16, 16, device=device)
            trainer.step(real, 8 * number)
        results.append(trainer.generator.synthesis.to_rgbs[-1].weight.detach().clone())
    torch.testing.assert_close(*results, rtol=1e-3, atol=1e-4)
