"""The start of both drawing styles: a portrait with its layout, colours and light."""

from dataclasses import dataclass

from restyle.portraits.attributes import Attributes
from restyle.portraits.drawing.brush import Brush, Colour, mix
from restyle.portraits.drawing.hair import Hair, hair_of
from restyle.portraits.drawing.palette import Palette, palette
from restyle.portraits.geometry import Layout


@dataclass(frozen=True)
class Scene:
    """All that a part of a drawing needs."""

    brush: Brush
    a: Attributes
    face: Layout
    colours: Palette
    hair: Hair | None
    light: float  # -1 from the left, 1 from the right
    deep: Colour  # shadows on the skin
    pale: Colour  # light on the skin


def scene_of(brush: Brush, a: Attributes, face: Layout) -> Scene:
    """Gather a scene."""
    colours = palette(a)
    r, g, b = colours.skin
    deep = (0.42 * r, 0.30 * g, 0.26 * b)
    pale = mix(colours.skin, (1.0, 0.96, 0.9), 0.6)
    return Scene(brush, a, face, colours, hair_of(a, face), a.light_direction, deep, pale)
