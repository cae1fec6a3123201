"""Relevance of channels and global directions, in a world that is a matrix."""

import pytest
import torch
from torch import nn

from restyle.editing import relevance as relevance_module
from restyle.editing.effects import effects_at, sampled_styles
from restyle.editing.relevance import (
    Relevance,
    measure_relevance,
    relevance_file,
    relevance_of,
)
from restyle.editing.styles import statistics_of
from restyle.io.checkpoints import CheckpointError
from tests.tiny import tiny_generator

CHANNELS, SIZE = 64, 5


class Linear(nn.Module):
    """Embeds pictures by a matrix."""

    def __init__(self, seed=0):
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        self.matrix = nn.Parameter(torch.randn(12, SIZE, generator=random), requires_grad=False)

    def embed_image(self, images):
        return images.flatten(1) @ self.matrix


MATRIX = torch.randn(CHANNELS, 12, generator=torch.Generator().manual_seed(7)) / 10


def render(styles):
    return (styles @ MATRIX).unflatten(1, (3, 2, 2))


@pytest.fixture
def world(monkeypatch, tmp_path):
    monkeypatch.setenv("RESTYLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("restyle.editing.effects.MOST_PIXELS", 4 * 16 * 16)
    return tiny_generator(), Linear(), tmp_path / "relevance.safetensors"


def simple(effects, **facts):
    """Relevance in which embeddings have variance 4 everywhere, and channels deviation 2."""
    return Relevance(effects, 4 * torch.eye(effects.shape[1]), torch.full((len(effects),), 2.0))


def test_effects_are_those_of_the_matrix():
    deviation = torch.linspace(0.1, 2, CHANNELS)
    network = Linear()
    found = effects_at(torch.randn(3, CHANNELS), deviation, render, network.embed_image)
    torch.testing.assert_close(found, deviation[:, None] * (MATRIX @ network.matrix))


def test_relevance_is_measured_over_samples(world):
    generator, network, path = world
    found = measure_relevance(generator, render, network, path, samples=10)
    deviation = statistics_of(generator).deviation
    expected = deviation[:, None] * (MATRIX @ network.matrix)
    torch.testing.assert_close(found.effects, expected, atol=1e-3, rtol=1e-2)  # kept as float16
    seen = network.embed_image(render(torch.cat(list(sampled_styles(generator, 10)))))
    expected = seen.T.cov(correction=0)
    torch.testing.assert_close(found.covariance, expected, atol=1e-4, rtol=1e-3)
    assert [file.name for file in path.parent.glob("*.safetensors")] == [path.name]


def test_an_interrupted_measurement_goes_on(world, monkeypatch):
    generator, network, path = world
    whole = measure_relevance(generator, render, network, path, samples=10)
    path.unlink()
    calls = []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return effects_at(*arguments)

    monkeypatch.setattr(relevance_module, "effects_at", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure_relevance(generator, render, network, path, samples=10)
    again = measure_relevance(generator, render, network, path, samples=10)
    assert len(calls) == 4  # three batches, one of them twice
    torch.testing.assert_close(again.effects, whole.effects)
    torch.testing.assert_close(again.covariance, whole.covariance)


def test_relevance_of_other_networks_is_refused(world):
    generator, network, path = world
    with pytest.raises(ValueError, match="restyle models relevance"):
        relevance_of(generator, network, path.parent)
    measure_relevance(generator, render, network, path, samples=4)
    with pytest.raises(ValueError, match="restyle models relevance"):
        relevance_of(generator, Linear(seed=1), path.parent)
    with pytest.raises(CheckpointError, match="expected the relevance of these weights"):
        relevance_of(tiny_generator(seed=1), network, path.parent)
    file = relevance_file(generator, network)
    file.write(path, {**file.read(path), "deviation": torch.ones(3)})
    with pytest.raises(CheckpointError, match="expected relevance of shapes"):
        relevance_of(generator, network, path.parent)


def test_channels_move_that_do_what_is_asked_and_strength_is_a_deviation():
    effects = torch.tensor([[3.0, 0.0], [0.0, 1.0], [1.0, -1.0], [-0.5, 0.0]])
    relevance, change = simple(effects), torch.tensor([1.0, 0.0])
    assert torch.allclose(relevance.of(change), torch.tensor([1.0, 0.0, 0.5**0.5, -1.0]))
    found = relevance.direction(change, "red", threshold=0.9)
    assert found.space == "S" and found.vector.count_nonzero() == 2
    assert found.vector[0] > 0 > found.vector[3]
    moved = found.vector * found.scale / relevance.deviation  # deviations of each channel
    torch.testing.assert_close(moved @ effects, torch.tensor([2.0, 0.0]))  # one deviation is 2


def test_what_channels_change_besides_cancels():
    effects = torch.tensor([[1.0, 1.0], [1.0, -1.0], [1.0, 0.8]])
    found = simple(effects).direction(torch.tensor([1.0, 0.0]), "red", threshold=0.5)
    made = found.vector / 2 @ effects
    assert abs(made[1]) < 0.05 * made[0]


def test_without_a_threshold_some_channels_move_in_any_case(monkeypatch):
    monkeypatch.setattr(relevance_module, "LEAST", 3)
    effects = torch.cat([torch.full((20, 1), 0.01), torch.ones(20, 1)], dim=1)
    effects[:5, 0] = 0.1
    found = simple(effects).direction(torch.tensor([1.0, 0.0]), "red")
    assert found.vector.count_nonzero() == 5
    # With one that is asked for there may be none.
    with pytest.raises(ValueError, match="at most 0.100, the relevance of the most relevant chann"):
        simple(effects).direction(torch.tensor([1.0, 0.0]), "red", threshold=0.5)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_without_sense_is_refused(threshold):
    with pytest.raises(ValueError, match="threshold: expected a number from 0 to 1"):
        simple(torch.ones(3, 2)).direction(torch.tensor([1.0, 0.0]), "red", threshold)
