"""The toon drawing: the same people with large eyes, flat colours and thick outlines."""

from restyle.portraits.attributes import Attributes
from restyle.portraits.drawing.brush import BLACK, WHITE, Brush, Colour, Path, mix, scale
from restyle.portraits.drawing.hair import band_of, crown_of
from restyle.portraits.drawing.scene import Scene, scene_of
from restyle.portraits.geometry import CENTRE, UNIT, Eye, Layout, Proportions, smooth_step, toward

CARTOON = Proportions(eyes=1.5, nose=0.75, mouth=1.12, brows=1.35, jaw=0.84)
"""Large eyes, thick brows, a small nose, a narrow jaw."""

_INK: Colour = (0.10, 0.07, 0.10)
_LINE = 0.055  # head units


def draw_toon(brush: Brush, a: Attributes, face: Layout) -> None:
    """Draw a whole portrait."""
    s = scene_of(brush, a, face)
    _background(s)
    with brush.placed(CENTRE, a.roll, UNIT):
        _back_hair(s)
    with brush.placed(CENTRE, 0.0, UNIT):
        _body(s)
    with brush.placed(CENTRE, a.roll, UNIT):
        _head(s)
        _beard(s)
        _nose(s)
        _mouth(s)
        _moustache(s)
        for eye in face.eyes:
            _eye(s, eye)
        _front_hair(s)
        for eye in face.eyes:
            _brow(s, eye)
        _glasses(s)
        _hat(s)


def _vivid(colour: Colour, amount: float = 0.35) -> Colour:
    """Return the colour moved away from the grey of its brightness."""
    grey = sum(colour) / 3
    r, g, b = (min(max(c + amount * (c - grey), 0.0), 1.0) for c in colour)
    return (r, g, b)


def _outlined(s: Scene, path: Path, colour: Colour, width: float = _LINE) -> None:
    s.brush.fill(path, colour)
    s.brush.stroke(path, _INK, width)


def _skin(s: Scene) -> Colour:
    return mix(_vivid(s.colours.skin, 0.3), WHITE, 0.06)


def _background(s: Scene) -> None:
    colour = _vivid(s.colours.background, 0.5)
    s.brush.fill(s.brush.whole, colour)
    disc = s.brush.ellipse((0.5 + 0.08 * s.light, 0.46), 0.4, 0.4)
    s.brush.fill(disc, mix(colour, WHITE, 0.22))


def _back_hair(s: Scene) -> None:
    if s.hair is not None and s.hair.back is not None:
        _outlined(s, s.brush.curve(s.hair.back), scale(_vivid(s.colours.hair), 0.78))


def _body(s: Scene) -> None:
    b, skin = s.brush, _skin(s)
    neck = b.curve(
        [(-0.27, 0.5), (-0.27, 1.1), (-0.45, 1.5), (0.45, 1.5), (0.27, 1.1), (0.27, 0.5)]
    )
    _outlined(s, neck, scale(skin, 0.78))
    dip = 1.32 if s.a.neckline == "round" else 1.36
    opened = [(0.0, 1.52), (0.34, 1.08)]
    clothes = b.path(
        (-1.65, 2.1),
        (-1.5, 1.3, -0.9, 1.32, -0.34, 1.08),
        *(opened if s.a.neckline == "open" else [(-0.25, dip, 0.25, dip, 0.34, 1.08)]),
        (0.9, 1.32, 1.5, 1.3, 1.65, 2.1),
    )
    colour = _vivid(s.colours.clothes, 0.5)
    _outlined(s, clothes, colour)
    if s.a.neckline == "collar":
        for sign in (-1, 1):
            flap = [(sign * 0.36, 1.02), (sign * 0.5, 1.28), (sign * 0.26, 1.52), (0.0, 1.3)]
            _outlined(s, b.path(*flap), mix(colour, WHITE, 0.35), 0.7 * _LINE)


def _head(s: Scene) -> None:
    b, face, skin = s.brush, s.face, _skin(s)
    for sign in (-1, 1):
        ear = face.pose.outline(sign * (face.half_width + 0.03), 0.06, -0.12)
        _outlined(s, b.ellipse(ear, 0.12, 0.17), scale(skin, 0.92))
    outline = b.curve(face.outline)
    b.fill(outline, skin)
    with b.inside(outline):
        shift = 0.2 * s.light
        lit = b.curve([(x + shift, y - 0.06) for x, y in face.outline])
        rest = b.skia.Op(outline, lit, b.skia.PathOp.kDifference_PathOp)
        b.fill(rest, scale(skin, 0.8))
        for sign in (-1, 1):
            blush = b.ellipse(face.pose.on_face(sign * 0.46, 0.3), 0.13, 0.085)
            b.fill(blush, mix(skin, (0.95, 0.3, 0.35), 0.4), 0.7)
        _wrinkles(s)
    b.stroke(outline, _INK, _LINE)


