import pytest
import torch

from restyle.inversion.adaptive import refine_until
from restyle.refine import Estimate, average_estimate, refine
from tests.tiny import SIZE, tiny_model

RATES = torch.tensor([1.0, 0.5, 0.9, 0.0])  # how much of the way each image goes in a step


def render(ws):
    return ws.reshape(-1, 3, 4, 4)


class Approach:
    """An encoder that goes a part of the way to the target, each image at a rate of its own.

    The rate is written in the target's first pixel, so that it survives compaction.
    """

    def __init__(self):
        self.shown = []

    def __call__(self, pair, *_):
        self.shown.append(len(pair))
        target, image = pair.chunk(2, dim=1)
        return (target[:, :1, :1, :1] * (target - image)).reshape(-1, 2, 24), None


def problem():
    target = torch.randn(4, 3, 4, 4)
    target[:, 0, 0, 0] = RATES
    return target, average_estimate(torch.zeros(2, 24), render, 4)


def test_images_stop_when_they_are_there():
    target, start = problem()
    encoder = Approach()
    found = list(refine_until(encoder, render, target, start, most_steps=10, tolerance=0.02))
    used = torch.stack([took for _, took in found]).sum(0)
    # At once there, then a step without a residual; halved errors of halved steps; slow; never.
    assert used.tolist() == [2, 7, 3, 1]
    assert encoder.shown == [4, 3, 2, 1, 1, 1, 1]


def test_stopped_images_keep_what_plain_refinement_had():
    target, start = problem()
    plain = list(refine(Approach(), render, target, start, 10))
    found = list(refine_until(Approach(), render, target, start))
    for image, step in ((1, 6), (2, 2)):
        torch.testing.assert_close(found[-1][0].ws[image], plain[step].ws[image])
    torch.testing.assert_close(found[1][0].image[1:3], plain[1].image[1:3])


def test_the_best_estimate_is_kept_when_a_step_makes_it_worse():
    target = torch.ones(2, 3, 4, 4)
    start = average_estimate(torch.zeros(2, 24), render, 2)
    residuals = iter([0.9, 0.3])  # the second step goes beyond the target

    def encoder(pair, *_):
        return torch.full((len(pair), 2, 24), next(residuals)), None

    found = list(refine_until(encoder, render, target, start))
    assert len(found) == 2
    torch.testing.assert_close(found[-1][0].image, torch.full((2, 3, 4, 4), 0.9))


def test_no_more_steps_than_allowed_and_the_start_is_no_candidate():
    target, start = problem()
    assert len(list(refine_until(Approach(), render, target, start, 3, tolerance=0))) == 3

    def far(pair, *_):
        return torch.full((len(pair), 2, 24), 9.0), None

    away = [e for e, _ in refine_until(far, render, target, start)]
    assert (away[-1].ws == 9).all()


def test_a_model_stops_by_itself():
    model = tiny_model()
    images = torch.rand(5, 3, SIZE, SIZE) * 2 - 1
    result = model.invert(images, steps="auto", batch_size=2)
    fixed = model.invert(images, steps=10, batch_size=2)
    assert result.steps_used.shape == (5,) and 1 <= result.steps_used.min()
    assert len(result.steps) == result.steps_used.max() + 1
    errors = torch.stack([(e.image - images).square().mean(dim=(1, 2, 3)) for e in fixed.steps[1:]])
    kept = (result.image - images).square().mean(dim=(1, 2, 3))
    for i, used in enumerate(result.steps_used.tolist()):
        torch.testing.assert_close(kept[i], errors[:used, i].min())
    alone = result.split()
    assert [len(one.steps) - 1 for one in alone] == result.steps_used.tolist()
    assert all(torch.equal(one.ws[0], ws) for one, ws in zip(alone, result.ws, strict=True))


def test_without_stopping_every_step_is_used():
    model = tiny_model()
    images = torch.rand(3, 3, SIZE, SIZE) * 2 - 1
    assert model.invert(images, steps=2, batch_size=2).steps_used.tolist() == [2, 2, 2]
    single = tiny_model(input_channels=3)
    assert single.invert(images, steps="auto").steps_used.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="at least 1, or 'auto', got often"):
        model.invert(images, steps="often")


def test_estimates_carry_no_gradients():
    target, start = problem()
    weight = torch.ones((), requires_grad=True)
    found = refine_until(
        lambda pair, *_: (Approach()(pair)[0] * weight, None), render, target, start
    )
    assert not next(found)[0].image.requires_grad
    assert isinstance(start, Estimate)
