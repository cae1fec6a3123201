"""Hair, glasses and hats of the photo-like drawing."""

from restyle.portraits.drawing.brush import BLACK, WHITE, mix, scale
from restyle.portraits.drawing.hair import Hair, band_of, crown_of
from restyle.portraits.drawing.scene import Scene
from restyle.portraits.geometry import toward


def draw_back_hair(s: Scene) -> None:
    """Draw what falls behind the head."""
    if s.hair is None or s.hair.back is None:
        return
    colour = scale(s.colours.hair, 0.72)
    side = 0.9 * s.light
    tones = [scale(colour, 1.1), colour, scale(colour, 0.6)]
    s.brush.blend(s.brush.curve(s.hair.back), (side, -0.5), (-side, 1.0), tones)


def draw_front_hair(s: Scene) -> None:
    """Draw the hair over the head, with strands along it."""
    hair, b, colour = s.hair, s.brush, s.colours.hair
    if hair is None:
        return
    cap = b.curve(hair.cap)
    if s.a.hair_style == "cropped":
        b.fill(cap, mix(colour, s.colours.skin, 0.12), 0.85, blur=0.02)
        return
    side = 0.8 * s.light
    b.blend(cap, (side, -1.1), (-side, 0.5), [mix(colour, WHITE, 0.1), colour, scale(colour, 0.62)])
    if s.a.hair_style == "curly":
        _curls(s, hair)
        return
    with b.inside(cap):
        for i in range(7):
            strand = b.curve(hair.strand(0.07 + 0.14 * i), closed=False)
            tone = mix(colour, WHITE, 0.22) if i % 2 else scale(colour, 0.6)
            b.stroke(strand, tone, 0.022, 0.4)
        gloss = b.curve(hair.strand(0.42)[3:-3], closed=False)
        b.stroke(gloss, mix(colour, WHITE, 0.5), 0.13, 0.12)
        b.stroke(gloss, mix(colour, WHITE, 0.6), 0.06, 0.14)


def _curls(s: Scene, hair: Hair) -> None:
    """Draw rows of small rings, every other one lit."""
    b, colour = s.brush, s.colours.hair
    lit, unlit = b.skia.Path(), b.skia.Path()
    for row in range(4):
        edge = hair.strand(0.05 + 0.31 * row)
        for i, (x, y) in enumerate(edge[1:-1]):
            ring = lit if (i + row) % 2 else unlit
            ring.addCircle(x, y, 0.075)
            x, y = toward((x, y), edge[i + 2], 0.5)
            ring.addCircle(x, y, 0.065)
    b.fill(unlit, scale(colour, 0.85))
    b.fill(lit, colour)
    b.stroke(unlit, scale(colour, 0.6), 0.026, 0.35)
    b.stroke(lit, mix(colour, WHITE, 0.2), 0.026, 0.25)


def draw_glasses(s: Scene) -> None:
    """Draw glasses."""
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
        lens = b.rounded((cx, cy), rx, ry, corner=0.08 if thick else 0.19)
        b.shade(lens, (cx - rx, cy - ry), (cx + rx, cy + ry), [(WHITE, 0.26), (WHITE, 0.02)])
        b.stroke(lens, colour, width)
        ear = face.pose.outline(eye.side * face.half_width * 1.02, -0.08, -0.02)
        b.stroke(b.path((cx + eye.side * rx, cy - 0.06), ear), colour, 0.8 * width)
        inner_ends.append((cx - eye.side * rx, cy - 0.04))
    x, y = toward(inner_ends[0], inner_ends[1], 0.5)
    b.stroke(b.arc(inner_ends[0], (x, y - 0.04), inner_ends[1]), colour, width)


def draw_hat(s: Scene) -> None:
    """Draw a hat."""
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
            b.stroke(b.path((x, -0.75), (x, -0.1)), BLACK, 0.025, 0.22)
    top = s.face.pose.outline(0, -1.27, -0.1)
    b.fill(b.ellipse(top, 0.13, 0.12), mix(colour, WHITE, 0.25))