def _wrinkles(s: Scene) -> None:
    b, on = s.brush, s.face.pose.on_face
    old = smooth_step(s.a.age, 40, 75)
    for y in (-0.5, -0.6):
        b.stroke(b.arc(on(-0.26, y), on(0, y - 0.03), on(0.26, y)), s.deep, 0.03, 0.75 * old)
    for sign in (-1, 1):
        fold = b.arc(on(sign * 0.24, 0.3), on(sign * 0.35, 0.4), on(sign * 0.4, 0.52))
        b.stroke(fold, s.deep, 0.035, 0.75 * old)


def _eye(s: Scene, eye: Eye) -> None:
    b = s.brush
    x, y = (0.5 * (p + q) for p, q in zip(eye.upper, eye.lower, strict=True))
    rx = 0.46 * abs(eye.outer[0] - eye.inner[0])
    ry = 0.62 * (eye.lower[1] - eye.upper[1])
    ball = b.ellipse((x, y), rx, ry)
    b.fill(ball, WHITE)
    r = 1.12 * eye.iris_radius
    iris = (eye.iris[0], y + 0.01)
    with b.inside(ball):
        b.fill(b.ellipse(iris, r, 1.1 * r), scale(_vivid(s.colours.iris, 0.5), 1.25))
        b.fill(b.ellipse(iris, 0.55 * r, 0.6 * r), BLACK)
        b.fill(b.ellipse((iris[0] + 0.06, iris[1] - 0.06), 0.3 * r, 0.3 * r), WHITE)
    b.stroke(ball, _INK, 0.5 * _LINE)
    lid = b.arc((x - rx, y - 0.25 * ry), (x, y - 1.04 * ry), (x + rx, y - 0.25 * ry))
    b.stroke(lid, _INK, 1.3 * _LINE)
    corner = (x + eye.side * rx, y - 0.25 * ry)
    tip = (corner[0] + 0.06 * eye.side, corner[1] - 0.05 - 0.05 * s.a.eye_tilt)
    b.stroke(b.path(corner, tip), _INK, _LINE)


def _brow(s: Scene, eye: Eye) -> None:
    inner, middle, outer = ((x, y - 0.07) for x, y in eye.brow)
    colour = scale(_vivid(s.colours.brows), 0.8)
    s.brush.stroke(s.brush.arc(inner, middle, outer), colour, 1.1 * eye.brow_thickness)


def _nose(s: Scene) -> None:
    b, nose = s.brush, s.face.nose
    # The wing that is seen lies away from the turn.
    side = 1.0 - 2.0 * smooth_step(s.a.yaw, -10, 10)
    wing = (nose.tip[0] + side * nose.width, nose.base[1])
    tip = (nose.tip[0], nose.tip[1] + 0.02)
    b.fill(b.ellipse(tip, 0.8 * nose.width, 0.055), scale(_skin(s), 0.8))
    b.stroke(b.arc(wing, (nose.tip[0], nose.base[1] + 0.03), (nose.tip[0], tip[1])), _INK, 0.04)


def _mouth(s: Scene) -> None:
    b, m = s.brush, s.face.mouth
    low = toward(m.lower[1], m.bottom[1], 0.1)
    inside = b.curve([m.left, m.upper[1], m.right, low])
    lips = b.curve([m.left, *m.top, m.right, *reversed(m.bottom)])
    b.fill(lips, mix(_vivid(s.colours.lips, 0.5), _skin(s), 0.35))
    b.fill(inside, (0.38, 0.05, 0.10))
    with b.inside(inside):
        x, y = m.upper[1]
        b.fill(b.ellipse((x, y), 0.3, 0.04 + 0.4 * m.gap), WHITE)
        b.fill(b.ellipse((low[0], low[1] + 0.02), 0.14, 0.5 * m.gap), (0.95, 0.42, 0.45))
    b.stroke(inside, _INK, 0.75 * _LINE)


