"""The photo-like drawing of a portrait: soft light, shadows, skin, strands of hair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from restyle.portraits.attributes import Attributes
from restyle.portraits.brush import BLACK, WHITE, Brush, Colour, mix, scale
from restyle.portraits.geometry import CENTRE, UNIT, Eye, Layout, Point
from restyle.portraits.hair import Hair, band_of, crown_of, hair_of
from restyle.portraits.palette import Palette, ageing, palette


@dataclass(frozen=True)
class Scene:
    """What every part of the drawing needs."""

    brush: Brush
    a: Attributes
    face: Layout
    colours: Palette
    hair: Hair | None
    light: float  # -1 from the left, 1 from the right
    deep: Colour  # shadows on the skin
    pale: Colour  # light on the skin


def draw_photo(brush: Brush, a: Attributes, face: Layout) -> None:
    """Draws a whole portrait."""
    colours = palette(a)
    r, g, b = colours.skin
    deep = (0.42 * r, 0.30 * g, 0.26 * b)
    pale = mix(colours.skin, (1.0, 0.96, 0.9), 0.6)
    s = Scene(brush, a, face, colours, hair_of(a, face), a.light_direction, deep, pale)
    _background(s)
    with brush.placed(CENTRE, a.roll, UNIT):
        _back_hair(s)
    with brush.placed(CENTRE, 0.0, UNIT):
        _body(s)
    with brush.placed(CENTRE, a.roll, UNIT):
        _ears(s)
        skin = brush.curve(face.outline)
        _head(s, skin)
        with brush.inside(skin):
            _shading(s)
            _wrinkles(s)
        _beard(s, skin)
        for eye in face.eyes:
            _eye(s, eye)
        _nose(s)
        _mouth(s)
        _moustache(s)
        for eye in face.eyes:
            _brow(s, eye)
        _front_hair(s)
        _glasses(s)
        _hat(s)


def _toward(point: Point, other: Point, t: float) -> Point:
    return (point[0] + t * (other[0] - point[0]), point[1] + t * (other[1] - point[1]))


def _lens(brush: Brush, a: Point, upper: Point, b: Point, lower: Point) -> Any:
    """Returns the almond with corners a and b whose edges pass through upper and lower."""
    middle = _toward(a, b, 0.5)
    path = brush.skia.Path()
    path.moveTo(*a)
    path.quadTo(*_toward(middle, upper, 2), *b)
    path.quadTo(*_toward(middle, lower, 2), *a)
    path.close()
    return path


def _arc(brush: Brush, a: Point, middle: Point, b: Point) -> Any:
    path = brush.skia.Path()
    path.moveTo(*a)
    path.quadTo(*_toward(_toward(a, b, 0.5), middle, 2), *b)
    return path


def _background(s: Scene) -> None:
    colour = s.colours.background
    whole = s.brush.polygon([(0, 0), (1, 0), (1, 1), (0, 1)])
    bright, dark = mix(colour, WHITE, 0.16), scale(colour, 0.68)
    s.brush.glow(whole, (0.5 + 0.3 * s.light, 0.3), 0.95, [bright, colour, dark])


def _back_hair(s: Scene) -> None:
    if s.hair is None or s.hair.back is None:
        return
    colour = scale(s.colours.hair, 0.72)
    side = 0.9 * s.light
    s.brush.blend(
        s.brush.curve(s.hair.back),
        (side, -0.5),
        (-side, 1.0),
        [scale(colour, 1.1), colour, scale(colour, 0.6)],
    )


def _body(s: Scene) -> None:
    b, skin = s.brush, s.colours.skin
    lean = 0.012 * s.a.roll
    x = lean * -0.9
    neck_w = 0.36 + 0.03 * s.a.jaw_width
    neck = [
        (x - neck_w, 0.3),
        (x - 0.95 * neck_w, 0.95),
        (-0.62, 1.32),
        (0, 1.75),
        (0.62, 1.32),
        (x + 0.95 * neck_w, 0.95),
        (x + neck_w, 0.3),
    ]
    path = b.curve(neck)
    side = 0.5 if s.light >= 0 else -0.5
    shift = abs(s.light)
    lit, unlit = scale(skin, 0.9), scale(skin, 0.9 - 0.34 * shift)
    b.blend(path, (side, 0), (-side, 0), [lit, mix(lit, unlit, 0.4), unlit])
    with b.inside(path):
        chin = s.face.to_picture(s.face.chin)
        under = ((chin[0] - CENTRE[0]) / UNIT, (chin[1] - CENTRE[1]) / UNIT)
        b.spot((under[0] - 0.15 * s.light, under[1] + 0.02), 0.75, 0.34, s.deep, 0.85)
        b.spot((-0.14, 1.32), 0.16, 0.05, s.deep, 0.25)
        b.spot((0.14, 1.32), 0.16, 0.05, s.deep, 0.25)
    _clothes(s)


def _clothes(s: Scene) -> None:
    b, colour = s.brush, s.colours.clothes
    dip = {"round": 1.30, "collar": 1.34, "open": 1.56}[s.a.neckline]
    shape = b.skia.Path()
    shape.moveTo(-1.7, 2.0)
    shape.cubicTo(-1.55, 1.42, -1.25, 1.32, -0.92, 1.24)
    shape.cubicTo(-0.7, 1.18, -0.5, 1.14, -0.4, 1.03)
    shape.cubicTo(-0.3, dip, 0.3, dip, 0.4, 1.03)
    shape.cubicTo(0.5, 1.14, 0.7, 1.18, 0.92, 1.24)
    shape.cubicTo(1.25, 1.32, 1.55, 1.42, 1.7, 2.0)
    shape.close()
    side = 1.3 * s.light
    b.blend(
        shape,
        (side, 1.0),
        (-side, 2.0),
        [mix(colour, WHITE, 0.12), colour, scale(colour, 0.55)],
    )
    with b.inside(shape):
        edge = b.skia.Path()
        edge.moveTo(-0.4, 1.03)
        edge.cubicTo(-0.3, dip, 0.3, dip, 0.4, 1.03)
        b.stroke(edge, scale(colour, 0.6), 0.06, 0.8)
    if s.a.neckline == "collar":
        for sign in (-1, 1):
            flap = [(sign * 0.42, 0.96), (sign * 0.56, 1.2), (sign * 0.3, 1.48), (0.0, 1.26)]
            b.fill(b.polygon(flap), mix(colour, WHITE, 0.22))
            b.stroke(b.polygon(flap), scale(colour, 0.6), 0.02, 0.7)


def _ears(s: Scene) -> None:
    b, skin, pose = s.brush, s.colours.skin, s.face.pose
    for sign in (-1, 1):
        x, y = pose.outline(sign * (s.face.half_width + 0.02), 0.02, -0.12)
        bright = 0.92 + 0.1 * sign * s.light
        b.fill(b.ellipse((x, y), 0.115, 0.19), scale(skin, 0.95 * bright))
        b.spot((x + 0.01 * sign, y + 0.01), 0.08, 0.14, s.deep, 0.6)


def _head(s: Scene, path: Any) -> None:
    skin = s.colours.skin
    cx, cy = s.face.pose.outline(0, 0.05, 0.2)
    s.brush.glow(
        path,
        (cx + 0.34 * s.light, cy - 0.18),
        1.35,
        [mix(skin, (1.0, 0.95, 0.88), 0.2), skin, scale(skin, 0.9), scale(skin, 0.62)],
    )


def _shading(s: Scene) -> None:
    b, a, deep = s.brush, s.a, s.deep
    on = s.face.pose.on_face
    reach = 0.95
    shade = 0.46 * abs(s.light)
    dark, lit = (-reach, reach) if s.light > 0 else (reach, -reach)
    outline = b.curve(s.face.outline)
    b.shade(outline, (dark, 0.15), (lit, -0.05), [(deep, shade), (deep, 0.2 * shade), (deep, 0.0)])
    blush = mix(s.colours.skin, (0.9, 0.25, 0.22), 0.5)
    for sign in (-1, 1):
        b.spot(on(sign * 0.44, 0.24), 0.26, 0.2, blush, 0.34 * (1 - 0.5 * a.skin_tone))
        glint = 0.2 + 0.22 * sign * s.light
        b.spot(on(sign * 0.42, 0.16 - 0.03 * a.smile), 0.2, 0.11, s.pale, max(0.05, glint))
        b.spot(on(sign * 0.5, 0.5), 0.2, 0.24, deep, 0.18)
        b.spot(on(sign * 0.66, -0.32), 0.2, 0.3, deep, 0.2)
    b.spot(on(0.22 * s.light, -0.5), 0.5, 0.26, s.pale, 0.4)
    b.spot(on(0, 0.92), 0.2, 0.1, s.pale, 0.22)
    b.spot(on(0, 0.79), 0.2, 0.06, deep, 0.25)
    b.spot(s.face.chin, 0.6, 0.12, deep, 0.35)
    if s.hair is not None and a.hair_style != "cropped":
        shadow = b.curve([(x, y + 0.07) for x, y in s.hair.inner], closed=False)
        b.stroke(shadow, deep, 0.1, 0.16)
        b.stroke(shadow, deep, 0.05, 0.16)


def _wrinkles(s: Scene) -> None:
    b, a = s.brush, s.a
    on = s.face.pose.on_face
    old = ageing(a.age, 35, 75)
    raised = 0.25 * max(a.brow_raise, 0.0)
    for i, y in enumerate((-0.42, -0.5, -0.58)):
        line = _arc(b, on(-0.34 + 0.03 * i, y), on(0, y - 0.03), on(0.34 - 0.03 * i, y))
        b.stroke(line, s.deep, 0.02, 0.42 * old + raised * 0.6)
    fold = 0.06 + 0.3 * max(a.smile, 0.0) + 0.4 * old
    for sign in (-1, 1):
        wing, corner = (0.19, 0.28), (0.35 + 0.04 * a.smile, 0.56)
        middle = (0.28, 0.41)
        line = _arc(
            b,
            on(sign * wing[0], wing[1]),
            on(sign * middle[0], middle[1]),
            on(sign * corner[0], corner[1]),
        )
        b.stroke(line, s.deep, 0.026, 0.7 * fold)
        bag = _arc(b, on(sign * 0.19, 0.06), on(sign * 0.32, 0.1), on(sign * 0.45, 0.05))
        b.stroke(bag, s.deep, 0.022, 0.05 + 0.35 * old)
        for dy in (-0.05, 0.0, 0.05):
            crow = _arc(
                b,
                on(sign * 0.55, -0.05 + dy),
                on(sign * 0.59, -0.05 + 1.4 * dy),
                on(sign * 0.64, -0.05 + 2 * dy),
            )
            b.stroke(crow, s.deep, 0.016, 0.4 * old)


def _eye(s: Scene, eye: Eye) -> None:
    b = s.brush
    x, y = eye.centre
    wide = abs(eye.outer[0] - eye.inner[0]) / 2
    b.spot((x - 0.04 * eye.side, y - 0.05), 1.6 * wide, 0.17, s.deep, 0.36)
    ball = _lens(b, eye.inner, eye.upper, eye.outer, eye.lower)
    b.fill(ball, mix((0.95, 0.94, 0.93), s.colours.skin, 0.1))
    with b.inside(ball):
        r = eye.iris_radius
        iris = b.ellipse(eye.iris, r, r)
        b.glow(
            iris,
            eye.iris,
            r,
            [scale(s.colours.iris, 1.35), s.colours.iris, scale(s.colours.iris, 0.45)],
        )
        b.fill(b.ellipse(eye.iris, 0.45 * r, 0.45 * r), (0.03, 0.02, 0.02))
        b.stroke(_arc(b, eye.inner, eye.upper, eye.outer), BLACK, 0.06, 0.28)
    glint = (
        eye.iris[0] + 0.3 * eye.iris_radius * (1 if s.light > 0 else -1) * abs(s.light) ** 0.5,
        eye.iris[1] - 0.35 * eye.iris_radius,
    )
    b.fill(b.ellipse(glint, 0.024, 0.024), WHITE, 0.9)
    lash = mix(scale(s.colours.brows, 0.4), BLACK, 0.4)
    b.stroke(_arc(b, eye.inner, eye.upper, eye.outer), lash, 0.03, 0.9)
    b.stroke(_arc(b, eye.inner, eye.lower, eye.outer), s.deep, 0.016, 0.5)
    lift = 0.05
    crease = [(p[0], p[1] - lift) for p in (eye.inner, eye.upper, eye.outer)]
    b.stroke(_arc(b, *crease), s.deep, 0.018, 0.5)


def _brow(s: Scene, eye: Eye) -> None:
    b = s.brush
    inner, middle, outer = eye.brow
    t = eye.brow_thickness
    shape = b.curve(
        [
            (inner[0], inner[1] - 0.5 * t),
            (middle[0], middle[1] - 0.6 * t),
            outer,
            (middle[0], middle[1] + 0.4 * t),
            (inner[0], inner[1] + 0.5 * t),
        ]
    )
    b.fill(shape, s.colours.brows, 0.45, blur=0.02)
    b.fill(shape, s.colours.brows, 0.85)


def _nose(s: Scene) -> None:
    b, nose, deep = s.brush, s.face.nose, s.deep
    w = nose.width
    tip, bridge, base = nose.tip, nose.bridge, nose.base
    lit, unlit = (nose.right, nose.left) if s.light > 0 else (nose.left, nose.right)
    far = _toward(bridge, unlit, 0.12)
    flank = b.curve([bridge, _toward(bridge, tip, 0.6), tip, base, unlit, far])
    b.fill(flank, deep, 0.34 * abs(s.light), blur=0.035)
    b.spot((base[0] - 0.05 * s.light, base[1] + 0.06), 1.5 * w, 0.08, deep, 0.42)
    b.spot(_toward(bridge, tip, 0.45), 0.06, 0.26, s.pale, 0.32)
    b.spot((tip[0] + 0.02 * s.light, tip[1] - 0.02), 0.6 * w, 0.075, s.pale, 0.6)
    for sign, wing in ((-1, nose.left), (1, nose.right)):
        strong = 0.36 - 0.16 * sign * s.light
        upper = (wing[0] - 0.02 * sign, wing[1] - 0.09)
        out = (wing[0] + 0.025 * sign, wing[1] - 0.03)
        b.stroke(
            b.curve([upper, out, (wing[0] - 0.02 * sign, wing[1] + 0.03)], False),
            deep,
            0.02,
            strong,
        )
        hole = (base[0] + 0.42 * (wing[0] - base[0]), base[1] - 0.02)
        b.fill(b.ellipse(hole, 0.3 * w, 0.022), scale(deep, 0.5), 0.75, blur=0.006)
    b.stroke(_arc(b, nose.left, (base[0], base[1] + 0.012), nose.right), deep, 0.018, 0.16)


def _mouth(s: Scene) -> None:
    b, m, lips = s.brush, s.face.mouth, s.colours.lips
    left, right = m.left, m.right
    b.spot((m.bottom[1][0], m.bottom[1][1] + 0.05), 0.24, 0.07, s.deep, 0.36)
    inside = b.curve([left, *m.upper, right, *reversed(m.lower)])
    b.fill(inside, (0.22, 0.05, 0.06))
    with b.inside(inside):
        x, y = m.upper[1]
        teeth = b.ellipse((x, y - 0.04), 0.24, 0.05 + 0.45 * m.gap)
        b.fill(teeth, (0.95, 0.93, 0.89))
        tongue = b.ellipse((m.lower[1][0], m.lower[1][1] + 0.02), 0.13, 0.3 * m.gap)
        b.fill(tongue, (0.72, 0.3, 0.3), 0.8)
    upper = b.curve([left, m.top[0], m.top[1], m.top[2], right, m.upper[2], m.upper[1], m.upper[0]])
    lower = b.curve(
        [left, m.lower[0], m.lower[1], m.lower[2], right, m.bottom[2], m.bottom[1], m.bottom[0]]
    )
    b.fill(upper, scale(lips, 0.84))
    b.fill(lower, lips)
    shine = _toward(m.lower[1], m.bottom[1], 0.45)
    b.spot((shine[0] + 0.04 * s.light, shine[1]), 0.13, 0.03, WHITE, 0.3)
    closed = min(max(1 - 12 * m.gap, 0.0), 1.0)
    line = b.curve([left, *m.upper, right], closed=False)
    b.stroke(line, scale(lips, 0.35), 0.018, 0.45 + 0.4 * closed)
    for corner in (left, right):
        b.spot(corner, 0.05, 0.05, s.deep, 0.5)


def _beard(s: Scene, skin: Any) -> None:
    if s.a.beard not in ("stubble", "full"):
        return
    b, m = s.brush, s.face.mouth
    on = s.face.pose.on_face
    jaw = list(s.face.jaw)
    if s.a.beard == "full":
        jaw = [(x * 1.03, y + (0.07 if y > 0.55 else 0.0)) for x, y in jaw]
    top = [
        on(-0.6, 0.22),
        on(-0.43, 0.44),
        on(-0.2, 0.43),
        on(0.2, 0.43),
        on(0.43, 0.44),
        on(0.6, 0.22),
    ]
    region = b.curve([*jaw[1:-1], *top])
    colour = s.colours.beard
    if s.a.beard == "stubble":
        with b.inside(skin):
            b.fill(region, scale(colour, 0.8), 0.42, blur=0.04)
        return
    b.fill(region, colour, 0.9, blur=0.025)
    with b.inside(region):
        b.shade(
            region,
            (0.8 * s.light, 0.3),
            (-0.8 * s.light, 1.0),
            [(WHITE, 0.08), (BLACK, 0.0), (BLACK, 0.35)],
        )
        chin = s.face.chin
        for i in range(-5, 6):
            start = (m.bottom[1][0] + 0.1 * i, m.bottom[1][1] + 0.02 - 0.012 * i * i)
            b.stroke(
                _arc(b, start, _toward(start, chin, 0.4), (chin[0] + 0.07 * i, chin[1])),
                scale(colour, 1.25 if i % 2 else 0.7),
                0.018,
                0.35,
            )


def _moustache(s: Scene) -> None:
    if s.a.beard not in ("moustache", "full"):
        return
    b, m, nose = s.brush, s.face.mouth, s.face.nose
    middle = _toward(nose.base, m.top[1], 0.55)
    ends = [_toward(corner, m.top[1], -0.1) for corner in (m.left, m.right)]
    shape = b.curve(
        [
            (ends[0][0], ends[0][1] + 0.02),
            (m.top[0][0] - 0.05, m.top[0][1] - 0.09),
            (middle[0], middle[1] - 0.02),
            (m.top[2][0] + 0.05, m.top[2][1] - 0.09),
            (ends[1][0], ends[1][1] + 0.02),
            (m.top[2][0], m.top[2][1] + 0.01),
            (m.top[1][0], m.top[1][1] - 0.01),
            (m.top[0][0], m.top[0][1] + 0.01),
        ]
    )
    b.fill(shape, s.colours.beard, 0.5, blur=0.02)
    b.fill(shape, s.colours.beard, 0.9)
    b.stroke(
        _arc(b, m.top[0], (middle[0], middle[1] + 0.02), m.top[2]),
        scale(s.colours.beard, 1.3),
        0.02,
        0.3,
    )


def _front_hair(s: Scene) -> None:
    hair, b, colour = s.hair, s.brush, s.colours.hair
    if hair is None:
        return
    if s.a.hair_style == "cropped":
        cap = b.curve([*hair.outer, *reversed(hair.inner)])
        b.fill(cap, mix(colour, s.colours.skin, 0.12), 0.85, blur=0.02)
        return
    cap = b.curve([*hair.outer, *reversed(hair.inner)])
    side = 0.8 * s.light
    b.blend(cap, (side, -1.1), (-side, 0.5), [mix(colour, WHITE, 0.1), colour, scale(colour, 0.62)])
    if s.a.hair_style == "curly":
        _curls(s, hair)
        return
    with b.inside(cap):
        for i in range(7):
            t = 0.07 + 0.14 * i
            strand = b.curve(
                [_toward(p, q, t) for p, q in zip(hair.outer, hair.inner, strict=True)], False
            )
            tone = mix(colour, WHITE, 0.22) if i % 2 else scale(colour, 0.6)
            b.stroke(strand, tone, 0.022, 0.4)
        gloss = [_toward(p, q, 0.42) for p, q in zip(hair.outer, hair.inner, strict=True)][3:-3]
        arc = b.curve(gloss, closed=False)
        b.stroke(arc, mix(colour, WHITE, 0.5), 0.13, 0.12)
        b.stroke(arc, mix(colour, WHITE, 0.6), 0.06, 0.14)


def _curls(s: Scene, hair: Hair) -> None:
    """Rows of small rings, every other one lit."""
    b, colour = s.brush, s.colours.hair
    lit, unlit = b.skia.Path(), b.skia.Path()
    for row in range(4):
        edge = [
            _toward(p, q, 0.05 + 0.31 * row) for p, q in zip(hair.outer, hair.inner, strict=True)
        ]
        for i, (x, y) in enumerate(edge[1:-1]):
            ring = lit if (i + row) % 2 else unlit
            ring.addCircle(x, y, 0.075)
            x, y = _toward((x, y), edge[i + 2], 0.5)
            ring.addCircle(x, y, 0.065)
    b.fill(unlit, scale(colour, 0.85))
    b.fill(lit, colour)
    b.stroke(unlit, scale(colour, 0.6), 0.026, 0.35)
    b.stroke(lit, mix(colour, WHITE, 0.2), 0.026, 0.25)


def _glasses(s: Scene) -> None:
    if s.a.glasses == "none":
        return
    b, face = s.brush, s.face
    thick = s.a.glasses == "thick"
    colour = (0.06, 0.05, 0.06) if thick else (0.62, 0.50, 0.28)
    width = 0.06 if thick else 0.026
    inner_ends = []
    for eye in face.eyes:
        cx = 0.5 * (eye.inner[0] + eye.outer[0]) + 0.06 * face.pose.sin_yaw
        cy = eye.centre[1] + 0.03
        rx = 0.5 * abs(eye.outer[0] - eye.inner[0]) + (0.1 if thick else 0.085)
        ry = 0.2 if thick else 0.215
        rect = b.skia.Rect(cx - rx, cy - ry, cx + rx, cy + ry)
        lens = b.skia.Path()
        corner = 0.08 if thick else 0.19
        lens.addRoundRect(rect, corner, corner)
        b.shade(lens, (cx - rx, cy - ry), (cx + rx, cy + ry), [(WHITE, 0.26), (WHITE, 0.02)])
        b.stroke(lens, colour, width)
        ear = face.pose.outline(eye.side * face.half_width * 1.02, -0.08, -0.02)
        b.stroke(b.polygon([(cx + eye.side * rx, cy - 0.06), ear]), colour, 0.8 * width)
        inner_ends.append((cx - eye.side * rx, cy - 0.04))
    middle = _toward(inner_ends[0], inner_ends[1], 0.5)
    b.stroke(_arc(b, inner_ends[0], (middle[0], middle[1] - 0.04), inner_ends[1]), colour, width)


def _hat(s: Scene) -> None:
    if s.a.hat == "none":
        return
    b, colour = s.brush, s.colours.hat
    brimmed = s.a.hat == "brimmed"
    crown = b.curve(crown_of(s.face, -1.3 if brimmed else -1.24, -0.5))
    side = s.light
    tones = [mix(colour, WHITE, 0.2), colour, scale(colour, 0.55)]
    b.blend(crown, (side, -1.2), (-side, -0.3), tones)
    if brimmed:
        b.fill(b.curve(band_of(s.face, -0.56, 0.14, 1.1)), scale(colour, 0.45))
        b.blend(b.curve(band_of(s.face, -0.46, 0.11, 1.62)), (side, -0.6), (-side, -0.3), tones)
        return
    fold = b.curve(band_of(s.face, -0.5, 0.24, 1.13))
    b.blend(fold, (side, -0.7), (-side, -0.3), [mix(c, WHITE, 0.08) for c in tones])
    with b.inside(fold):
        for i in range(-7, 8):
            x = 0.12 * i
            b.stroke(b.polygon([(x, -0.75), (x, -0.1)]), BLACK, 0.025, 0.22)
    top = s.face.pose.outline(0, -1.27, -0.1)
    b.fill(b.ellipse(top, 0.13, 0.12), mix(colour, WHITE, 0.25))
