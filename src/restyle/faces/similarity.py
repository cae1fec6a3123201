"""Aligning a face by five landmarks, as face recognition networks expect it."""

import numpy as np
import torch
import torch.nn.functional as F

ARCFACE_POINTS = np.array(
    [
        [38.29459953, 51.69630051],
        [73.53179932, 51.50139999],
        [56.02519989, 71.73660278],
        [41.54930115, 92.3655014],
        [70.72990036, 92.20410156],
    ]
)
"""Eyes, nose and mouth corners (x, y) in ArcFace's training pictures of 112 x 112 pixels."""


def similarity_transform(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Find the rotation, scale, shift, and where it fits better the reflection, between points.

    The fit is the least-squares one in the direction from `targets` to `points`, which is then
    inverted (as MATLAB's `cp2tform` does, and with it the face recognition literature).

    Args:
        points: (N, 2) coordinates x, y; N >= 2.
        targets: (N, 2), where they should come to lie.

    Returns:
        (2, 3) matrix that takes (x, y, 1) to the targets.

    Raises:
        ValueError: Other shapes, or points that all coincide.
    """
    points, targets = np.asarray(points, float), np.asarray(targets, float)
    if points.shape != targets.shape or points.ndim != 2 or points.shape[1] != 2 or len(points) < 2:
        raise ValueError(
            f"expected two equal sets of points (N, 2), got {points.shape} and {targets.shape}"
        )
    if np.ptp(points, axis=0).max() == 0:
        raise ValueError("expected points that differ, got the same one each time")
    mirror = np.diag([-1.0, 1.0, 1.0])
    plain = _rotation_and_scale(points, targets)
    mirrored = mirror @ _rotation_and_scale(points, targets * [-1, 1])
    fits = [np.linalg.norm(apply(matrix[:2], points) - targets) for matrix in (plain, mirrored)]
    return (plain if fits[0] <= fits[1] else mirrored)[:2]


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Take points (N, 2) through a (2, 3) matrix."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def warp(picture: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Move a picture (H, W, C), uint8, by a transform; what lies outside is black.

    The matrix (2, 3) goes from its coordinates to those of the result, which has `size` (height,
    width) and is sampled bilinearly.
    """
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    y, x = np.mgrid[: size[0], : size[1]]
    places = apply(inverse, np.stack([x, y], axis=-1).reshape(-1, 2).astype(float))
    # In [-1, 1] from edge to edge, half a pixel beyond the outer pixels' centres.
    grid = (2 * places + 1) / [picture.shape[1], picture.shape[0]] - 1
    pixels = torch.tensor(picture).permute(2, 0, 1)[None].double()
    moved = F.grid_sample(pixels, torch.from_numpy(grid).view(1, *size, 2), align_corners=False)
    return moved[0].permute(1, 2, 0).round().numpy().astype(np.uint8)


def arcface_crop(picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Cut a face out for a face recognition network: (H, W, 3) to (112, 112, 3), uint8 RGB.

    Landmarks (5, 2) are x, y of eyes, nose and mouth corners, the picture's left ones first.
    """
    return warp(picture, similarity_transform(landmarks, ARCFACE_POINTS), (112, 112))


def _rotation_and_scale(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The (3, 3) matrix of the best fit without reflection."""
    x, y = targets.T
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = np.concatenate(
        [np.stack([x, y, one, zero], axis=1), np.stack([y, -x, zero, one], axis=1)]
    )
    a, b, shift_x, shift_y = np.linalg.lstsq(rows, points.T.ravel(), rcond=None)[0]
    return np.linalg.inv(np.array([[a, b, shift_x], [-b, a, shift_y], [0, 0, 1]]))
