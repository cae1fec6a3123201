"""Portraits as pictures: attributes in, pixels and landmarks out."""

import numpy as np

from restyle.portraits.attributes import Attributes
from restyle.portraits.drawing.brush import Brush
from restyle.portraits.drawing.photo import draw_photo
from restyle.portraits.drawing.toon import CARTOON, draw_toon
from restyle.portraits.geometry import LIFELIKE, layout

STYLES = {"photo": (draw_photo, LIFELIKE), "toon": (draw_toon, CARTOON)}
"""The drawing styles: how each is drawn, and with which proportions."""


def render(attributes: Attributes, size: int = 64, style: str = "photo") -> np.ndarray:
    """Draw a portrait.

    The drawing is anti-aliased at every size and smooth in every continuous attribute.

    Args:
        attributes: What to draw.
        size: Height and width in pixels.
        style: One of `STYLES`.

    Returns:
        The picture: (size, size, 3) uint8, RGB.

    Raises:
        ValueError: The size or the style is none of the possible ones.
        ImportError: skia-python, or a system library that it needs, is missing.
    """
    check_style(size, style)
    draw, proportions = STYLES[style]
    brush = Brush(size)
    draw(brush, attributes, layout(attributes, proportions))
    return brush.image()


def landmarks(attributes: Attributes, size: int = 64, style: str = "photo") -> np.ndarray:
    """Return where the eyes, the nose tip and the mouth corners are in a picture of `size` pixels.

    Returns:
        (5, 2) float32, x and y in pixels from the top left corner of the picture: the eye and then
        the mouth corner that are left in the picture come before the right one.

    Raises:
        ValueError: The size or the style is none of the possible ones.
    """
    check_style(size, style)
    points = layout(attributes, STYLES[style][1]).landmarks()
    return (np.array(points) * size).astype(np.float32)


def check_style(size: int, style: str) -> None:
    """Refuse a size that is not positive, or a style that is none of `STYLES`."""
    if size < 1:
        raise ValueError(f"expected a size of at least 1 pixel, got {size}")
    if style not in STYLES:
        raise ValueError(f"expected a style of {', '.join(STYLES)}, got {style!r}")
