"""Cutting a face out of a photograph as the pictures of FFHQ are cut out, and putting it back.

The crop is a square that is turned with the face and sized by the distances between eyes and mouth
(Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", CVPR
2019, appendix). Coordinates are x, y in pixels, with the centre of the first pixel at (0, 0).
"""

import math

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

MAX_FACE = 20_000
"""Largest side of a face's square, in pixels, that is worked on."""


def ffhq_quad(landmarks: np.ndarray) -> np.ndarray:
    """Place the square that FFHQ's crop of a face shows.

    Args:
        landmarks: (68, 2) in the order of iBUG 300-W, or (5, 2): eyes, nose, mouth corners. Left
            means left in the picture.

    Returns:
        (4, 2): the crop's upper left, lower left, lower right and upper right corner. It may reach
        beyond the photograph.

    Raises:
        ValueError: Another number of landmarks, or they are not finite or coincide.
    """
    left_eye, right_eye, left_mouth, right_mouth = _corners(np.asarray(landmarks, float))
    eyes = (left_eye + right_eye) * 0.5
    mouth = (left_mouth + right_mouth) * 0.5
    eye_to_eye = right_eye - left_eye
    eye_to_mouth = mouth - eyes
    x = eye_to_eye - _turned(eye_to_mouth)
    length = np.hypot(*x)
    if not length > 0:
        raise ValueError("expected eyes and mouth that lie apart, got them in one place")
    x *= max(np.hypot(*eye_to_eye) * 2.0, np.hypot(*eye_to_mouth) * 1.8) / length
    y = _turned(x)
    centre = eyes + eye_to_mouth * 0.1
    return np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])


def crop_face(
    photo: Image.Image, quad: np.ndarray, size: int = 256, sampled: int | None = None
) -> Image.Image:
    """Cut out a square; where it reaches beyond the photograph, the border is mirrored and blurred.

    Args:
        photo: Mode RGB.
        quad: What `ffhq_quad` returns.
        size: Height and width of the crop in pixels.
        sampled: The size that is sampled first and then reduced to `size`, if larger; for a crop of
            finer quality. As large as `size` if None.

    Returns:
        The crop, mode RGB.

    Raises:
        ValueError: The photograph is not RGB, or the square is too large or not finite.
    """
    if photo.mode != "RGB":
        raise ValueError(f"expected a photograph in mode RGB, got {photo.mode}")
    quad = np.array(quad, float)
    side = float(np.hypot(*(quad[3] - quad[0])))
    if not 0 < side <= MAX_FACE:
        raise ValueError(f"expected a face of at most {MAX_FACE} pixels, got one of {side:g}")
    shrink = math.floor(side / size * 0.5)
    if shrink > 1:
        smaller = [round(length / shrink) for length in photo.size]
        photo = photo.resize((smaller[0], smaller[1]), Image.Resampling.LANCZOS)
        quad, side = quad / shrink, side / shrink
    border = max(round(side * 0.1), 3)
    photo, quad = _cut(photo, quad, border)
    photo, quad = _padded(photo, quad, side, border)
    sampled = max(sampled or size, size)
    crop = photo.transform(
        (sampled, sampled),
        Image.Transform.QUAD,
        tuple((quad + 0.5).flatten()),  # Pillow's pixel centres are at one half
        Image.Resampling.BILINEAR,
    )
    return crop if sampled == size else crop.resize((size, size), Image.Resampling.LANCZOS)


def paste_back(
    photo: Image.Image, crop: Image.Image, quad: np.ndarray, softness: float = 0.1
) -> Image.Image:
    """Put an edited crop back where it was cut out, with a border that fades.

    Args:
        photo: The whole photograph, mode RGB.
        crop: The edited crop, mode RGB, square, of any size.
        quad: The square that was cut out.
        softness: How wide the border is in which the crop fades into the photograph, as a part of
            the crop's side; 0 for a hard edge, at most 0.5.

    Returns:
        A picture of the photograph's size, and outside the square equal to it.

    Raises:
        ValueError: Pictures that are not RGB, a crop that is not square, a softness out of range.
    """
    for name, picture in (("photograph", photo), ("crop", crop)):
        if picture.mode != "RGB":
            raise ValueError(f"expected a {name} in mode RGB, got {picture.mode}")
    if crop.width != crop.height:
        raise ValueError(f"expected a square crop, got {crop.width} x {crop.height}")
    if not 0 <= softness <= 0.5:
        raise ValueError(f"expected a softness from 0 to 0.5, got {softness}")
    quad = np.asarray(quad, float)
    left, top = np.floor(quad.min(axis=0)).astype(int).clip(0)
    right, bottom = np.minimum(np.ceil(quad.max(axis=0)).astype(int) + 1, photo.size)
    if left >= right or top >= bottom:
        return photo.copy()
    side = max(round(float(np.hypot(*(quad[3] - quad[0])))), 1)
    if crop.width > side:  # reduced without aliasing
        crop = crop.resize((side, side), Image.Resampling.LANCZOS)
    to_crop = into_square(quad - [left, top], crop.width)
    area = (int(right - left), int(bottom - top))
    placed = crop.transform(
        area, Image.Transform.AFFINE, tuple(to_crop.flatten()), Image.Resampling.BICUBIC
    )
    mask = _soft_mask(area, to_crop / crop.width, softness)
    result = photo.copy()
    result.paste(placed, (int(left), int(top)), Image.fromarray(mask))
    return result


