"""Pictures of every kind become the same target."""

import numpy as np
import pytest
import torch
from PIL import Image

from restyle.inversion.targets import as_pictures, is_stretched, to_target
from tests.tiny import picture


def test_a_path_an_image_an_array_and_a_tensor_are_one_target(tmp_path):
    path = picture(tmp_path / "me.png")
    with Image.open(path) as image:
        array = np.asarray(image)
        targets = [to_target(kind, array.shape[:2]) for kind in (path, str(path), image, array)]
    exact = torch.from_numpy(array.copy()).movedim(-1, 0) / 127.5 - 1
    for target in (*targets, to_target(exact, array.shape[:2])):
        torch.testing.assert_close(target, exact)
    assert to_target(exact, (8, 12)).shape == to_target(array, (8, 12)).shape == (3, 8, 12)


@pytest.mark.parametrize("one", ["me.png", torch.zeros(3, 4, 4), np.zeros((4, 4, 3), np.uint8)])
def test_one_picture_is_a_sequence_of_one(one):
    assert len(list(as_pictures(one))) == 1


def test_batches_are_sequences_of_their_pictures():
    assert [p.shape for p in as_pictures(torch.zeros(2, 3, 4, 5))] == [(3, 4, 5)] * 2
    assert [p.shape for p in as_pictures(np.zeros((2, 4, 5, 3), np.uint8))] == [(4, 5, 3)] * 2
    assert list(as_pictures(["a.png", "b.png"])) == ["a.png", "b.png"]
    with pytest.raises(ValueError, match=r"expected a tensor \(B, 3, H, W\), got \(4, 4\)"):
        as_pictures(torch.zeros(4, 4))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (np.zeros((4, 4), np.uint8), r"expected an array \(H, W, 3\) of uint8, got \(4, 4\)"),
        (np.zeros((4, 4, 3)), "got .* float64"),
        (torch.zeros(1, 4, 4), r"expected a floating-point tensor \(3, H, W\), got \(1, 4, 4\)"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), "got .* torch.uint8"),
        (torch.full((3, 4, 4), 255.0), r"in \[-1, 1\], got magnitudes up to 255"),
        (torch.full((3, 4, 4), float("nan")), "got magnitudes up to nan"),
    ],
)
def test_what_is_no_picture_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        to_target(wrong, (4, 4))


def halves(width, height):
    """A picture, black above and white below, red at its left and right ends."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[height // 2 :] = 255
    pixels[:, :2] = pixels[:, -2:] = (255, 0, 0)
    return Image.fromarray(pixels)


def test_a_picture_is_stretched_cropped_or_padded():
    wide = halves(40, 20)
    stretched, cropped, padded = (to_target(wide, (16, 16), fit) for fit in FITS)
    red = (stretched[0] > 0) & (stretched[1] < 0)
    assert red[:, 0].all() and red[:, -1].all()
    assert torch.equal(cropped[:, :, 0], cropped[:, :, 8])  # no red: the ends are gone
    assert (cropped[:, :7] == -1).all() and (cropped[:, 9:] == 1).all()
    assert (padded[:, :4] == 1).all() and (padded[:, 12:] == 1).all()
    assert (padded[:, 4, 4:12] < 0).all() and (padded[1, 4:12, 0] < 0).all()


FITS = ("stretch", "crop", "pad")


@pytest.mark.parametrize("size", [(16, 16), (12, 16)])
@pytest.mark.parametrize("shape", [(16, 16), (1, 500), (500, 1), (30, 20), (1, 1)])
@pytest.mark.parametrize("fit", FITS)
def test_every_shape_fits(size, shape, fit):
    target = to_target(Image.new("RGB", shape, "red"), size, fit)
    assert target.shape == (3, *size) and torch.isfinite(target).all()


def test_an_unknown_fit_is_refused():
    with pytest.raises(ValueError, match="fit: expected one of stretch, crop, pad, got 'squash'"):
        to_target(Image.new("RGB", (4, 4)), (4, 4), "squash")


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((64, 64), (16, 16), False),
        ((1000, 999), (64, 64), False),  # less than a pixel at this size
        ((332, 325), (64, 64), True),
        ((256, 192), (192, 256), False),
        ((192, 256), (192, 256), True),
    ],
)
def test_only_what_moves_by_a_pixel_is_stretched(shape, size, expected):
    assert is_stretched(Image.new("RGB", shape), size) is expected
