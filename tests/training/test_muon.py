"""Muon turns matrices, and leaves everything else to Adam."""

import copy

import pytest
import torch
from torch import nn

from restyle.training.muon import ROWS, Muon, orthogonalised


@pytest.mark.parametrize("shape", [(5, 30), (30, 5), (4, 4), (3, 6, 20), (2, 20, 6)])
def test_singular_values_come_near_one(shape):
    x = torch.randn(shape)
    x[..., 0, :] *= 20  # one direction that outweighs the others
    values = torch.linalg.svdvals(orthogonalised(x))
    assert values.min() > 0.5 and values.max() < 1.3


def test_directions_stay_what_they_are():
    """The polar factor: the same singular vectors, all of one weight."""
    u, _, vh = torch.linalg.svd(torch.randn(6, 9), full_matrices=False)
    x = u @ torch.diag(torch.tensor([5.0, 3.0, 2.0, 1.0, 0.7, 0.5])) @ vh
    inside = u.T @ orthogonalised(x) @ vh.T
    off = inside - torch.diag(inside.diagonal())
    assert off.abs().max() < 1e-4 and inside.diagonal().min() > 0.5


def stepped(parameter: torch.Tensor, gradient: torch.Tensor, steps: int = 1) -> torch.Tensor:
    parameter = nn.Parameter(parameter.clone())
    optimiser = Muon([parameter], lr=0.1)
    for _ in range(steps):
        parameter.grad = gradient.clone()
        optimiser.step()
    return parameter.detach()


def test_steps_are_as_long_as_adams():
    for shape in ((40, 10), (10, 40), (7, 30, 20), (16, 4, 3, 3)):
        moved = stepped(torch.zeros(shape), torch.randn(shape))
        assert 0.015 < moved.square().mean().sqrt() < 0.025


def test_a_stack_is_so_many_matrices():
    gradient = torch.randn(3, 8, 5)
    moved = stepped(torch.zeros(3, 8, 5), gradient)
    for part, alone in zip(moved, gradient, strict=True):
        torch.testing.assert_close(part, stepped(torch.zeros(8, 5), alone))


def test_a_convolution_is_a_matrix_of_its_windows():
    gradient = torch.randn(ROWS + 4, 6, 3, 3)
    moved = stepped(torch.zeros_like(gradient), gradient).flatten(1)
    for rows in (slice(0, ROWS), slice(ROWS, None)):
        alone = gradient.flatten(1)[rows]
        torch.testing.assert_close(moved[rows], stepped(torch.zeros_like(alone), alone))


@pytest.mark.parametrize("shape", [(7,), (), (4, 1), (4, 1, 7)])
def test_what_is_no_matrix_is_adams(shape):
    start, gradient = torch.randn(shape), torch.randn(shape)
    parameter = nn.Parameter(start.clone())
    optimiser = torch.optim.Adam([parameter], lr=0.1)
    for _ in range(3):
        parameter.grad = gradient.clone()
        optimiser.step()
    torch.testing.assert_close(stepped(start, gradient, 3), parameter.detach())


def test_a_closure_is_called_once():
    weight = nn.Parameter(torch.eye(3))
    optimiser = Muon([weight], lr=0.1)

    def closure():
        loss = weight.square().sum()
        loss.backward()
        return loss

    assert optimiser.step(closure) == 3
    assert weight.diagonal().max() < 1


def test_it_goes_on_from_its_state():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))

    def train(network, optimiser, first, last):
        for number in range(first, last):
            x = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(number))
            network(x).square().mean().backward()
            optimiser.step()
            optimiser.zero_grad()

    whole, parts = network, copy.deepcopy(network)
    train(whole, Muon(whole.parameters(), lr=0.01), 0, 6)
    optimiser = Muon(parts.parameters(), lr=0.01)
    train(parts, optimiser, 0, 3)
    again = Muon(parts.parameters(), lr=0.01)
    again.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    train(parts, again, 3, 6)
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[name], tensor)


def test_small_directions_are_learned_as_soon_as_large_ones():
    """Where inputs differ in scale a hundredfold: gradients of the last are 1e-4 of the first."""
    scales = torch.logspace(0, -2, 12)
    x = torch.randn(512, 12, generator=torch.Generator().manual_seed(0)) * scales
    weight = nn.Parameter(torch.zeros(6, 12))
    wanted = torch.randn(6, 12, generator=torch.Generator().manual_seed(1))
    optimiser = Muon([weight], lr=0.5)
    for number in range(200):
        optimiser.param_groups[0]["lr"] = 0.5 * (1 - number / 200)
        ((x @ (weight - wanted).T) ** 2).mean().backward()
        optimiser.step()
    missed = (weight - wanted).square().mean(dim=0).sqrt()
    assert missed.max() < 0.2
