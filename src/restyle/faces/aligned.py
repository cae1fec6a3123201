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
    """Find faces in an upright photograph of mode RGB and cut them out as FFHQ's, of `size` pixels.

    Returns:
        The `which`-th largest face, from 1 on; all of them, the largest first, if None.

    Raises:
        NoFaceError: There are none, or fewer than `which`.
        ImportError: The extra `restyle[faces]` is not installed.
    """
    chosen = [(face, ffhq_quad(face.landmarks)) for face in choose(find_faces(photo), which)]
    return [AlignedFace(face, quad, crop_face(photo, quad, size)) for face, quad in chosen]