def _corners(landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the picture's left and right eye, left and right corner of the mouth, each (2,)."""
    if landmarks.shape not in ((68, 2), (5, 2)):
        raise ValueError(f"expected landmarks (68, 2) or (5, 2), got {landmarks.shape}")
    if not np.isfinite(landmarks).all():
        raise ValueError("expected finite landmarks, got NaN or infinity")
    if len(landmarks) == 5:
        return landmarks[0], landmarks[1], landmarks[3], landmarks[4]
    left, right = landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)
    return left, right, landmarks[48], landmarks[54]


def _turned(vector: np.ndarray) -> np.ndarray:
    """Turn a vector by a quarter: what points right points down afterwards."""
    return np.array([-vector[1], vector[0]])


def _bounds(quad: np.ndarray) -> tuple[int, int, int, int]:
    left, top = np.floor(quad.min(axis=0))
    right, bottom = np.ceil(quad.max(axis=0))
    return int(left), int(top), int(right), int(bottom)


def _cut(photo: Image.Image, quad: np.ndarray, border: int) -> tuple[Image.Image, np.ndarray]:
    """Cut out the part of the photograph that matters."""
    left, top, right, bottom = _bounds(quad)
    start = max(left - border, 0), max(top - border, 0)
    box = *start, min(right + border, photo.width), min(bottom + border, photo.height)
    if box[0] >= box[2] or box[1] >= box[3]:
        raise ValueError("expected a face inside the photograph, got it outside")
    return photo.crop(box), quad - start


def _padded(
    photo: Image.Image, quad: np.ndarray, side: float, border: int
) -> tuple[Image.Image, np.ndarray]:
    """Extend a photograph that does not reach around its face."""
    left, top, right, bottom = _bounds(quad)
    beyond = (-left, -top, right - photo.width, bottom - photo.height)
    pad = [max(width + border, 0) for width in beyond]
    if max(pad) <= border - 4:
        return photo, quad
    pad = [max(width, round(side * 0.3)) for width in pad]
    pixels = np.asarray(photo, np.float32)
    pixels = np.pad(pixels, ((pad[1], pad[3]), (pad[0], pad[2]), (0, 0)), "reflect")
    height, width = pixels.shape[:2]
    y, x = np.ogrid[:height, :width]
    # 1 at the outer edge, 0 at the photograph's own, less inside.
    outside = np.maximum(
        1 - np.minimum(np.float32(x) / pad[0], np.float32(width - 1 - x) / pad[2]),
        1 - np.minimum(np.float32(y) / pad[1], np.float32(height - 1 - y) / pad[3]),
    )[..., None]
    pixels += (_blurred(pixels, side * 0.02) - pixels) * np.clip(outside * 3 + 1, 0, 1)
    pixels += (np.median(pixels, axis=(0, 1)) - pixels) * np.clip(outside, 0, 1)
    levels = np.rint(pixels).clip(0, 255).astype(np.uint8)
    return Image.fromarray(levels), quad + pad[:2]


def _blurred(pixels: np.ndarray, sigma: float) -> np.ndarray:
    """Blur (H, W, 3) by a Gaussian, cut off at four sigma; the mirrored border repeats its edge."""
    radius = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = torch.from_numpy((weights / weights.sum()).astype(np.float32))
    pixels = np.pad(pixels, ((radius, radius), (radius, radius), (0, 0)), "symmetric")
    planes = torch.from_numpy(pixels).permute(2, 0, 1)[:, None]
    planes = functional.conv2d(planes, kernel.view(1, 1, -1, 1))
    planes = functional.conv2d(planes, kernel.view(1, 1, 1, -1))
    return planes[:, 0].permute(1, 2, 0).numpy()


def into_square(quad: np.ndarray, size: int) -> np.ndarray:
    """Return the (2, 3) matrix from a photograph to a crop of `size` pixels.

    Pixel centres are at one half in both; corners (4, 2) of the crop as `ffhq_quad` returns them.
    """
    corner, right, down = quad[0] + 0.5, quad[3] - quad[0], quad[1] - quad[0]
    to_unit = np.linalg.inv(np.stack([right, down], axis=1))
    return size * np.column_stack([to_unit, -to_unit @ corner])


def _soft_mask(area: tuple[int, int], to_unit: np.ndarray, softness: float) -> np.ndarray:
    """Return levels (height, width): 255 well inside the square, fading to 0 at its edge."""
    y, x = np.mgrid[: area[1], : area[0]] + 0.5
    u, v = (row[0] * x + row[1] * y + row[2] for row in to_unit)
    inside = np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v))
    if softness == 0:
        return np.where(inside > 0, 255, 0).astype(np.uint8)
    share = np.clip(inside / softness, 0, 1)
    return np.rint(255 * share * share * (3 - 2 * share)).astype(np.uint8)
