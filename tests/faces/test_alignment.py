import numpy as np
import pytest
from PIL import Image, ImageDraw

from restyle.faces import arcface_crop, crop_face, ffhq_quad, paste_back
from restyle.faces.similarity import ARCFACE_POINTS, apply, similarity_transform, warp

FACE = np.array([[40.0, 50.0], [80.0, 50.0], [60.0, 70.0], [45.0, 90.0], [75.0, 90.0]])


def slope(width, height):
    """A picture whose red is x and whose green is y, in pixels."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x, y, np.full_like(x, 50)], axis=-1).astype(np.uint8))


def smooth(size=200):
    y, x = np.mgrid[:size, :size] / size
    waves = [np.sin(5 * x + 3 * y), np.cos(4 * y), np.sin(6 * x * y)]
    return Image.fromarray((127 + 100 * np.stack(waves, axis=-1)).astype(np.uint8))


def pixels(picture):
    return np.asarray(picture).astype(int)


def square(left, top, side):
    return np.array(
        [[left, top], [left, top + side], [left + side, top + side], [left + side, top]], float
    )


def test_an_upright_face_has_an_upright_square_around_it():
    # Eyes 40 apart and mouth 40 below: the half side is max(40 * 2, 40 * 1.8), the centre a tenth
    # of the way from the eyes to the mouth.
    np.testing.assert_allclose(ffhq_quad(FACE), square(-20, -26, 160))


def test_a_turned_face_has_a_turned_square():
    turn = np.array([[np.cos(0.3), np.sin(0.3)], [-np.sin(0.3), np.cos(0.3)]])
    np.testing.assert_allclose(ffhq_quad(FACE @ turn * 2), ffhq_quad(FACE) @ turn * 2)


def test_68_landmarks_place_the_square_as_five_do():
    many = np.random.default_rng(0).uniform(0, 100, (68, 2))
    many[36:42] += FACE[0] - many[36:42].mean(axis=0)
    many[42:48] += FACE[1] - many[42:48].mean(axis=0)
    many[48], many[54] = FACE[3], FACE[4]
    np.testing.assert_allclose(ffhq_quad(many), ffhq_quad(FACE))


@pytest.mark.parametrize(
    ("landmarks", "message"),
    [
        (np.zeros((6, 2)), r"\(6, 2\)"),
        (np.full((5, 2), np.nan), "NaN"),
        (np.ones((5, 2)), "one place"),
    ],
)
def test_unusable_landmarks_are_refused(landmarks, message):
    with pytest.raises(ValueError, match=message):
        ffhq_quad(landmarks)


def test_crops_show_what_is_in_the_square():
    crop = pixels(crop_face(slope(200, 150), square(40, 30, 64), size=64))
    y, x = np.mgrid[:64, :64]
    # A square begins half a pixel before the centre of its first pixel.
    assert np.abs(crop[..., 0] - (40.5 + x)).max() <= 1
    assert np.abs(crop[..., 1] - (30.5 + y)).max() <= 1


def test_a_quarter_turn_of_the_square_turns_the_crop():
    quad = square(40, 30, 64)
    upright = pixels(crop_face(smooth(), quad, size=64))
    turned = pixels(crop_face(smooth(), np.roll(quad, -1, axis=0), size=64))
    assert np.abs(turned - np.rot90(upright, -1)).max() <= 2


def test_a_large_face_is_reduced_without_aliasing():
    stripes = np.zeros((800, 800, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = pixels(crop_face(Image.fromarray(stripes), square(100, 100, 512), size=64))
    assert np.abs(crop - 127.5).max() < 10


def test_beyond_the_border_the_picture_goes_on():
    crop = pixels(crop_face(smooth(), square(-60, 40, 120), size=120))
    inside = pixels(smooth())[45:155, 5:55]
    assert np.abs(crop[5:115, 65:115] - inside).mean() < 8  # blurred a little near the border
    assert np.abs(np.diff(crop, axis=1)).max() < 30  # no seam
    assert crop[:, :30].std() > 0


def test_a_face_outside_the_photograph_is_refused():
    with pytest.raises(ValueError, match="inside the photograph"):
        crop_face(smooth(), square(5000, 5000, 100))
    with pytest.raises(ValueError, match="at most"):
        crop_face(smooth(), square(0, 0, 1e6))
    with pytest.raises(ValueError, match="RGB"):
        crop_face(smooth().convert("L"), square(0, 0, 50))


@pytest.mark.parametrize("size", [96, 256])
@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_an_unedited_crop_changes_nothing(size, angle):
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    quad = (square(-48, -48, 96)) @ turn + 100
    photo = smooth()
    back = paste_back(photo, crop_face(photo, quad, size), quad)
    assert np.abs(pixels(back) - pixels(photo)).max() <= 2


def test_an_edit_comes_back_into_its_place_and_nowhere_else():
    photo, quad = smooth(), square(50, 60, 80)
    red = Image.new("RGB", (256, 256), (255, 0, 0))
    back = pixels(paste_back(photo, red, quad, softness=0.25))
    outside = np.ones((200, 200), bool)
    outside[60:142, 50:132] = False
    assert (back[outside] == pixels(photo)[outside]).all()
    assert (back[85:117, 75:107] == (255, 0, 0)).all()
    share = (back - pixels(photo))[100, 50:92, 0] / (255 - pixels(photo)[100, 50:92, 0])
    assert share[0] < 0.01 and (np.diff(share[:20]) > 0).all() and share[-1] == 1


def test_without_softness_the_edge_is_hard():
    photo, quad = smooth(), square(49.5, 59.5, 80)  # coordinates count from a pixel's centre
    red = Image.new("RGB", (80, 80), (255, 0, 0))
    back = pixels(paste_back(photo, red, quad, softness=0))
    changed = (back != pixels(photo)).any(axis=-1)
    assert (back[changed] == (255, 0, 0)).all()
    assert changed.sum() == 80 * 80


def test_a_square_that_reaches_beyond_the_photograph_is_pasted_as_far_as_it_goes():
    photo = smooth()
    red = Image.new("RGB", (64, 64), (255, 0, 0))
    back = pixels(paste_back(photo, red, square(-40, -40, 80), softness=0))
    assert (back[:40, :40] == (255, 0, 0)).all()
    assert (back[42:, 42:] == pixels(photo)[42:, 42:]).all()
    assert paste_back(photo, red, square(500, 500, 80)).tobytes() == photo.tobytes()


def test_unusable_edits_are_refused():
    photo, quad = smooth(), square(50, 60, 80)
    with pytest.raises(ValueError, match="square crop, got 10 x 20"):
        paste_back(photo, Image.new("RGB", (10, 20)), quad)
    with pytest.raises(ValueError, match="softness"):
        paste_back(photo, Image.new("RGB", (10, 10)), quad, softness=0.6)
    with pytest.raises(ValueError, match="crop in mode RGB"):
        paste_back(photo, Image.new("L", (10, 10)), quad)


def test_similarities_are_found_with_and_without_reflection():
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 100, (5, 2))
    turn = 1.7 * np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    for flip in (1, -1):
        matrix = np.column_stack([turn @ np.diag([flip, 1]), [3, -8]])
        found = similarity_transform(points, apply(matrix, points))
        np.testing.assert_allclose(found, matrix, atol=1e-9)


def test_points_without_extent_are_refused():
    with pytest.raises(ValueError, match="differ"):
        similarity_transform(np.ones((5, 2)), ARCFACE_POINTS)
    with pytest.raises(ValueError, match=r"\(4, 2\)"):
        similarity_transform(np.ones((4, 2)), ARCFACE_POINTS)


def test_warping_by_nothing_changes_nothing_and_outside_is_black():
    picture = np.asarray(smooth())
    assert (warp(picture, np.eye(2, 3), (200, 200)) == picture).all()
    moved = warp(picture, np.array([[1.0, 0, 10], [0, 1, 0]]), (200, 200))
    assert (moved[:, :10] == 0).all() and (moved[:, 10:] == picture[:, :190]).all()


def test_recognition_crops_have_the_landmarks_where_the_network_expects_them():
    picture = Image.new("RGB", (300, 300))
    points = ARCFACE_POINTS @ np.array([[0.0, 1.5], [-1.5, 0.0]]) + (240, 40)
    for x, y in points:
        ImageDraw.Draw(picture).ellipse([x - 4, y - 4, x + 4, y + 4], fill="white")
    crop = arcface_crop(np.asarray(picture), points)
    assert crop.shape == (112, 112, 3)
    for x, y in ARCFACE_POINTS.round().astype(int):
        assert (crop[y - 1 : y + 2, x - 1 : x + 2] > 200).all()
