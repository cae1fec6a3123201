"""Which of a portrait's attributes can be seen in the picture at all."""

from restyle.portraits.attributes import SCHEMA, Attributes
from restyle.portraits.geometry import smooth_step

GREY_FROM = 0.7
"""From this share of ageing on, hair is too grey to tell its colour."""


def visible(a: Attributes) -> dict[str, bool]:
    """Tell for every attribute, by name in the schema's order, whether the picture shows it.

    A bald head has no hair length, a hat covers the parting, and grey hair hides the colour that it
    had. Who learns or measures attributes from pictures leaves the others out.
    """
    hatless = a.hat == "none"
    grey = smooth_step(a.age, 45, 80) > GREY_FROM
    coloured = not grey and a.hair_style != "bald"
    hidden = {
        "hair_colour": not coloured,
        "hair_shade": not coloured,
        "hair_length": not (
            a.hair_style == "long" or hatless and a.hair_style in ("short", "curly")
        ),
        "hair_part": not (hatless and a.hair_style in ("short", "long")),
    }
    return {name: not hidden.get(name, False) for name in SCHEMA}
