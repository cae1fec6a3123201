"""Finding faces and five landmarks with a cascade of three networks (MTCNN).

Source: Zhang, Zhang, Li, Qiao, "Joint Face Detection and Alignment Using Multitask Cascaded
Convolutional Networks", IEEE Signal Processing Letters 2016. The first network slides over the
picture at many scales, the second and the third look at what is left, each after a suppression of
boxes that overlap. A box is left, top, right and bottom; as the published weights count, both of
its ends belong to it, so that its width is right - left + 1.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from restyle.faces.networks import CascadeNetwork

SMALLEST_FACE = 20
THRESHOLDS = (0.15, 0.25, 0.35)
"""Least scores of each network: lower than in the paper, as pSp's identity score has them.

The first one's scores are shared out over the width of the picture, so that all of them are small.
"""

_WINDOW, _STRIDE = 12, 2  # of the first network
_SHRINK = 0.707  # from one scale to the next, half the area
_SIZES = (24, 48)  # what the second and the third network look at
_SCALE_OVERLAP, _OVERLAP = 0.5, 0.7
_AT_ONCE = 256


class FoundFaces(NamedTuple):
    """The faces in a picture, the surest first.

    Attributes:
        boxes: (N, 4) left, top, right and bottom in pixels, which may reach beyond the picture.
        landmarks: (N, 5, 2) x, y: eyes, nose and mouth corners, the picture's left ones first.
        scores: (N,) from 0 to 1.
    """

    boxes: np.ndarray
    landmarks: np.ndarray
    scores: np.ndarray


class FaceCascade(nn.Module):
    """The detector.

    Attributes:
        proposal: Slides over pictures of any size.
        refinement: Looks at 24 x 24 pixels.
        landmarks: Looks at 48 x 48 pixels.
    """

    def __init__(self, proposal: nn.Module, refinement: nn.Module, landmarks: nn.Module):
        """Take the three networks, whose inputs and outputs are those of `CascadeNetwork`."""
        super().__init__()
        self.proposal, self.refinement, self.landmarks = proposal, refinement, landmarks

    @torch.no_grad()
    def find(self, picture: Image.Image) -> FoundFaces:
        """Find the faces in a picture of mode RGB; none is a result of length 0.

        Raises:
            ValueError: Another mode.
        """
        if picture.mode != "RGB":
            raise ValueError(f"expected a picture in mode RGB, got {picture.mode}")
        boxes = _looked_at(_squares(self._proposed(picture)), picture.size)
        offsets, scores = self._seen(self.refinement, picture, boxes, _SIZES[0], 4)
        sure = scores > THRESHOLDS[1]
        boxes, offsets, scores = boxes[sure], offsets[sure], scores[sure]
        kept = suppress(boxes, scores, _OVERLAP)
        boxes = _looked_at(_squares(moved(boxes[kept], offsets[kept])), picture.size)
        outputs, scores = self._seen(self.landmarks, picture, boxes, _SIZES[1], 14)
        sure = scores > THRESHOLDS[2]
        boxes, outputs, scores = boxes[sure], outputs[sure], scores[sure]
        corners, sizes = boxes[:, None, :2], _sizes(boxes)[:, None]
        places = corners + sizes * outputs[:, 4:].reshape(-1, 2, 5).transpose(0, 2, 1)
        boxes = moved(boxes, outputs[:, :4])
        kept = suppress(boxes, scores, _OVERLAP, "smaller")
        return FoundFaces(boxes[kept], places[kept], scores[kept])

    def _proposed(self, picture: Image.Image) -> np.ndarray:
        """Return what the first network finds at all scales."""
        boxes, offsets, scores = [np.zeros((0, 4))], [np.zeros((0, 4))], [np.zeros(0)]
        for scale in pyramid(picture.size):
            width, height = (math.ceil(side * scale) for side in picture.size)
            shrunk = picture.resize((width, height), Image.Resampling.BILINEAR)
            shifts, probabilities = self.proposal(_batch([shrunk]).to(self._device))
            found = probabilities[0, 1].double().cpu().numpy()
            rows, columns = np.nonzero(found > THRESHOLDS[0])
            places, sure = windows(rows, columns, scale), found[rows, columns]
            kept = suppress(places, sure, _SCALE_OVERLAP)
            boxes.append(places[kept])
            scores.append(sure[kept])
            offsets.append(shifts[0].double().cpu().numpy()[:, rows, columns].T[kept])
        everything = np.concatenate(boxes)
        kept = suppress(everything, np.concatenate(scores), _OVERLAP)
        return moved(everything[kept], np.concatenate(offsets)[kept])

    def _seen(
        self, network: nn.Module, picture: Image.Image, boxes: np.ndarray, size: int, width: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Look at boxes with a network: (N, width) outputs side by side, and (N,) scores."""
        outputs, scores = [np.zeros((0, width))], [np.zeros(0)]
        for first in range(0, len(boxes), _AT_ONCE):
            crops = [_crop(picture, box, size) for box in boxes[first : first + _AT_ONCE]]
            *values, probabilities = network(_batch(crops).to(self._device))
            outputs.append(torch.cat(values, dim=1).double().cpu().numpy())
            scores.append(probabilities[:, 1].double().cpu().numpy())
        return np.concatenate(outputs), np.concatenate(scores)

    @property
    def _device(self) -> torch.device:
        return next((p.device for p in self.parameters()), torch.device("cpu"))


