"""Edits by text on a generator that is a matrix, and a network that looks at two pixels."""

import pytest
import torch

from restyle.editing.styleclip import (
    Optimiser,
    covariance_of,
    deviations,
    gradient_step,
    in_deviations,
    optimised_codes,
    optimised_step,
)
from tests.tiny import tiny_generator

NUM_WS, DIM, PIXELS = 2, 3, 12  # pictures of 3 x 2 x 2


class Matrix:
    """Renders codes linearly."""

    def __init__(self):
        self.weights = torch.randn(NUM_WS * DIM, PIXELS) / 3

    def __call__(self, ws):
        return (ws.flatten(1) @ self.weights).reshape(-1, 3, 2, 2)


class Pixels:
    """Embeds a picture as its first three pixels; a text names one of them."""

    templates = ("{}",)

    def embed_image(self, images):
        return torch.nn.functional.normalize(images.flatten(1)[:, :3], dim=1)

    def embed_text(self, texts):
        return torch.eye(3)[[int(text) for text in texts]]


class Faces:
    """Knows a person by the last pixels."""

    def embed(self, images):
        return torch.nn.functional.normalize(images.flatten(1)[:, 3:], dim=1)


@pytest.fixture
def covariance():
    root = torch.randn(DIM, DIM)
    return root @ root.T + 0.1 * torch.eye(DIM)


def test_a_direction_of_one_deviation_is_one_deviation_long(covariance):
    vector = torch.nn.functional.normalize(torch.randn(DIM), dim=0)
    scale = (vector @ covariance @ vector).sqrt()
    steps = (vector * scale).expand(4, NUM_WS, DIM)
    torch.testing.assert_close(deviations(steps, covariance), torch.ones(4))
    torch.testing.assert_close(deviations(-3 * steps, covariance), torch.full((4,), 3.0))
    torch.testing.assert_close(in_deviations(7 * steps, covariance), steps)
    half = steps.clone()
    half[:, 0] = 0
    torch.testing.assert_close(deviations(half, covariance), torch.full((4,), 0.5**0.5))
    assert bool((in_deviations(0 * steps, covariance) == 0).all())


def test_the_covariance_is_that_of_the_codes():
    generator = tiny_generator()
    codes = generator.sample_w(500)
    torch.testing.assert_close(covariance_of(generator, 500), codes.T.cov())


def test_the_gradient_leads_where_the_similarity_rises_most_of_equally_likely_steps(covariance):
    render, network = Matrix(), Pixels()
    ws, direction = torch.randn(5, NUM_WS, DIM), torch.tensor([0.0, 1.0, 0.0])
    step = gradient_step(render, network, ws, direction, covariance)
    torch.testing.assert_close(deviations(step, covariance), torch.ones(5))

    def slope(steps):
        seen = [network.embed_image(render(ws + sign * 1e-2 * steps)) for sign in (1, -1)]
        return (seen[0] - seen[1]) @ direction

    metric = torch.linalg.inv(covariance)

    def likely(steps):  # scaled to one length in the metric of the data
        length = torch.einsum("bld,de,ble->b", steps, metric, steps).sqrt()
        return steps / length.reshape(-1, 1, 1)

    best = slope(likely(step))
    assert bool((best > 0).all())
    for _ in range(30):
        assert bool((slope(likely(torch.randn_like(step))) <= best + 1e-4).all())


def test_the_optimiser_finds_what_the_text_says(covariance):
    render, network = Matrix(), Pixels()
    ws = torch.randn(4, NUM_WS, DIM)
    how = Optimiser(steps=200, lr=0.1, l2=0.0)
    found = optimised_codes(render, network, ws, "2", covariance, how=how)
    before, after = (network.embed_image(render(x))[:, 2] for x in (ws, found))
    assert bool((after > 0.95).all()) and bool((after > before).all())
    step = optimised_step(render, network, ws, "2", covariance)
    torch.testing.assert_close(deviations(step, covariance), torch.ones(4))


def test_what_the_optimiser_shall_keep_holds_it_back(covariance):
    render, network = Matrix(), Pixels()
    ws = torch.randn(4, NUM_WS, DIM)

    def found(**weights):
        how = Optimiser(steps=100, lr=0.1, **{"l2": 0.0, "identity": 0.0, **weights})
        return optimised_codes(render, network, ws, "0", covariance, Faces(), how=how) - ws

    def kept(step):
        first, other = (Faces().embed(render(x)) for x in (ws, ws + step))
        return (first * other).sum(1).mean()

    free, near, same = found(), found(l2=3.0), found(identity=3.0)
    assert near.norm() < 0.7 * free.norm()
    assert kept(same) > kept(free)


def test_pictures_of_a_batch_do_not_influence_one_another(covariance):
    render, network = Matrix(), Pixels()
    ws = torch.randn(3, NUM_WS, DIM)
    how = Optimiser(steps=5)
    together = optimised_codes(render, network, ws, "1", covariance, Faces(), how=how)
    alone = optimised_codes(render, network, ws[1:2], "1", covariance, Faces(), how=how)
    torch.testing.assert_close(together[1:2], alone)
    direction = torch.tensor([1.0, 0.0, 0.0])
    together = gradient_step(render, network, ws, direction, covariance)
    alone = gradient_step(render, network, ws[1:2], direction, covariance)
    torch.testing.assert_close(together[1:2], alone)


@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_text_is_refused(covariance, text):
    with pytest.raises(ValueError, match="text: expected words, got none"):
        optimised_step(Matrix(), Pixels(), torch.randn(1, NUM_WS, DIM), text, covariance)
