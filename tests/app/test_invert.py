"""The first tab: every step is shown as it is made, and is what the library makes."""

import pytest
import torch

gr = pytest.importorskip("gradio")

from restyle.app import invert  # noqa: E402 - after the check for Gradio
from tests.tiny import picture, tiny_model  # noqa: E402


def test_every_step_is_shown_and_the_last_one_is_the_librarys(model, shelf, tmp_path):
    photo = str(picture(tmp_path / "me.png"))
    shown = list(invert.invert(model, shelf, photo, False, 3))
    assert [said.partition(":")[0] for _, _, said, _, _ in shown] == [
        f"Step {n} of 3" for n in range(4)
    ]
    expected = model.invert(photo, steps=3)
    for (_, _, _, person, _), estimate in zip(shown, expected.steps, strict=True):
        assert torch.allclose(person.ws, estimate.ws, atol=1e-6)
    pair, _, said, _, files = shown[-1]
    assert said.endswith("s. Go on under Edit or Drag.") and "Go on" not in shown[-2][2]
    assert [one.size for one in pair] == [(512, 512)] * 2 and len(files) == 2


def test_a_picture_that_the_model_does_not_know_is_told_of(shelf, tmp_path):
    photo = str(picture(tmp_path / "me.png"))
    for largest, expected in ((1e-9, True), (9.0, False)):
        model = tiny_model(validation={"val_mse_max": largest})
        said = [said for _, _, said, _, _ in invert.invert(model, shelf, photo, False, 2)]
        assert ["unlike the tiny" in one for one in said] == [False, False, expected]


def test_steps_are_bounded_whatever_is_asked_for(model, shelf, tmp_path):
    photo = str(picture(tmp_path / "me.png"))
    assert len(list(invert.invert(model, shelf, photo, False, 1e9))) == invert.MOST_STEPS + 1
    single = tiny_model(input_channels=3)
    assert len(list(invert.invert(single, shelf, photo, False, 5))) == 2
    for wrong in (0, float("nan")):
        with pytest.raises(gr.Error):
            list(invert.invert(model, shelf, photo, False, wrong))


def test_a_photograph_without_a_face_is_told_of(model, shelf, tmp_path, monkeypatch):
    from restyle.faces.detection import NoFaceError

    def none(photo):
        raise NoFaceError("a face", "none")

    monkeypatch.setattr(invert, "align_faces", none)
    with pytest.raises(gr.Error, match="Expected a face, got none"):
        list(invert.invert(model, shelf, str(picture(tmp_path / "me.png")), True, 3))


def test_samples_are_people_too(model, shelf):
    pair, _, said, person, files = invert.sample(model, shelf)
    assert person.target is None and len(files) == 2 and said.startswith("Sample ")
    assert pair[0].size == (512, 512)