def cascade_of(networks: Iterable[CascadeNetwork]) -> FaceCascade:
    """Put the three networks together, in whatever order they are given.

    Raises:
        ValueError: Not one of each.
    """
    found: dict[str, CascadeNetwork] = {}
    names = []
    for network in networks:
        landmarks = "landmarks" if len(network.outputs) == 3 else "refinement"
        names.append("proposal" if network.hidden is None else landmarks)
        found[names[-1]] = network
    if sorted(names) != ["landmarks", "proposal", "refinement"]:
        raise ValueError(
            "expected the three networks of the face detector (proposal, refinement, landmarks), "
            f"got {', '.join(names) or 'none'}"
        )
    return FaceCascade(found["proposal"], found["refinement"], found["landmarks"]).eval()


def pyramid(size: tuple[int, int], smallest: int = SMALLEST_FACE) -> Iterator[float]:
    """Yield the scales at which a picture of a (width, height) is searched, from large to small.

    At the first one the smallest faces have the size of the network's window, at the last one the
    picture's shorter side is little more than that.
    """
    scale = _WINDOW / smallest
    while min(size) * scale > _WINDOW:
        yield scale
        scale *= _SHRINK


def windows(rows: np.ndarray, columns: np.ndarray, scale: float) -> np.ndarray:
    """Return the boxes (N, 4) in the picture of places in the first network's maps at a scale."""
    corners = _STRIDE * np.stack([columns, rows], axis=1) + 1.0
    return np.round(np.concatenate([corners, corners + _WINDOW], axis=1) / scale)


def moved(boxes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Move the edges of boxes (N, 4) by offsets (N, 4), in parts of their width and height."""
    return boxes + np.tile(_sizes(boxes), 2) * offsets


def suppress(
    boxes: np.ndarray,
    scores: np.ndarray,
    threshold: float,
    share_of: Literal["union", "smaller"] = "union",
) -> np.ndarray:
    """Leave out boxes that overlap with a surer one (non-maximum suppression).

    Args:
        boxes: (N, 4).
        scores: (N,).
        threshold: The largest overlap that is left.
        share_of: What the common area is a part of: the area of both together, or that of the
            smaller one.

    Returns:
        The numbers of those that are left, the surest first.
    """
    areas = _sizes(boxes).prod(axis=1)
    left, kept = np.argsort(-scores, kind="stable"), []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        top = np.maximum(boxes[best, :2], boxes[left, :2])
        bottom = np.minimum(boxes[best, 2:], boxes[left, 2:])
        common = np.maximum(bottom - top + 1, 0).prod(axis=1)
        smaller = np.minimum(areas[best], areas[left])
        whole = areas[best] + areas[left] - common if share_of == "union" else smaller
        left = left[common <= threshold * whole]
    return np.array(kept, int)


def _sizes(boxes: np.ndarray) -> np.ndarray:
    """Return (N, 2) widths and heights."""
    return boxes[:, 2:] - boxes[:, :2] + 1


def _squares(boxes: np.ndarray) -> np.ndarray:
    """Return squares around the same centres, of the longer sides, in whole pixels."""
    sizes = _sizes(boxes)
    sides = sizes.max(axis=1, keepdims=True)
    corners = boxes[:, :2] + sizes / 2 - sides / 2
    return np.round(np.concatenate([corners, corners + sides - 1], axis=1))


def _looked_at(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Keep the boxes that are worth a look: not beside the picture, nor far larger than it."""
    sizes = _sizes(boxes)
    good = (sizes >= 1).all(axis=1) & (sizes <= 2 * max(size)).all(axis=1)
    return boxes[good & (boxes[:, 2:] >= 0).all(axis=1) & (boxes[:, :2] < size).all(axis=1)]


def _crop(picture: Image.Image, box: np.ndarray, size: int) -> Image.Image:
    """Cut out a box at the size of a network's input; outside of the picture it is black."""
    left, top, right, bottom = (int(edge) for edge in box)
    crop = picture.crop((left, top, right + 1, bottom + 1))
    return crop.resize((size, size), Image.Resampling.BILINEAR)


def _batch(pictures: list[Image.Image]) -> Tensor:
    """Return (B, 3, H, W), scaled as the published weights expect it."""
    pixels = torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures]))
    return (pixels.permute(0, 3, 1, 2).float() - 127.5) / 128
