"""Where everything in a portrait is: pose, and the layout of the face, shared by both styles.

Head coordinates: the origin is the middle of the head, x points right, y down and z to the viewer;
the head is about 2 high. The *face plane* is the picture of the turned and nodded head, still
upright; rolling it and placing it in the picture gives picture coordinates, from 0 to 1 from the
top left corner.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians, sin, sqrt

from restyle.portraits.attributes import Attributes

Point = tuple[float, float]

CENTRE: Point = (0.5, 0.455)
"""The middle of the head in the picture, in picture coordinates."""
UNIT = 0.315
"""The length of one head unit, as a part of the picture's size."""


def toward(point: Point, other: Point, t: float) -> Point:
    """Return the point a part `t` of the way from one point to another."""
    return (point[0] + t * (other[0] - point[0]), point[1] + t * (other[1] - point[1]))


def mirrored(points: Sequence[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Return points of the right side on the left one, in the opposite order."""
    return [(-x, y, z) for x, y, z in reversed(points)]


def smooth_step(x: float, begin: float, end: float) -> float:
    """Rise smoothly from 0 where x is `begin` or less to 1 where it is `end` or more."""
    t = min(max((x - begin) / (end - begin), 0.0), 1.0)
    return t * t * (3 - 2 * t)


@dataclass(frozen=True)
class Proportions:
    """Factors by which a drawing style stretches the features; the defaults are lifelike."""

    eyes: float = 1.0
    nose: float = 1.0
    mouth: float = 1.0
    brows: float = 1.0
    jaw: float = 1.0


LIFELIKE = Proportions()


class Pose:
    """Projects head coordinates to the face plane (parallel projection)."""

    def __init__(self, yaw: float, pitch: float):
        """Take the angles in degrees."""
        self.sin_yaw, self.cos_yaw = sin(radians(yaw)), cos(radians(yaw))
        self.sin_pitch, self.cos_pitch = sin(radians(pitch)), cos(radians(pitch))

    def __call__(self, x: float, y: float, z: float) -> Point:
        """Project a point given in head coordinates."""
        depth = z * self.cos_yaw - x * self.sin_yaw
        return (x * self.cos_yaw + z * self.sin_yaw, y * self.cos_pitch - depth * self.sin_pitch)

    def on_face(self, x: float, y: float, lift: float = 0.0) -> Point:
        """Project the point of the face (an ellipsoid) at (x, y), lifted towards the viewer."""
        inside = 1 - (x / 0.92) ** 2 - (y / 1.3) ** 2
        return self(x, y, 0.6 * sqrt(max(inside, 0.04)) + lift)

    def outline(self, x: float, y: float, z: float) -> Point:
        """Project a point of the outline, whose width does not shrink as the head turns."""
        return (x + z * self.sin_yaw, y - z * self.sin_pitch)


@dataclass(frozen=True)
class Eye:
    """One eye in the face plane; `brow` runs from the inner to the outer end."""

    side: int  # -1 is the left one in the picture, 1 the right one
    centre: Point
    inner: Point
    outer: Point
    upper: Point
    lower: Point
    iris: Point
    iris_radius: float
    brow: tuple[Point, Point, Point]
    brow_thickness: float


@dataclass(frozen=True)
class Nose:
    """The nose in the face plane."""

    bridge: Point
    tip: Point
    left: Point
    right: Point
    base: Point
    width: float


@dataclass(frozen=True)
class Mouth:
    """The mouth in the face plane: lip edges from left to right, without the corners."""

    left: Point
    right: Point
    top: tuple[Point, Point, Point]  # cupid's bow
    upper: tuple[Point, Point, Point]  # lower edge of the upper lip
    lower: tuple[Point, Point, Point]  # upper edge of the lower lip
    bottom: tuple[Point, Point, Point]
    gap: float  # how far the lips are apart


@dataclass(frozen=True)
class Layout:
    """The laid out head in the face plane."""

    pose: Pose
    roll: float  # degrees
    outline: tuple[Point, ...]  # closed, clockwise from the top
    half_width: float  # of the temples
    jaw: tuple[Point, ...]  # the outline's lower part, right cheek to left cheek
    chin: Point
    eyes: tuple[Eye, Eye]
    nose: Nose
    mouth: Mouth

    def to_picture(self, point: Point) -> Point:
        """Map a point of the face plane to picture coordinates."""
        c, s = cos(radians(self.roll)), sin(radians(self.roll))
        x, y = point
        return (CENTRE[0] + UNIT * (c * x - s * y), CENTRE[1] + UNIT * (s * x + c * y))

    def landmarks(self) -> tuple[Point, ...]:
        """Return left eye, right eye, nose tip, left and right mouth corner in the picture."""
        left, right = self.eyes
        points = (left.centre, right.centre, self.nose.tip, self.mouth.left, self.mouth.right)
        return tuple(self.to_picture(p) for p in points)


def layout(a: Attributes, proportions: Proportions = LIFELIKE) -> Layout:
    """Lay out a head from its attributes."""
    pose = Pose(a.yaw, a.pitch)
    half_width = 0.715 * (1 + 0.1 * a.face_width)
    height = 1 + 0.09 * a.face_length
    cheek = half_width * (0.965 + 0.03 * a.jaw_width)
    jaw = half_width * (0.76 + 0.12 * a.jaw_width) * proportions.jaw
    chin = (0.27 + 0.1 * a.chin_width) * proportions.jaw
    right = [
        (0.42 * half_width, -0.95, 0.0),
        (0.84 * half_width, -0.72, 0.0),
        (half_width, -0.3, 0.04),
        (cheek, 0.2, 0.1),
        (jaw, 0.64 * height, 0.2),
        (chin, 0.95 * height, 0.36),
    ]
    points = [(0.0, -1.02, 0.0), *right, (0.0, height, 0.4), *mirrored(right)]
    outline = tuple(pose.outline(*p) for p in points)
    return Layout(
        pose=pose,
        roll=a.roll,
        outline=outline,
        half_width=half_width,
        jaw=outline[3:12],
        chin=outline[7],
        eyes=(_eye(a, pose, -1, proportions), _eye(a, pose, 1, proportions)),
        nose=_nose(a, pose, proportions),
        mouth=_mouth(a, pose, proportions, height),
    )


def _eye(a: Attributes, pose: Pose, side: int, proportions: Proportions) -> Eye:
    width = 0.165 * (1 + 0.2 * a.eye_size) * proportions.eyes
    x = (0.315 + 0.045 * a.eye_spacing) * (1 + 0.15 * (proportions.eyes - 1))
    y = -0.06
    lift = 0.035 * a.eye_tilt
    opening = width * (0.32 + 0.36 * a.eye_opening) * (1.25 if proportions.eyes > 1 else 1)
    brow_y = y - 0.235 - 0.045 * a.brow_raise - 0.3 * (opening - 0.08)
    slope = 0.07 * a.brow_angle - 0.02 * a.brow_raise
    return Eye(
        side=side,
        centre=pose.on_face(side * x, y),
        inner=pose.on_face(side * (x - width), y + 0.02 + 0.5 * lift),
        outer=pose.on_face(side * (x + width), y - lift),
        upper=pose.on_face(side * x, y - opening),
        lower=pose.on_face(side * x, y + 0.62 * opening),
        iris=pose.on_face(side * x + 0.35 * width * a.gaze, y - 0.08 * width),
        iris_radius=0.55 * width,
        brow=(
            pose.on_face(side * (x - 1.15 * width / proportions.eyes), brow_y + 0.4 * slope),
            pose.on_face(side * (x + 0.1), brow_y - 0.05 - 0.4 * slope),
            pose.on_face(side * (x + 0.235), brow_y + 0.03 - slope),
        ),
        brow_thickness=0.06 * (1 + 0.5 * a.brow_thickness) * proportions.brows,
    )


def _nose(a: Attributes, pose: Pose, proportions: Proportions) -> Nose:
    width = 0.125 * (1 + 0.32 * a.nose_width) * proportions.nose
    y = 0.275 + 0.06 * a.nose_length
    return Nose(
        bridge=pose.on_face(0, -0.1, 0.08),
        tip=pose.on_face(0, y - 0.03, 0.22 * proportions.nose),
        left=pose.on_face(-width, y + 0.015, 0.03),
        right=pose.on_face(width, y + 0.015, 0.03),
        base=pose.on_face(0, y + 0.05, 0.11),
        width=width,
    )


def _mouth(a: Attributes, pose: Pose, proportions: Proportions, height: float) -> Mouth:
    half = 0.235 * (1 + 0.2 * a.mouth_width) * (1 + 0.16 * a.smile) * proportions.mouth
    y = 0.585 + 0.35 * (height - 1)
    corner_y = y - 0.08 * a.smile
    bow = 0.03 * a.smile  # the middle sinks as the corners rise
    gap = 0.18 * max(0.0, a.mouth_open - 0.12) + 0.06 * max(0.0, a.smile - 0.2)
    full = 0.062 * (1 + 0.45 * a.lip_fullness)
    top, upper = y - 0.9 * full - 0.25 * gap + bow, y - 0.25 * gap + bow
    lower, bottom = y + 0.75 * gap + bow, y + 0.75 * gap + 1.25 * full + bow

    def edge(level: float, dip: float, reach: float) -> tuple[Point, Point, Point]:
        side = level + 0.28 * (corner_y - level)
        return (
            pose.on_face(-reach * half, side, 0.02),
            pose.on_face(0, level + dip, 0.04),
            pose.on_face(reach * half, side, 0.02),
        )

    return Mouth(
        left=pose.on_face(-half, corner_y),
        right=pose.on_face(half, corner_y),
        top=edge(top, 0.018, 0.3),
        upper=edge(upper, 0.008, 0.5),
        lower=edge(lower, 0.008, 0.5),
        bottom=edge(bottom, 0.0, 0.42),
        gap=gap,
    )
