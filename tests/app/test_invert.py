"""The first tab: every step is shown as it is made, and is what the library makes."""

from pathlib import Path

import pytest
import torch
from PIL import Image

gr = pytest.importorskip("gradio")

from restyle.app import invert  # noqa: E402 - after the check for Gradio
from restyle.faces import AlignedFace  # noqa: E402
from tests.tiny import picture, tiny_model  # noqa: E402


def test_every_step_is_shown_and_the_last_one_is_the_librarys(model, shelf, tmp_path):
    photo = str(picture(tmp_path / "me.png"))
    *shown, last = invert.invert(model, shelf, photo, False, 3)
    assert [said.partition(":")[0] for _, _, said, _, _ in shown] == [f"Step {n}" for n in range(4)]
    expected = model.invert(photo, steps=3)
    for (pair, _, _, person, _), estimate in zip(shown, expected.steps, strict=True):
        assert torch.allclose(person.ws, estimate.ws, atol=1e-6)
        assert [one.size for one in pair] == [(512, 512)] * 2
    _, _, said, person, files = last
    assert "likeness.** 3 steps, " in said and said.endswith(invert.GO_ON)
    assert torch.equal(person.ws, shown[-1][3].ws)
    with Image.open(files[2]) as strip:  # the photograph, the start and three steps
        assert Path(files[2]).name == "strip.png" and strip.width > 5 * 512


def test_as_many_steps_as_help(model, shelf, tmp_path):
    photo = str(picture(tmp_path / "me.png"))
    *shown, last = invert.invert(model, shelf, photo, False, "auto")
    expected = model.invert(photo, steps="auto")
    assert len(shown) == len(expected.steps)
    assert torch.allclose(last[3].ws, expected.ws, atol=1e-6)


def test_steps_are_bounded_whatever_is_asked_for(model, shelf, tmp_path):
    photo = str(picture(tmp_path / "me.png"))
    assert len(list(invert.invert(model, shelf, photo, False, 1e9))) == invert.MOST_STEPS + 2
    single = tiny_model(input_channels=3)
    *_, last = invert.invert(single, shelf, photo, False, 5)
    assert "1 step," in last[2]
    for wrong in (0, float("nan")):
        with pytest.raises(gr.Error):
            list(invert.invert(model, shelf, photo, False, wrong))


def test_an_error_is_told_in_words_in_the_range_of_the_model():
    model = tiny_model(validation={"val_mse_max": 0.4})  # the limit is twice that
    words = [invert.likeness(model, error) for error in (0.1, 0.4, 0.8)]
    assert words == [f"A {word} likeness." for word in ("near", "middling", "far")]
    for unlike in (0.81, float("nan")):
        assert "unlike the tiny" in invert.likeness(model, unlike)
    assert invert.likeness(tiny_model(translates=True), 9.0) == "Done."


@pytest.fixture
def group(monkeypatch):
    """Let a photograph have three faces."""
    crops = [Image.new("RGB", (20, 20), colour) for colour in ("red", "green", "blue")]
    faces = [AlignedFace(None, None, crop) for crop in crops]
    monkeypatch.setattr(invert, "align_faces", lambda photo, which: faces)
    return crops


def test_one_of_several_faces_is_chosen(model, shelf, tmp_path, group):
    photo = str(picture(tmp_path / "me.png"))
    for which, crop in enumerate(group):
        (first, *_, last) = invert.invert(model, shelf, photo, True, 1, which)
        assert first[1].visible and len(first[1].value) == 3
        assert torch.equal(last[3].target, model.prepare([crop]))
    (first, *_) = invert.invert(model, shelf, photo, False, 1)
    assert not first[1].visible


def test_nearer_is_the_librarys_method_and_can_be_undone(model, shelf, tmp_path, monkeypatch):
    monkeypatch.setenv("RESTYLE_CACHE", str(tmp_path / "cache"))
    photo = str(picture(tmp_path / "me.png"))
    *_, found = invert.invert(model, shelf, photo, False, 2)
    every = list(invert.nearer(model, shelf, found[3], lambda: invert.method_of(model)))
    waiting, start, *steps, last = every
    assert "first time" in waiting[2] and torch.equal(start[3].ws, found[3].ws)
    expected = model.invert(photo, method=f"restyle:2+{invert.NEARER}")
    assert torch.allclose(last[3].ws, expected.ws, atol=1e-5) and len(steps) > 1
    error = [float(one[2].split("error ")[1].split(",")[0]) for one in (start, *steps)]
    assert error[-1] < error[0]
    assert torch.equal(last[3].undone().ws, found[3].ws)


def test_a_sample_has_nothing_to_be_nearer_to(model, shelf, person):
    for who, words in [(None, "First find"), (person, "sample has no picture")]:
        with pytest.raises(gr.Error, match=words):
            list(invert.nearer(model, shelf, who, lambda: invert.method_of(model)))


def test_a_photograph_without_a_face_is_told_of(model, shelf, tmp_path, monkeypatch):
    from restyle.faces.detection import NoFaceError

    def none(photo, which):
        raise NoFaceError("a face", "none")

    monkeypatch.setattr(invert, "align_faces", none)
    with pytest.raises(gr.Error, match="Expected a face, got none"):
        list(invert.invert(model, shelf, str(picture(tmp_path / "me.png")), True, 3))


def test_samples_are_people_too(model, shelf):
    pair, _, said, person, files = invert.sample(model, shelf)
    assert person.target is None and len(files) == 2 and said.startswith("Sample ")
    assert pair[0].size == (512, 512)


def test_nothing_is_measured_while_somebody_waits(monkeypatch):
    model = tiny_model()
    model.card = {}
    monkeypatch.setattr(model, "invert", lambda *_: pytest.fail("measured"))
    assert invert.likeness(model, 0.1) == "Done."
