"""The tab of samples: they are the generator's, and inversion is compared with the truth."""

import numpy as np
import pytest
import torch

gr = pytest.importorskip("gradio")

from restyle.app.person import shown  # noqa: E402 - after the check for Gradio
from restyle.app.samples import SHOWN, again, drawn, take  # noqa: E402


def test_samples_are_drawn_from_a_seed_on(model):
    pictures = drawn(model, 3, 0.5)
    assert [seed for _, seed in pictures] == [f"{3 + i}" for i in range(SHOWN)]
    for number in (0, SHOWN - 1):
        expected = shown(model.sample(1, 3 + number, 0.5).image[0])
        assert np.abs(np.asarray(pictures[number][0], int) - np.asarray(expected, int)).max() <= 1
    assert (np.asarray(drawn(model, 3, 0.0)[0][0]) == np.asarray(drawn(model, 4, 0.0)[0][0])).all()


@pytest.mark.parametrize("seed", [-1, 1e12, float("nan")])
def test_a_seed_that_is_none_is_one_sentence(model, seed):
    with pytest.raises(gr.Error, match="seed from 0 to 1,000,000,000"):
        drawn(model, seed, 0.5)


def test_a_sample_is_a_person(model, shelf):
    (first, second), said, person, files = take(model, shelf, (7, 0.5))
    assert torch.equal(person.ws, model.sample(1, 7, 0.5).ws) and person.target is None
    assert first is second and said.startswith("Sample 7 at truncation 0.5.") and len(files) == 2


def test_inversion_stands_beside_the_true_codes(model, shelf):
    true = model.sample(1, 7, 0.5)
    *steps, last = again(model, shelf, (7, 0.5))
    expected = model.invert(true.image.clamp(-1, 1))
    assert len(steps) == len(expected.steps)
    assert torch.allclose(last[2].ws, expected.ws, atol=1e-6)
    far = (expected.ws - true.ws).square().mean().sqrt().item()
    assert f"Its codes are {far:.2f} from the true ones" in last[1]
    assert torch.equal(last[2].undone().ws, true.ws) and len(last[3]) == 3
    with pytest.raises(gr.Error, match="First click one"):
        list(again(model, shelf, None))
