"""The tab for two people: mixtures are the library's, and films go there and back."""

from pathlib import Path

import numpy as np
import pytest
import torch

gr = pytest.importorskip("gradio")

from restyle.app.mix import EVERYTHING, given, look, mixed, other_of  # noqa: E402 - after the check
from restyle.app.person import picture_of, shown  # noqa: E402
from restyle.editing.edits import mix as mix_layers  # noqa: E402
from tests.tiny import picture  # noqa: E402


@pytest.fixture
def other(model):
    return model.sample(1, seed=5).ws


def test_what_is_given_is_what_the_model_has_layers_for(model):
    assert given(model) == [EVERYTHING, "pose and shape (coarse)", "features (middle)"]


def test_a_mixture_is_the_librarys(model, person, other):
    assert torch.allclose(mixed(person, other, EVERYTHING, 1.0), other)
    assert torch.equal(mixed(person, other, EVERYTHING, 0.0), person.ws)
    half = mixed(person, other, "features (middle)", 0.5)
    assert torch.allclose(half, (person.ws + mix_layers(person.ws, other, "middle")) / 2)
    with torch.no_grad():
        expected = shown(model.generate(half)[0])
    seen = look(model, person, other, "features (middle)", 0.5)
    assert np.array_equal(np.asarray(seen), np.asarray(expected))


def test_it_needs_two(model, person, other):
    with pytest.raises(ValueError, match="first find a picture"):
        mixed(None, other, EVERYTHING, 0.5)
    with pytest.raises(ValueError, match="first give the other person"):
        mixed(person, None, EVERYTHING, 0.5)
    alone = look(model, person, None, EVERYTHING, 0.5)
    assert np.array_equal(np.asarray(alone), np.asarray(picture_of(model, person)))
    assert look(model, None, None, EVERYTHING, 0.5) is None


def test_the_other_is_inverted(model, tmp_path):
    photo = picture(tmp_path / "me.png")
    assert torch.allclose(other_of(model, str(photo), False), model.invert(photo).ws)
    with pytest.raises(gr.Error, match="Expected a picture first"):
        other_of(model, None, False)


def test_a_film_goes_there_and_back(model, shelf, person, other):
    imageio = pytest.importorskip("imageio.v2")
    pytest.importorskip("imageio_ffmpeg")
    [file] = shelf.film(model, [person.ws, other, person.ws])
    assert Path(file).name == "film.mp4" and Path(file).is_relative_to(shelf.folder)
    frames = [np.asarray(frame, int) for frame in imageio.mimread(file)]
    assert len(frames) == 51
    assert np.abs(frames[0] - frames[-1]).mean() < np.abs(frames[0] - frames[25]).mean() / 2
