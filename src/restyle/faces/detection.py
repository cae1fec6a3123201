"""Finding faces and their 68 landmarks with dlib, which is the extra `restyle[faces]`."""

import importlib
import importlib.util
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from restyle.io.imports import needed

DETECTOR = "dlib frontal face detector"
PREDICTOR = "shape_predictor_68_face_landmarks"
LICENCES = {
    DETECTOR: "Boost Software License 1.0",
    PREDICTOR: "non-commercial: trained on iBUG 300-W, which is for research only",
}
"""The models that find faces, and what each may be used for."""

_ENLARGED_UP_TO = 1024  # longest side of photographs whose small faces are looked for as well
_SEARCHED_SIZE = 2048  # longest side that is searched for faces
_SURE = 0.3  # weaker detections are often none, and come last
_HERE = threading.local()  # a detector keeps what it searches, and lets other threads run


class NoFaceError(ValueError):
    """A picture without the face that was asked for: what was expected, what was found."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"expected {expected}, got {found}")
        self.expected, self.found = expected, found


@dataclass(frozen=True)
class Face:
    """A face in a photograph; coordinates are x, y in pixels of the photograph.

    Attributes:
        box: Left, top, right and bottom edge.
        landmarks: (68, 2), in the order of iBUG 300-W.
        score: How sure the detector is; above 0.
    """

    box: tuple[int, int, int, int]
    landmarks: np.ndarray
    score: float

    @property
    def area(self) -> int:
        """Pixels in the box."""
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)


def find_faces(photo: Image.Image) -> list[Face]:
    """Find the faces that look towards the camera, the largest first, doubtful ones last.

    Faces are found from about 80 pixels, and in photographs of up to 1024 pixels from about 40.
    Photographs above 2048 pixels are searched at that size; landmarks are always found in full.

    Args:
        photo: Mode RGB, upright.

    Returns:
        The faces; none is an empty list.

    Raises:
        ImportError: The extra is not installed.
    """
    dlib, predictor = _predictor()
    if not hasattr(_HERE, "detector"):
        _HERE.detector = dlib.get_frontal_face_detector()
    pixels = np.ascontiguousarray(photo)
    longest = max(photo.size)
    shrink = max(longest / _SEARCHED_SIZE, 1)
    searched = pixels
    if shrink > 1:
        smaller = photo.resize((round(photo.width / shrink), round(photo.height / shrink)))
        searched = np.ascontiguousarray(smaller)
    boxes, scores, _ = _HERE.detector.run(searched, int(longest <= _ENLARGED_UP_TO), 0.0)
    faces = []
    for box, score in zip(boxes, scores, strict=True):
        edges = [box.left(), box.top(), box.right(), box.bottom()]
        left, top, right, bottom = (round(edge * shrink) for edge in edges)
        shape = predictor(pixels, dlib.rectangle(left, top, right, bottom))
        landmarks = np.array([(point.x, point.y) for point in shape.parts()])
        faces.append(Face((left, top, right, bottom), landmarks, float(score)))
    return sorted(faces, key=lambda face: (face.score < _SURE, -face.area))


def choose(faces: list[Face], which: int | None) -> list[Face]:
    """Pick the `which`-th largest of `find_faces`, from 1 on; all of them, at least one, if None.

    Raises:
        NoFaceError: There are none, or fewer.
    """
    if not faces:
        raise NoFaceError("a face", "none")
    if which is None:
        return faces
    if not 1 <= which <= len(faces):
        raise NoFaceError(f"at least {which} faces", str(len(faces)))
    return [faces[which - 1]]


@cache
def _predictor() -> tuple[Any, Any]:
    with needed("faces", "finding faces needs dlib and its landmark model"):
        dlib = importlib.import_module("dlib")
        predictor = dlib.shape_predictor(str(_predictor_file()))
    return dlib, predictor


def _predictor_file() -> Path:
    """Find the landmark model; its package is not imported, as that needs pkg_resources."""
    package = importlib.util.find_spec("face_recognition_models")
    for folder in (package and package.submodule_search_locations) or ():
        path = Path(folder) / "models" / f"{PREDICTOR}.dat"
        if path.is_file():
            return path
    raise ImportError(f"{PREDICTOR}.dat is missing")
