"""The drawings: repeatable, smooth, of one geometry, and clear about what they need."""

import builtins

import numpy as np
import pytest

from restyle.portraits.attributes import SCHEMA, Attributes, continuous_names, sample

pytest.importorskip("skia", exc_type=ImportError)

from restyle.portraits.drawing.renderer import STYLES, landmarks, render  # noqa: E402


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [32, 64, 128])
def test_pictures_have_the_size_asked_for_and_never_change(style: str, size: int) -> None:
    picture = render(sample(3), size, style)
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, render(sample(3), size, style))
    assert picture.std() > 10


@pytest.mark.parametrize("style", STYLES)
def test_a_small_picture_is_the_average_of_a_large_one(style: str) -> None:
    large = render(sample(5), 128, style).astype(float)
    average = large.reshape(64, 2, 64, 2, 3).mean((1, 3))
    assert np.abs(render(sample(5), 64, style) - average).max() <= 0.5


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", continuous_names)
def test_a_tiny_change_of_an_attribute_is_a_tiny_change_of_the_picture(
    name: str, style: str
) -> None:
    spec = SCHEMA[name]
    for place in (0.1, 0.49, 0.499, 0.9):  # light and turns change sides in the middle
        value = spec.low + place * (spec.high - spec.low)
        near = value + 0.002 * (spec.high - spec.low)
        a = sample(8).with_(hair_style="long", glasses="thick", beard="none")
        one = render(a.with_(**{name: value}), 64, style).astype(float)
        other = render(a.with_(**{name: near}), 64, style).astype(float)
        assert np.abs(one - other).mean() < 0.5
        assert np.abs(one - other).max() < 64


@pytest.mark.parametrize("name", continuous_names)
def test_every_continuous_attribute_is_seen(name: str) -> None:
    spec = SCHEMA[name]
    a = Attributes(hair_style="short", skin_tone=0.3)
    low, high = (render(a.with_(**{name: v}), 64).astype(int) for v in (spec.low, spec.high))
    assert np.abs(low - high).max() > 20


@pytest.mark.parametrize(
    "name", ["hair_style", "beard", "glasses", "hat", "neckline", "eye_colour"]
)
@pytest.mark.parametrize("style", STYLES)
def test_every_class_is_seen(name: str, style: str) -> None:
    pictures = [render(Attributes().with_(**{name: c}), 64, style) for c in SCHEMA[name].names]
    for i, one in enumerate(pictures):
        for other in pictures[:i]:
            assert np.abs(one.astype(int) - other).max() > 30


@pytest.mark.parametrize("style", STYLES)
def test_landmarks_are_inside_and_in_order(style: str) -> None:
    for person in range(200):
        points = landmarks(sample(person), 64, style)
        left_eye, right_eye, nose, left_mouth, right_mouth = points
        assert points.shape == (5, 2)
        assert points.min() > 8
        assert points.max() < 56
        assert left_eye[0] < right_eye[0]
        assert left_mouth[0] < right_mouth[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] < max(left_mouth[1], right_mouth[1])


def test_landmarks_follow_the_pose() -> None:
    front = landmarks(Attributes(), 64)
    assert (landmarks(Attributes(yaw=20), 64) - front)[:, 0].min() > 2
    assert (landmarks(Attributes(pitch=10), 64) - front)[:, 1].max() < -1
    leaning = landmarks(Attributes(roll=10), 64)
    assert leaning[1, 1] - leaning[0, 1] > 1


def test_landmarks_lie_on_what_they_name() -> None:
    a = Attributes(skin_tone=0, eye_colour="brown", mouth_open=0.9, hair_style="bald")
    picture = render(a, 256).astype(int)
    left_eye, right_eye, _, left_mouth, right_mouth = landmarks(a, 256).round().astype(int)
    for x, y in (left_eye, right_eye):
        assert picture[y, x].sum() < 250  # the pupil
    x, y = (left_mouth + right_mouth) // 2
    assert picture[y - 2 : y + 8, x].sum(1).min() < 300  # the dark between the lips


def test_a_missing_renderer_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without_skia(name: str, *args: object, **kwargs: object) -> object:
        if name == "skia":
            raise ImportError("libGL.so.1: cannot open shared object file")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_skia)
    with pytest.raises(ImportError, match=r"restyle\[portraits\].*libgl1.*libegl1.*libGL.so.1"):
        render(Attributes(), 64)
    assert landmarks(Attributes(), 64).shape == (5, 2)


def test_unknown_styles_and_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="photo, toon, got 'oil'"):
        render(Attributes(), 64, "oil")
    with pytest.raises(ValueError, match="at least 1 pixel, got 0"):
        landmarks(Attributes(), 0)
