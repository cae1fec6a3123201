"""Eyes, brows, nose, mouth and beard of the photo-like drawing."""

from restyle.portraits.drawing.brush import BLACK, WHITE, Path, mix, scale
from restyle.portraits.drawing.scene import Scene
from restyle.portraits.geometry import Eye, toward


def draw_eye(s: Scene, eye: Eye) -> None:
    """Draw one eye: ball, iris, lids and lashes."""
    b = s.brush
    x, y = eye.centre
    wide = abs(eye.outer[0] - eye.inner[0]) / 2
    b.spot((x - 0.04 * eye.side, y - 0.05), 1.6 * wide, 0.17, s.deep, 0.36)
    ball = b.lens(eye.inner, eye.upper, eye.outer, eye.lower)
    b.fill(ball, mix((0.95, 0.94, 0.93), s.colours.skin, 0.1))
    with b.inside(ball):
        r = eye.iris_radius
        iris = b.ellipse(eye.iris, r, r)
        tones = [scale(s.colours.iris, 1.35), s.colours.iris, scale(s.colours.iris, 0.45)]
        b.glow(iris, eye.iris, r, tones)
        b.fill(b.ellipse(eye.iris, 0.45 * r, 0.45 * r), (0.03, 0.02, 0.02))
        b.stroke(b.arc(eye.inner, eye.upper, eye.outer), BLACK, 0.06, 0.28)
    glint = (
        eye.iris[0] + 0.3 * eye.iris_radius * (1 if s.light > 0 else -1) * abs(s.light) ** 0.5,
        eye.iris[1] - 0.35 * eye.iris_radius,
    )
    b.fill(b.ellipse(glint, 0.024, 0.024), WHITE, 0.9)
    lash = mix(scale(s.colours.brows, 0.4), BLACK, 0.4)
    b.stroke(b.arc(eye.inner, eye.upper, eye.outer), lash, 0.03, 0.9)
    b.stroke(b.arc(eye.inner, eye.lower, eye.outer), s.deep, 0.016, 0.5)
    crease = ((x, y - 0.05) for x, y in (eye.inner, eye.upper, eye.outer))
    b.stroke(b.arc(*crease), s.deep, 0.018, 0.5)


def draw_brow(s: Scene, eye: Eye) -> None:
    """Draw one brow."""
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


def draw_nose(s: Scene) -> None:
    """Draw the nose by its shadow and its light."""
    b, nose, deep = s.brush, s.face.nose, s.deep
    w = nose.width
    tip, bridge, base = nose.tip, nose.bridge, nose.base
    lit, unlit = (nose.right, nose.left) if s.light > 0 else (nose.left, nose.right)
    far = toward(bridge, unlit, 0.12)
    flank = b.curve([bridge, toward(bridge, tip, 0.6), tip, base, unlit, far])
    b.fill(flank, deep, 0.34 * abs(s.light), blur=0.035)
    b.spot((base[0] - 0.05 * s.light, base[1] + 0.06), 1.5 * w, 0.08, deep, 0.42)
    b.spot(toward(bridge, tip, 0.45), 0.06, 0.26, s.pale, 0.32)
    b.spot((tip[0] + 0.02 * s.light, tip[1] - 0.02), 0.6 * w, 0.075, s.pale, 0.6)
    for sign, wing in ((-1, nose.left), (1, nose.right)):
        strong = 0.36 - 0.16 * sign * s.light
        upper = (wing[0] - 0.02 * sign, wing[1] - 0.09)
        out = (wing[0] + 0.025 * sign, wing[1] - 0.03)
        edge = b.curve([upper, out, (wing[0] - 0.02 * sign, wing[1] + 0.03)], closed=False)
        b.stroke(edge, deep, 0.02, strong)
        hole = (base[0] + 0.42 * (wing[0] - base[0]), base[1] - 0.02)
        b.fill(b.ellipse(hole, 0.3 * w, 0.022), scale(deep, 0.5), 0.75, blur=0.006)
    b.stroke(b.arc(nose.left, (base[0], base[1] + 0.012), nose.right), deep, 0.018, 0.16)


