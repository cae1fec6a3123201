"""The third tab: clicks become points, and points are dragged as the library does."""

from pathlib import Path

import numpy as np
import pytest
import torch

gr = pytest.importorskip("gradio")

from restyle.app.brush import painted  # noqa: E402 - after the check for Gradio
from restyle.app.drag import (  # noqa: E402
    AROUND,
    BRUSHED,
    EVERYTHING,
    clicked,
    drag,
    drawn,
    parse,
    place_in,
    told,
)
from restyle.editing.drag import mask_around  # noqa: E402


def test_points_are_read_as_they_are_written():
    pairs = [((1.0, 2.5), (3.0, 4.0)), ((5.0, 6.0), (7.0, 8.0))]
    assert parse(told(pairs)) == (pairs, None)
    assert parse(told(pairs, (9.0, 9.5))) == (pairs, (9.0, 9.5))
    assert parse(" 1,2 > 3,4 \n\n5,6") == ([((1.0, 2.0), (3.0, 4.0))], (5.0, 6.0))
    assert parse("") == ([], None)


@pytest.mark.parametrize("text", ["1", "1,2 3,4", "a,b > c,d", "1,2 >\n3,4 > 5,6", "1,2 > 3"])
def test_what_are_no_points_is_refused(text):
    with pytest.raises(ValueError, match="lines such as 20,40 > 25,38"):
        parse(text)


def test_every_second_click_is_a_target():
    text = clicked("", (1, 2))
    assert text == "1.0,2.0 >"
    text = clicked(text, (3, 4))
    assert text == "1.0,2.0 > 3.0,4.0"
    assert parse(clicked(text, (5, 6))) == ([((1, 2), (3, 4))], (5, 6))


def test_points_are_drawn_as_soon_as_they_are_clicked(model, person):
    bare, one = (np.asarray(drawn(model, person, text)) for text in ("", "4,4 >"))
    assert bare.shape == (512, 512, 3) and (bare != one).any()
    assert one[144, 144].tolist() == [255, 0, 0]
    assert drawn(model, None, "4,4 >") is None
    with pytest.raises(ValueError, match="in the picture of 16 x 16"):
        drawn(model, person, f"{'9' * 400},1 > 2,2")


def test_a_drag_is_the_librarys_and_can_be_undone(model, shelf, person):
    *steps, last = drag(model, shelf, person, "8,7 > 10,7", 5)
    expected = list(model.drag(person.ws, [(8, 7)], [(10, 7)], steps=5))
    assert len(steps) == len(expected)
    for (image, where, said, one, _), step in zip(steps, expected, strict=True):
        assert torch.equal(one.ws, step.ws) and image.size == (512, 512)
        [(handle, target)] = parse(where)[0]
        assert handle == pytest.approx(step.points[0].tolist(), abs=0.06) and target == (10, 7)
        assert "points have arrived" in said
    done = f"Done after {len(steps) - 1} steps."
    left = "" if expected[-1].arrived.all() else " 0 of 1 points have arrived: *Drag* goes on."
    assert last[2] == done + left
    assert [Path(file).name for file in last[4]] == [
        "picture.png",
        "latents.safetensors",
        "strip.png",
    ]
    assert torch.equal(last[3].undone().ws, person.ws)


def test_what_may_change_is_the_librarys_mask(model, shelf, person):
    points = torch.tensor([[8.0, 7.0], [10.0, 7.0]])
    brushed = painted(None, [(0.2, 0.3), (0.6, 0.3)], 0.2, (512, 512))
    masks = {
        EVERYTHING: None,
        AROUND: mask_around(points, (16, 16)),
        BRUSHED: torch.from_numpy(np.asarray(brushed) / 255).float(),
    }
    found = {}
    for what, mask in masks.items():
        *_, last = drag(model, shelf, person, "8,7 > 10,7", 5, (what, brushed))
        *_, expected = model.drag(person.ws, points[:1], points[1:], mask, steps=5)
        assert torch.equal(last[3].ws, expected.ws)
        found[what] = last[3].ws
    assert not torch.equal(found[EVERYTHING], found[BRUSHED])
    with pytest.raises(gr.Error, match="First brush what may change"):
        list(drag(model, shelf, person, "8,7 > 10,7", 5, (BRUSHED, None)))


def test_clicks_are_places_of_the_models_picture(model):
    assert place_in(model, (0, 511)) == pytest.approx((-0.48, 15.48), abs=0.01)


@pytest.mark.parametrize(
    ("text", "steps", "words"),
    [
        ("", 5, "First click a point"),
        ("8,7 >", 5, "First click a point"),
        ("8,7 > 99,7", 5, "in the picture of 16 x 16"),
        ("hello", 5, "lines such as"),
        ("8,7 > 9,7", 0, "steps from 1"),
    ],
)
def test_what_cannot_be_dragged_is_one_sentence(model, shelf, person, text, steps, words):
    with pytest.raises(gr.Error, match=words):
        list(drag(model, shelf, person, text, steps))


def test_somebody_must_be_there(model, shelf):
    with pytest.raises(gr.Error, match="First find a picture"):
        list(drag(model, shelf, None, "8,7 > 9,7", 5))
