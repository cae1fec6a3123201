"""Trunks: their shapes, and the two modules that stand in for built-in ones."""

import pytest
import torch
from torch import nn
from torch.nn.functional import max_pool2d, prelu

from restyle.nn.backbones import PReLU, Subsample, Trunk


@pytest.mark.parametrize("family", ["ir_se", "ir_se_strided", "resnet"])
def test_every_stage_halves(family):
    trunk = Trunk(family, 6, (16, 16, 32, 48), (1, 2, 1)).eval()
    maps = trunk.maps(torch.randn(2, 6, 48, 64))
    assert [m.shape[1:] for m in maps] == [(16, 24, 32), (32, 12, 16), (48, 6, 8)]
    assert torch.equal(trunk(torch.ones(1, 6, 16, 16)), trunk.maps(torch.ones(1, 6, 16, 16))[-1])


@pytest.mark.parametrize("family", ["ir_se", "ir_se_strided", "resnet"])
def test_every_parameter_takes_part(family):
    trunk = Trunk(family, 3, (16, 16, 32), (2, 2))
    trunk(torch.randn(2, 3, 16, 16)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in trunk.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_prelu_equals_the_built_in_one(dtype):
    mine = PReLU(4)
    nn.init.normal_(mine.weight)
    values = torch.randn(2, 4, 5, 5).to(dtype)
    x, y = values.clone().requires_grad_(), values.clone().requires_grad_()
    weight = mine.weight.detach().clone().requires_grad_()
    got, want = mine(x), prelu(y, weight.to(dtype))
    assert torch.equal(got, want)
    direction = torch.randn_like(got)
    got.backward(direction)
    want.backward(direction)
    torch.testing.assert_close(x.grad, y.grad)
    torch.testing.assert_close(mine.weight.grad, weight.grad, rtol=0.02, atol=0.02)
    assert torch.equal(mine(values.float()), prelu(values.float(), weight))


def test_subsampling_is_pooling_of_single_pixels():
    x = torch.randn(1, 2, 7, 8)
    assert torch.equal(Subsample(2)(x), max_pool2d(x, 1, 2))
    assert torch.equal(Subsample(1)(x), x)
