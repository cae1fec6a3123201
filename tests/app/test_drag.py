"""The third tab: clicks become points, and points are dragged as the library does."""

import numpy as np
import pytest
import torch

gr = pytest.importorskip("gradio")

from restyle.app.drag import clicked, drag, drawn, parse, told  # noqa: E402 - after the check


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
    *steps, last = drag(model, shelf, person, "8,7 > 10,7", 5, False)
    expected = list(model.drag(person.ws, [(8, 7)], [(10, 7)], steps=5))
    assert len(steps) == len(expected)
    for (image, where, said, one, _), step in zip(steps, expected, strict=True):
        assert torch.equal(one.ws, step.ws) and image.size == (512, 512)
        [(handle, target)] = parse(where)[0]
        assert handle == pytest.approx(step.points[0].tolist(), abs=0.06) and target == (10, 7)
        assert "points have arrived" in said
    assert last[2] == f"Done after {len(steps) - 1} steps." and len(last[4]) == 2
    assert torch.equal(last[3].undone().ws, person.ws)
    *_, near = drag(model, shelf, person, "8,7 > 10,7", 5, True)
    assert not torch.equal(near[3].ws, last[3].ws)


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
        list(drag(model, shelf, person, text, steps, False))


def test_somebody_must_be_there(model, shelf):
    with pytest.raises(gr.Error, match="First find a picture"):
        list(drag(model, shelf, None, "8,7 > 9,7", 5, False))
