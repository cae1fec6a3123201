"""The colours of a portrait, shared by both styles."""

from dataclasses import dataclass

from restyle.portraits.attributes import Attributes
from restyle.portraits.drawing.brush import Colour, mix, scale
from restyle.portraits.geometry import smooth_step

_SKIN = ((0.98, 0.84, 0.75), (0.90, 0.70, 0.56), (0.72, 0.50, 0.36), (0.40, 0.25, 0.18))
_HAIR = {
    "black": (0.09, 0.08, 0.09),
    "brown": (0.33, 0.20, 0.12),
    "blond": (0.80, 0.64, 0.36),
    "red": (0.62, 0.23, 0.10),
    "grey": (0.60, 0.60, 0.62),
}
_GREY = (0.68, 0.68, 0.69)
_EYES = {"brown": (0.33, 0.19, 0.09), "blue": (0.24, 0.48, 0.78), "green": (0.28, 0.52, 0.28)}


def _muted(colour: Colour, amount: float) -> Colour:
    """Return the colour moved towards the grey of its brightness."""
    grey = sum(colour) / 3
    return mix(colour, (grey, grey, grey), amount)


@dataclass(frozen=True)
class Palette:
    """The plain colours, before any light falls on them."""

    skin: Colour
    lips: Colour
    hair: Colour
    brows: Colour
    beard: Colour
    iris: Colour
    background: Colour
    clothes: Colour
    hat: Colour


def palette(a: Attributes) -> Palette:
    """Return the colours of a portrait."""
    place = a.skin_tone * (len(_SKIN) - 1)
    index = min(int(place), len(_SKIN) - 2)
    r, g, b = mix(_SKIN[index], _SKIN[index + 1], place - index)
    skin = (r, g * (1 + 0.03 * a.skin_warmth), b * (1 - 0.08 * a.skin_warmth))
    young = scale(_HAIR[a.hair_colour], 1 + 0.3 * a.hair_shade)
    if a.hair_colour == "black":
        young = mix(young, (0.2, 0.17, 0.17), 0.25 + 0.25 * a.hair_shade)
    hair = mix(young, _GREY, 0.85 * smooth_step(a.age, 45, 80))
    red = mix((0.80, 0.40, 0.38), (0.80, 0.12, 0.18), a.lip_redness)
    clothes = (a.clothes_red, a.clothes_green, a.clothes_blue)
    background = (a.background_red, a.background_green, a.background_blue)
    return Palette(
        skin=skin,
        lips=mix(scale(skin, 0.86), red, 0.35 + 0.4 * a.lip_redness),
        hair=hair,
        brows=mix(scale(mix(young, hair, 0.7), 0.72), skin, 0.08),
        beard=mix(mix(young, hair, 0.8), scale(skin, 0.6), 0.12),
        iris=_EYES[a.eye_colour],
        background=_muted(background, 0.4),
        clothes=mix((0.08, 0.08, 0.09), _muted(clothes, 0.25), 0.88),
        hat=mix((0.12, 0.11, 0.12), (a.clothes_blue, a.clothes_red, a.clothes_green), 0.62),
    )
