"""A small layer over skia: smooth shapes, strokes and soft shadows on an RGBA array."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from restyle.portraits.geometry import Point, toward

Colour = tuple[float, float, float]
"""RGB, each from 0 to 1."""
Path = Any
"""A path of skia, whose package says no types."""
WHITE: Colour = (1.0, 1.0, 1.0)
BLACK: Colour = (0.0, 0.0, 0.0)
_LEAST_DRAWN = 128  # pixels; smaller pictures are averaged from a larger drawing


def load_skia() -> ModuleType:
    """Return the skia module.

    Raises:
        ImportError: skia-python or a system library that it needs is missing.
    """
    try:
        import skia
    except ImportError as error:
        raise ImportError(
            "drawing portraits needs skia-python (pip install 'restyle[portraits]') and the system "
            f"libraries of the Debian packages libgl1 and libegl1: {error}"
        ) from error
    return skia


def mix(a: Colour, b: Colour, t: float) -> Colour:
    """Return the colour a part `t` of the way from a to b."""
    return (a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), a[2] + t * (b[2] - a[2]))


def scale(colour: Colour, factor: float) -> Colour:
    """Return the colour made darker (below 1) or brighter (above 1)."""
    r, g, b = colour
    return (min(r * factor, 1.0), min(g * factor, 1.0), min(b * factor, 1.0))


class Brush:
    """Draws on a square picture in coordinates from 0 to 1, always anti-aliased."""

    def __init__(self, size: int):
        """Start with an empty picture of `size` pixels a side."""
        self.skia: Any = load_skia()
        # Skia places the edges of thin shapes by coarse steps: small pictures are drawn larger.
        self._factor = -(-_LEAST_DRAWN // size)
        drawn = size * self._factor
        self._pixels = np.zeros((drawn, drawn, 4), np.uint8)
        self._surface = self.skia.Surface(self._pixels)
        self.canvas = self._surface.getCanvas()
        self.canvas.scale(drawn, drawn)
        self._spots: dict[Colour, Any] = {}

    def image(self) -> np.ndarray:
        """Return the picture: (H, W, 3) uint8, RGB."""
        k = self._factor
        if k == 1:
            return np.ascontiguousarray(self._pixels[:, :, :3])
        size = len(self._pixels) // k
        total = np.zeros((size, size, 3), np.uint32)
        for y in range(k):
            for x in range(k):
                total += self._pixels[y::k, x::k, :3]
        return ((total + k * k // 2) // (k * k)).astype(np.uint8)

    @property
    def whole(self) -> Path:
        """The square of the picture as a path."""
        return self.path((0, 0), (1, 0), (1, 1), (0, 1))

    @contextmanager
    def placed(self, centre: Point, roll: float = 0.0, unit: float = 1.0) -> Iterator[None]:
        """Move the origin, rolls by degrees and scales for what is drawn inside."""
        self.canvas.save()
        self.canvas.translate(*centre)
        self.canvas.rotate(roll)
        self.canvas.scale(unit, unit)
        yield
        self.canvas.restore()

    @contextmanager
    def inside(self, path: Path) -> Iterator[None]:
        """Keep what is drawn within a path."""
        self.canvas.save()
        self.canvas.clipPath(path, True)
        yield
        self.canvas.restore()

    def curve(self, points: Sequence[Point], closed: bool = True) -> Path:
        """Return the smooth path through the points (a Catmull-Rom spline)."""
        n, parts = len(points), []
        for i in range(n if closed else n - 1):
            b, c = points[i], points[(i + 1) % n]
            a = points[i - 1] if closed or i else b
            d = points[(i + 2) % n] if closed or i + 2 < n else c
            first = (b[0] + (c[0] - a[0]) / 6, b[1] + (c[1] - a[1]) / 6)
            parts.append((*first, c[0] - (d[0] - b[0]) / 6, c[1] - (d[1] - b[1]) / 6, *c))
        return self.path(points[0], *parts, closed=closed)

    def path(self, start: Point, *parts: Sequence[float], closed: bool = True) -> Path:
        """Return a path of lines (x, y to) and cubic curves (two controls, then x, y to)."""
        path = self.skia.Path()
        path.moveTo(*start)
        for part in parts:
            (path.lineTo if len(part) == 2 else path.cubicTo)(*part)
        if closed:
            path.close()
        return path

    def arc(self, a: Point, middle: Point, b: Point) -> Path:
        """Return the open curve from a to b (a parabola) that passes through the middle."""
        path = self.path(a, closed=False)
        path.quadTo(*toward(toward(a, b, 0.5), middle, 2), *b)
        return path

    def lens(self, a: Point, upper: Point, b: Point, lower: Point) -> Path:
        """Return the almond with corners a and b whose edges pass through upper and lower."""
        path = self.arc(a, upper, b)
        path.quadTo(*toward(toward(a, b, 0.5), lower, 2), *a)
        path.close()
        return path

    def rounded(self, centre: Point, rx: float, ry: float, corner: float) -> Path:
        """Return an upright rectangle with round corners."""
        (x, y), path = centre, self.skia.Path()
        path.addRoundRect(self.skia.Rect(x - rx, y - ry, x + rx, y + ry), corner, corner)
        return path

    def ellipse(self, centre: Point, rx: float, ry: float) -> Path:
        """Return an upright ellipse."""
        (x, y), path = centre, self.skia.Path()
        path.addOval(self.skia.Rect(x - rx, y - ry, x + rx, y + ry))
        return path

    def _paint(self, colour: Colour, alpha: float) -> Any:
        return self.skia.Paint(AntiAlias=True, Color4f=self.skia.Color4f(*colour, alpha))

    def fill(self, path: Path, colour: Colour, alpha: float = 1.0, blur: float = 0.0) -> None:
        """Fill a path; `blur` softens its edge by that standard deviation."""
        paint = self._paint(colour, alpha)
        if blur:
            paint.setMaskFilter(self.skia.MaskFilter.MakeBlur(self.skia.kNormal_BlurStyle, blur))
        self.canvas.drawPath(path, paint)

    def stroke(self, path: Path, colour: Colour, width: float, alpha: float = 1.0) -> None:
        """Draw a path's line with round ends."""
        paint = self._paint(colour, alpha)
        paint.setStyle(self.skia.Paint.kStroke_Style)
        paint.setStrokeWidth(width)
        paint.setStrokeCap(self.skia.Paint.kRound_Cap)
        paint.setStrokeJoin(self.skia.Paint.kRound_Join)
        self.canvas.drawPath(path, paint)

    def blend(self, path: Path, start: Point, end: Point, colours: Sequence[Colour]) -> None:
        """Fill a path with colours that change evenly from one point to another."""
        self.shade(path, start, end, [(c, 1.0) for c in colours])

    def shade(
        self, path: Path, start: Point, end: Point, stops: Sequence[tuple[Colour, float]]
    ) -> None:
        """Fill a path with colours and alphas that change evenly from one point to another."""
        ends = [self.skia.Point(*start), self.skia.Point(*end)]
        shader = self.skia.GradientShader.MakeLinear(ends, self._ints(stops))
        self.canvas.drawPath(path, self.skia.Paint(AntiAlias=True, Shader=shader))

    def glow(self, path: Path, centre: Point, radius: float, colours: Sequence[Colour]) -> None:
        """Fill a path with colours that change evenly from a centre outwards."""
        ints, middle = self._ints([(c, 1.0) for c in colours]), self.skia.Point(*centre)
        shader = self.skia.GradientShader.MakeRadial(middle, radius, ints)
        self.canvas.drawPath(path, self.skia.Paint(AntiAlias=True, Shader=shader))

    def spot(self, centre: Point, rx: float, ry: float, colour: Colour, alpha: float) -> None:
        """Draw a soft ellipse that fades out to its edge."""
        paint = self._paint(WHITE, alpha)
        paint.setShader(self._spot_shader(colour))
        self.canvas.save()
        self.canvas.translate(*centre)
        self.canvas.scale(rx, ry)
        self.canvas.drawCircle(0, 0, 1, paint)
        self.canvas.restore()

    def _spot_shader(self, colour: Colour) -> Any:
        """Return the fading unit disc of a colour; a few colours serve for all spots."""
        if colour not in self._spots:
            ints = self._ints([(colour, part) for part in (1.0, 0.75, 0.25, 0.0)])
            self._spots[colour] = self.skia.GradientShader.MakeRadial(
                self.skia.Point(0, 0), 1.0, ints, [0.0, 0.35, 0.7, 1.0]
            )
        return self._spots[colour]

    def _ints(self, stops: Sequence[tuple[Colour, float]]) -> list[int]:
        return [self.skia.Color4f(*colour, alpha).toColor() for colour, alpha in stops]