def _beard(s: Scene) -> None:
    if s.a.beard not in ("stubble", "full"):
        return
    b, on = s.brush, s.face.pose.on_face
    full = s.a.beard == "full"
    jaw = s.face.jaw
    if full:
        jaw = [(1.04 * x, y + 0.09 * smooth_step(y, 0.2, 1.0)) for x, y in jaw]
    top = [(-0.6, 0.2), (-0.42, 0.42), (-0.18, 0.4), (0.18, 0.4), (0.42, 0.42), (0.6, 0.2)]
    region = b.curve([*jaw[1:-1], *(on(x, y) for x, y in top)])
    if full:
        _outlined(s, region, _vivid(s.colours.beard))
        return
    with b.inside(b.curve(s.face.outline)):
        b.fill(region, mix(_skin(s), scale(s.colours.beard, 0.8), 0.4))
    b.stroke(b.curve(s.face.outline), _INK, _LINE)


def _moustache(s: Scene) -> None:
    if s.a.beard not in ("moustache", "full"):
        return
    b, m, nose = s.brush, s.face.mouth, s.face.nose
    middle = toward(nose.base, m.top[1], 0.45)
    shape = b.curve(
        [
            (m.left[0] - 0.03, m.left[1] + 0.01),
            (m.top[0][0] - 0.04, middle[1] + 0.01),
            middle,
            (m.top[2][0] + 0.04, middle[1] + 0.01),
            (m.right[0] + 0.03, m.right[1] + 0.01),
            (m.top[1][0], m.top[1][1] + 0.01),
        ]
    )
    _outlined(s, shape, _vivid(s.colours.beard), 0.7 * _LINE)


def _front_hair(s: Scene) -> None:
    if s.hair is None:
        return
    b, colour = s.brush, _vivid(s.colours.hair)
    if s.a.hair_style == "curly":
        for width, tone in ((0.30, _INK), (0.22, colour)):
            for t in (0.25, 0.7):
                for point in s.hair.strand(t)[1:-1]:
                    b.fill(b.ellipse(point, 0.6 * width, 0.6 * width), tone)
        return
    cropped = s.a.hair_style == "cropped"
    _outlined(s, b.curve(s.hair.cap), mix(colour, _skin(s), 0.25) if cropped else colour)
    if not cropped:
        shine = b.curve(s.hair.strand(0.4)[3:-3], closed=False)
        b.stroke(shine, mix(colour, WHITE, 0.45), 0.07)


def _glasses(s: Scene) -> None:
    if s.a.glasses == "none":
        return
    b, face = s.brush, s.face
    thick = s.a.glasses == "thick"
    colour, width = (_INK, 0.1) if thick else ((0.80, 0.55, 0.12), 0.05)
    ends = []
    for eye in face.eyes:
        x = 0.5 * (eye.inner[0] + eye.outer[0])
        y = 0.5 * (eye.upper[1] + eye.lower[1]) + 0.01
        rx, ry = 0.5 * abs(eye.outer[0] - eye.inner[0]) + 0.05, 0.27
        lens = b.rounded((x, y), rx, ry, corner=0.1 if thick else 0.25)
        b.fill(lens, WHITE, 0.15)
        b.stroke(lens, colour, width)
        ear = face.pose.outline(eye.side * face.half_width, -0.05, -0.02)
        b.stroke(b.path((x + eye.side * rx, y), ear), colour, width)
        ends.append((x - eye.side * rx, y - 0.03))
    b.stroke(b.path(*ends), colour, width)


def _hat(s: Scene) -> None:
    if s.a.hat == "none":
        return
    b, colour = s.brush, _vivid(s.colours.hat, 0.6)
    brimmed = s.a.hat == "brimmed"
    _outlined(s, b.curve(crown_of(s.face, -1.3 if brimmed else -1.26, -0.5)), colour)
    if brimmed:
        b.fill(b.curve(band_of(s.face, -0.58, 0.16, 1.1)), scale(colour, 0.5))
        _outlined(s, b.curve(band_of(s.face, -0.46, 0.12, 1.62)), colour)
        return
    _outlined(s, b.curve(band_of(s.face, -0.5, 0.24, 1.15)), mix(colour, WHITE, 0.3))
    _outlined(s, b.ellipse(s.face.pose.outline(0, -1.3, -0.1), 0.15, 0.14), mix(colour, WHITE, 0.3))
