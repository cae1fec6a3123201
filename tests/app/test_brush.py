"""The brush: strokes become masks."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio")

from restyle.app.brush import (  # noqa: E402 - after the check for Gradio
    MASK_SIDE,
    MOST_POINTS,
    STROKES,
    painted,
    read_stroke,
    tinted,
)


def test_a_stroke_paints_what_is_as_near_as_half_the_brush():
    mask = painted(None, [(0.25, 0.5), (0.75, 0.5)], 0.1, (400, 400))
    assert (mask.mode, mask.size) == ("L", (MASK_SIDE, MASK_SIDE))
    x, y = (np.stack(np.meshgrid(*[np.arange(MASK_SIDE)] * 2)) + 0.5) / MASK_SIDE
    far = np.hypot(x - x.clip(0.25, 0.75), y - 0.5)
    inside = np.asarray(mask) == 255
    assert inside[far < 0.04].all() and not inside[far > 0.06].any()


def test_strokes_add_up_and_leave_the_first_mask_alone():
    first = painted(None, [(0.2, 0.2)], 0.1, (200, 100))
    second = painted(first, [(0.8, 0.8)], 0.1, (200, 100))
    assert first.size == (MASK_SIDE, MASK_SIDE // 2)
    one, both = np.asarray(first) > 0, np.asarray(second) > 0
    assert one.any() and both[one].all() and 1.8 < both.sum() / one.sum() < 2.2


def test_what_is_painted_is_tinted():
    picture = Image.new("RGB", (512, 512), "black")
    assert tinted(picture, None) is picture
    shown = np.asarray(tinted(picture, painted(None, [(0.5, 0.5)], 0.2, (512, 512))))
    assert shown[256, 256].min() == 0 and shown[256, 256].max() > 80 and not shown[0].any()


def test_strokes_are_read():
    assert read_stroke("[[0.5, 1], [0, 0.25]]") == [(0.5, 1.0), (0.0, 0.25)]
    assert "drag-stroke" in STROKES and str(MOST_POINTS) in STROKES


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "[[1]]", "[[1, 2, 3]]", "[[0, NaN]]", "[[0, 1e999]]", "[[-0.1, 0]]", "1"]
    + ["[" * 10**5, str([[0, 0]] * (MOST_POINTS + 1)), '[["a", "b"]]', "null"],
)
def test_what_is_no_stroke_is_refused(text):
    with pytest.raises(ValueError, match="expected a stroke"):
        read_stroke(text)