def draw_mouth(s: Scene) -> None:
    """Draw lips, and between them teeth and tongue."""
    b, m, lips = s.brush, s.face.mouth, s.colours.lips
    left, right = m.left, m.right
    b.spot((m.bottom[1][0], m.bottom[1][1] + 0.05), 0.24, 0.07, s.deep, 0.36)
    inside = b.curve([left, *m.upper, right, *reversed(m.lower)])
    b.fill(inside, (0.22, 0.05, 0.06))
    with b.inside(inside):
        teeth = b.ellipse((m.upper[1][0], m.upper[1][1] - 0.04), 0.24, 0.05 + 0.45 * m.gap)
        b.fill(teeth, (0.95, 0.93, 0.89))
        tongue = b.ellipse((m.lower[1][0], m.lower[1][1] + 0.02), 0.13, 0.3 * m.gap)
        b.fill(tongue, (0.72, 0.3, 0.3), 0.8)
    b.fill(b.curve([left, *m.top, right, *reversed(m.upper)]), scale(lips, 0.84))
    b.fill(b.curve([left, *m.lower, right, *reversed(m.bottom)]), lips)
    shine = toward(m.lower[1], m.bottom[1], 0.45)
    b.spot((shine[0] + 0.04 * s.light, shine[1]), 0.13, 0.03, WHITE, 0.3)
    closed = min(max(1 - 12 * m.gap, 0.0), 1.0)
    line = b.curve([left, *m.upper, right], closed=False)
    b.stroke(line, scale(lips, 0.35), 0.018, 0.45 + 0.4 * closed)
    for corner in (left, right):
        b.spot(corner, 0.05, 0.05, s.deep, 0.5)


def draw_beard(s: Scene, skin: Path) -> None:
    """Draw stubble or a full beard, below `skin` the outline of the head."""
    if s.a.beard not in ("stubble", "full"):
        return
    b, m = s.brush, s.face.mouth
    on = s.face.pose.on_face
    jaw = s.face.jaw
    if s.a.beard == "full":
        jaw = [(x * 1.03, y + (0.07 if y > 0.55 else 0.0)) for x, y in jaw]
    top = [(-0.6, 0.22), (-0.43, 0.44), (-0.2, 0.43), (0.2, 0.43), (0.43, 0.44), (0.6, 0.22)]
    region = b.curve([*jaw[1:-1], *(on(x, y) for x, y in top)])
    colour = s.colours.beard
    if s.a.beard == "stubble":
        with b.inside(skin):
            b.fill(region, scale(colour, 0.8), 0.42, blur=0.04)
        return
    b.fill(region, colour, 0.9, blur=0.025)
    with b.inside(region):
        tones = [(WHITE, 0.08), (BLACK, 0.0), (BLACK, 0.35)]
        b.shade(region, (0.8 * s.light, 0.3), (-0.8 * s.light, 1.0), tones)
        chin = s.face.chin
        for i in range(-5, 6):
            start = (m.bottom[1][0] + 0.1 * i, m.bottom[1][1] + 0.02 - 0.012 * i * i)
            strand = b.arc(start, toward(start, chin, 0.4), (chin[0] + 0.07 * i, chin[1]))
            b.stroke(strand, scale(colour, 1.25 if i % 2 else 0.7), 0.018, 0.35)


def draw_moustache(s: Scene) -> None:
    """Draw a moustache."""
    if s.a.beard not in ("moustache", "full"):
        return
    b, m, nose = s.brush, s.face.mouth, s.face.nose
    middle = toward(nose.base, m.top[1], 0.55)
    ends = [toward(corner, m.top[1], -0.1) for corner in (m.left, m.right)]
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
    light = b.arc(m.top[0], (middle[0], middle[1] + 0.02), m.top[2])
    b.stroke(light, scale(s.colours.beard, 1.3), 0.02, 0.3)
