"""Points of the face whose places are known exactly: more of them than the five landmarks."""

import numpy as np

from restyle.portraits.attributes import Attributes
from restyle.portraits.geometry import layout

COUNT = 41
"""Points of a face: two eyes of 8, nose 5, mouth 6, outline of the head 14."""

EYES = slice(0, 8), slice(8, 16)
NOSE = slice(16, 21)
MOUTH = slice(21, 27)


def face_points(attributes: Attributes) -> np.ndarray:
    """Lay out a face in the photo-like style and return its points: (COUNT, 2) float32.

    x and y run from -1 (left, top edge of the picture) to 1 (right, bottom).
    """
    face = layout(attributes)
    points = []
    for eye in face.eyes:
        points += [eye.inner, eye.outer, eye.upper, eye.lower, eye.iris, *eye.brow]
    nose, mouth = face.nose, face.mouth
    points += [nose.bridge, nose.tip, nose.left, nose.right, nose.base]
    points += [mouth.left, mouth.right]
    points += [mouth.top[1], mouth.upper[1], mouth.lower[1], mouth.bottom[1]]
    picture = [face.to_picture(point) for point in [*points, *face.outline]]
    return (2 * np.array(picture, dtype=np.float32) - 1).astype(np.float32)
