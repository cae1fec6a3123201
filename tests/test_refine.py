"""The loop, on problems whose answers are known."""

import pytest
import torch

from restyle.refine import Estimate, average_estimate, refine

NUM_WS, WIDTH, SIZE = 4, 6, 8


class LinearWorld:
    """A generator that is a matrix, and the encoder that inverts it exactly."""

    def __init__(self):
        random = torch.Generator().manual_seed(0)
        codes, pixels = NUM_WS * WIDTH, 3 * SIZE * SIZE
        self.matrix = torch.randn(codes, pixels, generator=random, dtype=torch.float64)
        self.inverse = torch.linalg.pinv(self.matrix)

    def render(self, ws):
        return (ws.flatten(1) @ self.matrix).view(-1, 3, SIZE, SIZE)

    def encode(self, pair, *_):
        target, image = pair.chunk(2, dim=1)
        return ((target - image).flatten(1) @ self.inverse).view(-1, NUM_WS, WIDTH), None


@pytest.fixture
def world():
    return LinearWorld()


@pytest.fixture
def target(world):
    random = torch.Generator().manual_seed(1)
    return world.render(torch.randn(3, NUM_WS, WIDTH, generator=random, dtype=torch.float64))


@pytest.fixture
def start(world):
    w_avg = torch.full((NUM_WS, WIDTH), 0.5, dtype=torch.float64)
    return average_estimate(w_avg, world.render, batch=3)


def test_the_average_is_rendered_once_and_shared(world):
    calls = []

    def render(ws):
        calls.append(ws.shape)
        return world.render(ws)

    estimate = average_estimate(torch.zeros(NUM_WS, WIDTH, dtype=torch.float64), render, batch=5)
    assert calls == [(1, NUM_WS, WIDTH)]
    assert estimate.ws.shape == (5, NUM_WS, WIDTH)
    assert estimate.image.shape == (5, 3, SIZE, SIZE)


def test_an_encoder_that_predicts_nothing_stays_at_the_average(world, target, start):
    def nothing(pair, *_):
        return torch.zeros(len(pair), NUM_WS, WIDTH, dtype=torch.float64), None

    for estimate in refine(nothing, world.render, target, start, steps=3):
        torch.testing.assert_close(estimate.ws, start.ws)
        torch.testing.assert_close(estimate.image, start.image)


def test_an_exact_linear_inverse_lands_in_one_step_and_stays(world, target, start):
    for estimate in refine(world.encode, world.render, target, start, steps=3):
        torch.testing.assert_close(estimate.image, target)


def test_a_half_hearted_encoder_halves_the_error_at_every_step(world, target, start):
    def half(pair, *_):
        return 0.5 * world.encode(pair)[0], None

    error = (start.image - target).abs().max()
    for estimate in refine(half, world.render, target, start, steps=4):
        error = error / 2
        torch.testing.assert_close((estimate.image - target).abs().max(), error)


def test_the_encoder_sees_the_target_first_and_the_pooled_image_second(world, target, start):
    pairs = []

    def look(pair, *_):
        pairs.append(pair)
        return torch.zeros(len(pair), NUM_WS, WIDTH, dtype=torch.float64), None

    small = torch.nn.functional.adaptive_avg_pool2d(target, SIZE // 2)
    (estimate,) = refine(look, world.render, small, start, steps=1)
    torch.testing.assert_close(pairs[0][:, :3], small)
    pooled = torch.nn.functional.avg_pool2d(start.image, 2)
    torch.testing.assert_close(pairs[0][:, 3:], pooled)
    assert estimate.image.shape[-1] == SIZE


def test_gradients_of_each_step_equal_those_of_an_unrolled_reference(world, target, start):
    gain = torch.full((), 0.3, dtype=torch.float64, requires_grad=True)

    def encode(pair, *_):
        return gain * world.encode(pair)[0], None

    for estimate in refine(encode, world.render, target, start, steps=3):
        (estimate.image - target).square().mean().backward()
    got, gain.grad = gain.grad, None

    ws, image = start.ws, start.image
    for _ in range(3):
        ws = ws.detach() + encode(torch.cat([target, image.detach()], dim=1))[0]
        image = world.render(ws)
        (image - target).square().mean().backward()
    torch.testing.assert_close(got, gain.grad)


def test_nothing_is_computed_before_it_is_asked_for(world, target, start):
    calls = []

    def encode(pair, *_):
        calls.append(1)
        return world.encode(pair)

    steps = refine(encode, world.render, target, start, steps=10)
    assert not calls
    next(steps)
    assert len(calls) == 1


def test_the_grad_mode_of_the_consumer_is_left_alone(world, target, start):
    steps = refine(world.encode, world.render, target, start, steps=2)
    with torch.no_grad():
        next(steps)
    assert torch.is_grad_enabled()


def test_going_on_from_an_estimate_equals_more_steps(world, target, start):
    def half(pair, *_):
        return 0.5 * world.encode(pair)[0], None

    *_, through = refine(half, world.render, target, start, steps=5)
    *_, first = refine(half, world.render, target, start, steps=2)
    *_, second = refine(half, world.render, target, first, steps=3)
    torch.testing.assert_close(second.ws, through.ws)


def test_a_state_goes_from_step_to_step_with_the_codes_and_its_gradient(world, target, start):
    gain = torch.full((), 0.5, dtype=torch.float64, requires_grad=True)
    seen = []

    def remembers(pair, ws, state):
        seen.append((ws, state))
        after = gain.expand(len(pair)) if state is None else gain * state
        return after[:, None, None] * world.encode(pair)[0], after

    first, second = refine(remembers, world.render, target, start, steps=2)
    assert seen[0][1] is None and not seen[1][0].requires_grad
    torch.testing.assert_close(seen[1][0], first.ws.detach())
    torch.testing.assert_close(second.state, torch.full((3,), 0.25, dtype=torch.float64))
    second.state.sum().backward()
    torch.testing.assert_close(gain.grad, torch.tensor(3.0, dtype=torch.float64))  # 3 of d(gain^2)
    assert not second.detach().state.requires_grad
    assert second[torch.tensor([0, 2])].state.shape == (2,)


def test_rows_of_an_estimate_can_be_kept(start):
    keep = torch.tensor([True, False, True])
    kept = start[keep]
    assert isinstance(kept, Estimate) and kept.state is None
    assert len(kept.ws) == len(kept.image) == 2


def test_another_batch_of_starts_is_refused(world, target, start):
    with pytest.raises(ValueError, match="3 targets, got 2"):
        next(refine(world.encode, world.render, target, start[:2], steps=1))
