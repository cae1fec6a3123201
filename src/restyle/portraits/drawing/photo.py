"""The photo-like drawing of a portrait: soft light, shadows, skin, strands of hair."""

from restyle.portraits.attributes import Attributes
from restyle.portraits.drawing.brush import WHITE, Brush, Path, mix, scale
from restyle.portraits.drawing.photo_accessories import (
    draw_back_hair,
    draw_front_hair,
    draw_glasses,
    draw_hat,
)
from restyle.portraits.drawing.photo_face import (
    draw_beard,
    draw_brow,
    draw_eye,
    draw_moustache,
    draw_mouth,
    draw_nose,
)
from restyle.portraits.drawing.scene import Scene, scene_of
from restyle.portraits.geometry import CENTRE, UNIT, Layout, smooth_step


def draw_photo(brush: Brush, a: Attributes, face: Layout) -> None:
    """Draw a whole portrait."""
    s = scene_of(brush, a, face)
    _background(s)
    with brush.placed(CENTRE, a.roll, UNIT):
        draw_back_hair(s)
    with brush.placed(CENTRE, 0.0, UNIT):
        _body(s)
    with brush.placed(CENTRE, a.roll, UNIT):
        _ears(s)
        skin = brush.curve(face.outline)
        _head(s, skin)
        with brush.inside(skin):
            _shading(s)
            _wrinkles(s)
        draw_beard(s, skin)
        for eye in face.eyes:
            draw_eye(s, eye)
        draw_nose(s)
        draw_mouth(s)
        draw_moustache(s)
        for eye in face.eyes:
            draw_brow(s, eye)
        draw_front_hair(s)
        draw_glasses(s)
        draw_hat(s)


def _background(s: Scene) -> None:
    colour = s.colours.background
    bright, dark = mix(colour, WHITE, 0.16), scale(colour, 0.68)
    s.brush.glow(s.brush.whole, (0.5 + 0.3 * s.light, 0.3), 0.95, [bright, colour, dark])


def _body(s: Scene) -> None:
    b, skin = s.brush, s.colours.skin
    x = 0.012 * s.a.roll * -0.9
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
    lit, unlit = scale(skin, 0.9), scale(skin, 0.9 - 0.34 * abs(s.light))
    b.blend(path, (side, 0), (-side, 0), [lit, mix(lit, unlit, 0.4), unlit])
    with b.inside(path):
        chin = s.face.to_picture(s.face.chin)
        under = ((chin[0] - CENTRE[0]) / UNIT, (chin[1] - CENTRE[1]) / UNIT)
        b.spot((under[0] - 0.15 * s.light, under[1] + 0.02), 0.75, 0.34, s.deep, 0.85)
        for bone in (-0.14, 0.14):
            b.spot((bone, 1.32), 0.16, 0.05, s.deep, 0.25)
    _clothes(s)


def _clothes(s: Scene) -> None:
    b, colour = s.brush, s.colours.clothes
    dip = {"round": 1.30, "collar": 1.34, "open": 1.56}[s.a.neckline]
    neck = (-0.3, dip, 0.3, dip, 0.4, 1.03)
    shape = b.path(
        (-1.7, 2.0),
        (-1.55, 1.42, -1.25, 1.32, -0.92, 1.24),
        (-0.7, 1.18, -0.5, 1.14, -0.4, 1.03),
        neck,
        (0.5, 1.14, 0.7, 1.18, 0.92, 1.24),
        (1.25, 1.32, 1.55, 1.42, 1.7, 2.0),
    )
    side, tones = 1.3 * s.light, [mix(colour, WHITE, 0.12), colour, scale(colour, 0.55)]
    b.blend(shape, (side, 1.0), (-side, 2.0), tones)
    with b.inside(shape):
        b.stroke(b.path((-0.4, 1.03), neck, closed=False), scale(colour, 0.6), 0.06, 0.8)
    if s.a.neckline == "collar":
        for sign in (-1, 1):
            flap = [(sign * 0.42, 0.96), (sign * 0.56, 1.2), (sign * 0.3, 1.48), (0.0, 1.26)]
            b.fill(b.path(*flap), mix(colour, WHITE, 0.22))
            b.stroke(b.path(*flap), scale(colour, 0.6), 0.02, 0.7)


def _ears(s: Scene) -> None:
    b, skin, pose = s.brush, s.colours.skin, s.face.pose
    for sign in (-1, 1):
        x, y = pose.outline(sign * (s.face.half_width + 0.02), 0.02, -0.12)
        bright = 0.92 + 0.1 * sign * s.light
        b.fill(b.ellipse((x, y), 0.115, 0.19), scale(skin, 0.95 * bright))
        b.spot((x + 0.01 * sign, y + 0.01), 0.08, 0.14, s.deep, 0.6)


def _head(s: Scene, path: Path) -> None:
    skin = s.colours.skin
    cx, cy = s.face.pose.outline(0, 0.05, 0.2)
    tones = [mix(skin, (1.0, 0.95, 0.88), 0.2), skin, scale(skin, 0.9), scale(skin, 0.62)]
    s.brush.glow(path, (cx + 0.34 * s.light, cy - 0.18), 1.35, tones)


def _shading(s: Scene) -> None:
    b, a, deep = s.brush, s.a, s.deep
    on = s.face.pose.on_face
    shade = 0.46 * abs(s.light)
    dark, lit = (-0.95, 0.95) if s.light > 0 else (0.95, -0.95)
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
        for width in (0.1, 0.05):
            b.stroke(shadow, deep, width, 0.16)


def _wrinkles(s: Scene) -> None:
    b, a = s.brush, s.a
    on = s.face.pose.on_face
    old = smooth_step(a.age, 35, 75)
    raised = 0.25 * max(a.brow_raise, 0.0)
    for i, y in enumerate((-0.42, -0.5, -0.58)):
        line = b.arc(on(-0.34 + 0.03 * i, y), on(0, y - 0.03), on(0.34 - 0.03 * i, y))
        b.stroke(line, s.deep, 0.02, 0.42 * old + raised * 0.6)
    fold = 0.06 + 0.3 * max(a.smile, 0.0) + 0.4 * old
    corner = 0.35 + 0.04 * a.smile
    for sign in (-1, 1):
        line = b.arc(on(sign * 0.19, 0.28), on(sign * 0.28, 0.41), on(sign * corner, 0.56))
        b.stroke(line, s.deep, 0.026, 0.7 * fold)
        bag = b.arc(on(sign * 0.19, 0.06), on(sign * 0.32, 0.1), on(sign * 0.45, 0.05))
        b.stroke(bag, s.deep, 0.022, 0.05 + 0.35 * old)
        for dy in (-0.05, 0.0, 0.05):
            foot = ((0.55, -0.05 + dy), (0.59, -0.05 + 1.4 * dy), (0.64, -0.05 + 2 * dy))
            b.stroke(b.arc(*(on(sign * x, y) for x, y in foot)), s.deep, 0.016, 0.4 * old)
