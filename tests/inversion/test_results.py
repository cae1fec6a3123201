"""Results of batches come apart and together without a change."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from restyle.inversion.results import InversionResult, joined
from restyle.io.images import read_image, to_uint8
from restyle.refine import Estimate


def result(images: int, steps: int, used: list[int] | None = None) -> InversionResult:
    estimates = tuple(
        Estimate(torch.randn(images, 6, 8), torch.rand(images, 3, 4, 4) * 2 - 1)
        for _ in range(steps + 1)
    )
    steps_used = None if used is None else torch.tensor(used)
    return InversionResult(torch.rand(images, 3, 4, 4), estimates, steps_used)


def test_every_step_is_taken_where_nothing_else_is_said():
    found = result(2, 3)
    assert found.steps_used.tolist() == [3, 3]
    assert found.ws is found.steps[-1].ws and found.image is found.steps[-1].image
    assert repr(found) == "InversionResult(2 of (3, 4, 4), ws (6, 8), steps [3, 3])"


def test_a_batch_comes_apart_with_the_steps_that_each_took():
    found = result(2, 3, [1, 3])
    first, second = found.split()
    assert len(first.steps) == 2 and len(second.steps) == 4
    assert torch.equal(first.ws, found.steps[1].ws[:1])
    assert torch.equal(second.image, found.image[1:])


def test_batches_come_together_and_the_shorter_repeats_its_last_step():
    short, long = result(1, 1), result(2, 3)
    both = joined([short, long])
    assert both.steps_used.tolist() == [1, 3, 3] and len(both.steps) == 4
    assert torch.equal(both.ws, torch.cat([short.ws, long.ws]))
    assert torch.equal(both.steps[2].image[:1], short.image)
    assert torch.equal(both.target, torch.cat([short.target, long.target]))
    assert joined([long]) is long
    with pytest.raises(ValueError, match="at least one image, got none"):
        joined([])


def test_pictures_and_codes_of_each_image_are_saved(tmp_path):
    found = result(2, 2)
    found.save(tmp_path / "new")
    for number in range(2):
        image = read_image(tmp_path / f"new/reconstructions/{number}.png")
        np.testing.assert_array_equal(np.asarray(image), to_uint8(found.image[number]))
        ws = load_file(tmp_path / f"new/latents/{number}.safetensors")["ws"]
        assert torch.equal(ws, torch.stack([step.ws[number] for step in found.steps]))
