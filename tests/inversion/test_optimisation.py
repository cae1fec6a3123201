import pytest
import torch

from restyle.inversion.optimisation import (
    NoiseMaps,
    learning_rate_ramp,
    noise_regularisation,
    optimise_w,
    optimise_ws,
)
from restyle.losses.pixels import l2
from restyle.refine import Estimate
from tests.tiny import CODES, SIZE, tiny_generator

MIX = 0.5 * torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def linear(ws):
    """A generator of two codes of width 3 whose best codes are known."""
    return torch.einsum("bk,kchw->bchw", ws.flatten(1), MIX)


def start(batch, codes=(2, 3), render=linear):
    ws = torch.zeros(batch, *codes)
    return Estimate(ws, render(ws))


def last(estimates):
    return list(estimates)[-1]


def test_ws_are_found_where_they_are_known():
    true = torch.randn(4, 2, 3)
    found = last(optimise_ws(linear, l2, linear(true), start(4), 300, lr=0.1))
    assert l2(found.image, linear(true)).max() < 1e-4
    torch.testing.assert_close(found.image, linear(found.ws))


def test_w_is_the_same_in_all_layers():
    true = torch.randn(4, 1, 3).expand(-1, 2, -1)
    found = last(optimise_w(linear, l2, linear(true), start(4), 300, w_std=0.5))
    assert torch.equal(found.ws[:, 0], found.ws[:, 1])
    assert l2(found.image, linear(true)).max() < 1e-3
    torch.testing.assert_close(found.image, linear(found.ws))


@pytest.mark.parametrize("method", [optimise_w, optimise_ws])
def test_methods_leave_the_consumers_grad_mode_alone(method):
    target = linear(torch.randn(1, 2, 3))
    with torch.no_grad():
        for estimate in method(linear, l2, target, start(1), 3):
            assert not torch.is_grad_enabled()
            assert not estimate.ws.requires_grad and not estimate.image.requires_grad
    with pytest.raises(ValueError, match="each of the 1 targets, got 2 starts"):
        next(method(linear, l2, target, start(2), 3))


def test_images_of_a_batch_do_not_influence_one_another():
    target = linear(torch.randn(3, 2, 3))
    together = last(optimise_ws(linear, l2, target, start(3), 20))
    alone = last(optimise_ws(linear, l2, target[1:2], start(1), 20))
    torch.testing.assert_close(together.ws[1:2], alone.ws)


def test_optimisation_goes_on_from_a_start():
    target = linear(torch.randn(1, 2, 3))
    first = last(optimise_ws(linear, l2, target, start(1), 200))
    second = next(optimise_ws(linear, l2, target, first, 200))
    assert l2(second.image, target) < l2(start(1).image, target) / 10


def test_steps_in_order_and_as_many_as_asked():
    target = linear(torch.randn(1, 2, 3))
    estimates = list(optimise_ws(linear, l2, target, start(1), 7))
    assert len(estimates) == 7
    assert all(not torch.equal(a.ws, b.ws) for a, b in zip(estimates, estimates[1:], strict=False))


def test_learning_rate_goes_up_and_down():
    rates = [learning_rate_ramp(step / 100) for step in range(100)]
    assert rates[0] < 0.05 and rates[-1] < 0.05
    assert all(rate == 1 for rate in rates[6:75])


def test_noise_is_told_from_structure():
    noise = torch.randn(2, 1, 32, 32)
    smooth = torch.nn.functional.avg_pool2d(torch.randn(2, 1, 36, 36), 5, stride=1) * 5
    assert noise_regularisation([noise]) < 0.2
    assert noise_regularisation([smooth]) > 10 * noise_regularisation([noise])


def test_noise_maps_are_optimised_and_stay_normal():
    generator = tiny_generator().requires_grad_(False)
    for layer in generator.synthesis.layers:
        layer.noise_strength.fill_(0.5)
    names = [f"layers.{i}.noise" for i in range(len(generator.synthesis.layers))]
    used = []

    def render(ws, maps):
        used[:] = maps
        given = dict(zip(names, maps, strict=True))
        return torch.func.functional_call(generator.synthesis, given, (ws,))

    own = [layer.noise for layer in generator.synthesis.layers]
    ws = torch.zeros(2, *CODES)
    start = Estimate(ws, generator.synthesis(ws))
    target = torch.randn(2, 3, SIZE, SIZE) * 0.3
    runs = {}
    for name, noise in (("fixed", None), ("optimised", NoiseMaps(own, render))):
        runs[name] = last(
            optimise_w(generator.synthesis, l2, target, start, 40, lr=0.05, noise=noise)
        )
    assert l2(runs["optimised"].image, target).sum() < l2(runs["fixed"].image, target).sum()
    for noise in used:
        assert noise.shape[0] == 2
        assert noise.mean(dim=(1, 2, 3)).abs().max() < 1e-5
        torch.testing.assert_close(noise.square().mean(dim=(1, 2, 3)), torch.ones(2))
