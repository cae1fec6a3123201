"""The outlines of hair and hats in the face plane, shared by both styles."""

from dataclasses import dataclass
from math import cos, pi, sin

from restyle.portraits.attributes import Attributes
from restyle.portraits.geometry import Layout, Point, mirrored, smooth_step, toward


@dataclass(frozen=True)
class Hair:
    """The hair's outlines.

    Attributes:
        back: The closed outline of what falls behind the head, or None.
        outer: The front hair's outer edge from the left end over the crown to the right end.
        inner: Its inner edge, the hairline, with as many points as `outer`.
    """

    back: tuple[Point, ...] | None
    outer: tuple[Point, ...]
    inner: tuple[Point, ...]

    @property
    def cap(self) -> list[Point]:
        """The closed outline of the front hair."""
        return [*self.outer, *reversed(self.inner)]

    def strand(self, t: float) -> list[Point]:
        """Return the line a part `t` of the way from the outer to the inner edge."""
        return [toward(p, q, t) for p, q in zip(self.outer, self.inner, strict=True)]


def hair_of(a: Attributes, face: Layout) -> Hair | None:
    """Return the hair's outlines, or None where there is no hair."""
    if a.hair_style == "bald":
        return None
    volume = _volume(a)
    end = {"long": 0.32 + 0.42 * a.hair_length, "curly": 0.12}.get(a.hair_style, -0.02)
    back = None
    if a.hair_style == "long":
        back = _curtain(face, volume, 0.5 + 1.0 * a.hair_length)
    elif a.hair_style == "curly":
        back = _cloud(face, 0.1 + 0.3 * a.hair_length if a.hat == "none" else 0.1)
    return Hair(back, _outer(face, volume, end), _hairline(a, face, end))


def _volume(a: Attributes) -> float:
    """Return how far the front hair stands off the head."""
    full = {"short": 0.03 + 0.1 * a.hair_length, "cropped": 0.012, "long": 0.075, "curly": 0.07}
    return full[a.hair_style] if a.hat == "none" else min(full[a.hair_style], 0.05)


def _outer(face: Layout, volume: float, end: float) -> tuple[Point, ...]:
    w = face.half_width
    right = [
        (0.5 * w, -0.99 - volume, -0.06),
        (0.93 * w + 0.8 * volume, -0.72 - 0.5 * volume, -0.06),
        (1.04 * w + volume, -0.32, -0.04),
        (1.03 * w + 0.9 * volume, 0.5 * (end - 0.32), -0.03),
        (0.99 * w + 0.6 * volume, end, -0.02),
    ]
    points = [*mirrored(right), (0.0, -1.06 - volume, -0.06), *right]
    return tuple(face.pose.outline(*p) for p in points)


def _hairline(a: Attributes, face: Layout, end: float) -> tuple[Point, ...]:
    w = face.half_width
    pose = face.pose
    top = -0.66 - 0.1 * smooth_step(a.age, 35, 75)
    part = 0.42 * a.hair_part if a.hair_style in ("short", "long") else 0.0
    sweep = {"short": 0.3, "long": 0.36, "curly": 0.2, "cropped": 0.12}[a.hair_style]

    def forehead(x: float) -> Point:
        return pose.on_face(x * w, max(top, -0.84) + sweep * (x * 0.735 - part) ** 2)

    edge = 0.9 if end > 0 else 0.95
    tip = 0.97 if end > 0.2 else edge

    def side(sign: int) -> list[Point]:
        return [
            pose.outline(sign * tip * w, end, 0.02),
            pose.outline(sign * edge * w, 0.5 * (end - 0.3), 0.1),
            pose.outline(sign * 0.88 * w, -0.36, 0.1),
        ]

    middle = [forehead(x) for x in (-0.78, -0.42, 0.0, 0.42, 0.78)]
    return (*side(-1), *middle, *reversed(side(1)))


def _curtain(face: Layout, volume: float, end: float) -> tuple[Point, ...]:
    """Return the outline of long hair behind the head and neck, down to `end`."""
    w = face.half_width + volume
    right = [
        (0.62 * w, -0.95, -0.06),
        (1.08 * w, -0.35, -0.1),
        (1.14 * w, 0.25 * end, -0.12),
        (1.16 * w, 0.75 * end, -0.1),
        (1.02 * w, end, -0.08),
        (0.5 * w, end + 0.05, -0.05),
    ]
    return tuple(face.pose.outline(*p) for p in [*right, *mirrored(right)])


def _cloud(face: Layout, volume: float) -> tuple[Point, ...]:
    """Return the outline of curls all around the upper head: a wavy ellipse."""
    bumps = 17
    points = []
    for i in range(2 * bumps):
        angle = pi * i / bumps
        reach = 1.0 + (0.035 if i % 2 else -0.03)
        x = (face.half_width + 0.06 + volume) * reach * sin(angle)
        y = -0.26 - (0.84 + volume) * reach * cos(angle)
        points.append(face.pose.outline(x, min(y, 0.62), -0.1))
    return tuple(points)


def crown_of(face: Layout, height: float, low: float) -> tuple[Point, ...]:
    """Return the closed outline of a hat's crown, from its lower edge `low` up to `height`."""
    w = face.half_width
    right = [
        (0.86 * w, 0.1 * low + 0.9 * height, -0.1),
        (1.13 * w, 0.6 * low + 0.4 * height, -0.05),
        (1.1 * w, low, 0.0),
    ]
    points = [*mirrored(right), (0.0, height, -0.1), *right, (0.0, low + 0.1, 0.3)]
    return tuple(face.pose.outline(*p) for p in points)


def band_of(face: Layout, low: float, width: float, reach: float) -> tuple[Point, ...]:
    """Return the closed outline of a hat's band or brim: `reach` half head widths to each side."""
    w, half = face.half_width * reach, 0.5 * width
    upper = [(-w, low - half, 0.0), (0.0, low + 0.1 - half, 0.3), (w, low - half, 0.0)]
    lower = [(w, low + half, 0.0), (0.0, low + 0.1 + half, 0.3), (-w, low + half, 0.0)]
    return tuple(face.pose.outline(*p) for p in [*upper, *lower])
