"""From a photograph to the crops that face models take."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from restyle.faces.alignment import crop_face, ffhq_quad
from restyle.faces.detection import Face, choose, find_faces


@dataclass(frozen=True)
class AlignedFace:
    """A face that was found and cut out.

    Attributes:
        face: Where it was found.
        quad: (4, 2) corners of the crop in the photograph, for `paste_back`.
        crop: The crop, mode RGB.
    """

    face: Face
    quad: np.ndarray
    crop: Image.Image


def align_faces(photo: Image.Image, size: int = 256, which: int | None = 1) -> list[AlignedFace]:
    """Find faces and cut them out as FFHQ's are.

    Args:
        photo: Mode RGB, upright.
        size: Height and width of the crops in pixels.
        which: 1 for the largest face, 2 for the second largest; None for all of them.

    Returns:
        At least one face, the largest first.

    Raises:
        NoFaceError: There are none, or fewer than `which`.
        ImportError: The extra `restyle[faces]` is not installed.
    """
    chosen = choose(find_faces(photo), which)
    quads = [ffhq_quad(face.landmarks) for face in chosen]
    return [
        AlignedFace(face, quad, crop_face(photo, quad, size))
        for face, quad in zip(chosen, quads, strict=True)
    ]
