"""The attributes of a portrait: their schema, classes and ranges, and people drawn from it.

The schema is the class `Attributes` itself. Every field says its range or classes, how it is
distributed, and whether it belongs to the *identity* of a person or is a *nuisance* that changes
from one picture of that person to the next.

Sampling is counter based (Philox, Salmon et al., SC 2011): the person's number is the key, and the
view is part of the counter, so any portrait can be drawn without drawing those before it. Only the
raw integer stream and plain arithmetic are used, which makes it the same on every machine.
"""

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from itertools import accumulate
from typing import Any

import numpy as np

IDENTITY = "identity"
NUISANCE = "nuisance"


@dataclass(frozen=True)
class Distribution:
    """A distribution of positions in [0, 1].

    Attributes:
        draw: Maps three independent uniform numbers in [0, 1) to a position.
        rank: Maps a position to the share of those that are smaller.
    """

    draw: Callable[[float, float, float], float]
    rank: Callable[[float], float]


@dataclass(frozen=True)
class Continuous:
    """A real attribute: its range, its role, and how it is distributed.

    Attributes:
        low: Smallest value.
        high: Largest value.
        role: `IDENTITY` or `NUISANCE`.
        distribution: Of its position between the two.
    """

    low: float
    high: float
    role: str
    distribution: Distribution

    def draw(self, a: float, b: float, c: float) -> float:
        """Return the value for three uniform numbers in [0, 1)."""
        return self.low + (self.high - self.low) * self.distribution.draw(a, b, c)

    def rank(self, value: float) -> float:
        """Return the share of portraits with a smaller value."""
        return self.distribution.rank((value - self.low) / (self.high - self.low))


@dataclass(frozen=True)
class Classes:
    """An attribute that is one of several names, each with its share of the portraits."""

    names: tuple[str, ...]
    shares: tuple[float, ...]
    role: str

    def draw(self, a: float, _b: float, _c: float) -> str:
        """Return the class for a uniform number in [0, 1)."""
        return self.names[min(bisect_right(list(accumulate(self.shares)), a), len(self.names) - 1)]


def _rank_of_two(t: float) -> float:
    return 2 * t * t if t < 0.5 else 1 - 2 * (1 - t) ** 2


def _rank_of_three(t: float) -> float:
    if t > 0.5:
        return 1 - _rank_of_three(1 - t)
    return 4.5 * t**3 if t < 1 / 3 else (-18 * t**3 + 27 * t**2 - 9 * t + 1) / 2


_flat = Distribution(lambda a, b, c: a, lambda t: t)
_bell = Distribution(lambda a, b, c: (a + b + c) / 3, _rank_of_three)
_wide_bell = Distribution(lambda a, b, c: (a + b) / 2, _rank_of_two)
_mostly_low = Distribution(lambda a, b, c: a * a, math.sqrt)


def _real(low: float, high: float, role: str, distribution: Distribution = _flat) -> Any:
    return field(
        default=(low + high) / 2,
        metadata={"spec": Continuous(low, high, role, distribution)},
    )


def _one_of(role: str, **shares: float) -> Any:
    spec = Classes(tuple(shares), tuple(shares.values()), role)
    return field(default=next(iter(shares)), metadata={"spec": spec})


@dataclass(frozen=True, slots=True)
class Attributes:
    """Everything a portrait shows. The defaults are the average face.

    Shape attributes run from -1 to 1 around the average; angles are in degrees; age is in years;
    "left" and "right" are those of the picture.
    """

    skin_tone: float = _real(0, 1, IDENTITY)  # light to dark
    skin_warmth: float = _real(-1, 1, IDENTITY)  # rosy to golden
    face_width: float = _real(-1, 1, IDENTITY, _wide_bell)
    face_length: float = _real(-1, 1, IDENTITY, _wide_bell)
    jaw_width: float = _real(-1, 1, IDENTITY, _wide_bell)
    chin_width: float = _real(-1, 1, IDENTITY, _wide_bell)
    eye_size: float = _real(-1, 1, IDENTITY, _wide_bell)
    eye_spacing: float = _real(-1, 1, IDENTITY, _wide_bell)
    eye_tilt: float = _real(-1, 1, IDENTITY, _wide_bell)  # outer corners low to high
    nose_width: float = _real(-1, 1, IDENTITY, _wide_bell)
    nose_length: float = _real(-1, 1, IDENTITY, _wide_bell)
    mouth_width: float = _real(-1, 1, IDENTITY, _wide_bell)
    lip_fullness: float = _real(-1, 1, IDENTITY, _wide_bell)
    lip_redness: float = _real(0, 1, IDENTITY, _wide_bell)
    brow_thickness: float = _real(-1, 1, IDENTITY, _wide_bell)
    brow_angle: float = _real(-1, 1, IDENTITY, _wide_bell)  # outer ends low to high
    hair_shade: float = _real(-1, 1, IDENTITY, _wide_bell)  # darker to lighter within its class

    yaw: float = _real(-28, 28, NUISANCE, _wide_bell)  # looks left to right
    pitch: float = _real(-14, 14, NUISANCE, _wide_bell)  # looks down to up
    roll: float = _real(-12, 12, NUISANCE, _bell)  # leans left to right
    smile: float = _real(-1, 1, NUISANCE, _wide_bell)
    mouth_open: float = _real(0, 1, NUISANCE, _mostly_low)
    eye_opening: float = _real(0, 1, NUISANCE, _bell)  # narrowed to wide
    gaze: float = _real(-1, 1, NUISANCE, _bell)  # left to right
    brow_raise: float = _real(-1, 1, NUISANCE, _wide_bell)
    age: float = _real(18, 80, NUISANCE)
    light_direction: float = _real(-1, 1, NUISANCE)  # from the left to from the right
    hair_length: float = _real(0, 1, NUISANCE)
    hair_part: float = _real(-1, 1, NUISANCE)  # parting on the left to on the right
    background_red: float = _real(0, 1, NUISANCE)
    background_green: float = _real(0, 1, NUISANCE)
    background_blue: float = _real(0, 1, NUISANCE)
    clothes_red: float = _real(0, 1, NUISANCE)
    clothes_green: float = _real(0, 1, NUISANCE)
    clothes_blue: float = _real(0, 1, NUISANCE)

    hair_colour: str = _one_of(IDENTITY, brown=0.28, black=0.27, blond=0.2, red=0.13, grey=0.12)
    eye_colour: str = _one_of(IDENTITY, brown=0.45, blue=0.3, green=0.25)
    hair_style: str = _one_of(NUISANCE, short=0.3, long=0.3, cropped=0.12, curly=0.16, bald=0.12)
    beard: str = _one_of(NUISANCE, none=0.64, moustache=0.1, stubble=0.12, full=0.14)
    glasses: str = _one_of(NUISANCE, none=0.65, thin=0.17, thick=0.18)
    hat: str = _one_of(NUISANCE, none=0.88, brimmed=0.06, beanie=0.06)
    neckline: str = _one_of(NUISANCE, round=0.4, collar=0.3, open=0.3)

    def with_(self, **changes: float | str) -> "Attributes":
        """Return a copy with some attributes changed.

        Raises:
            ValueError: An attribute does not exist, is out of its range, or is no class of its own.
        """
        for name, value in changes.items():
            check(name, value)
        return replace(self, **changes)

    def to_vector(self) -> np.ndarray:
        """Return the continuous attributes, scaled to [-1, 1]: (C,) float32."""
        values = np.array([getattr(self, name) for name in continuous_names])
        return ((values - _MIDDLE) / _HALF_RANGE).astype(np.float32)

    def to_labels(self) -> np.ndarray:
        """Return the class numbers: (K,) int64, in the order of `class_names`."""
        return np.array([_NUMBER[name][getattr(self, name)] for name in class_names])

    @classmethod
    def from_vectors(cls, vector: np.ndarray, labels: np.ndarray) -> "Attributes":
        """Build attributes from what `to_vector` and `to_labels` return; values are clipped."""
        values = np.clip(vector, -1, 1).astype(np.float64) * _HALF_RANGE + _MIDDLE
        classes = [
            class_names[name][int(label)] for name, label in zip(class_names, labels, strict=True)
        ]
        return cls(*values.tolist(), *classes)


SCHEMA: dict[str, Continuous | Classes] = {f.name: f.metadata["spec"] for f in fields(Attributes)}
"""Every attribute's range or classes, in the order of the fields."""

continuous_names: tuple[str, ...] = tuple(
    name for name, spec in SCHEMA.items() if isinstance(spec, Continuous)
)
"""The continuous attributes, in the order of `Attributes.to_vector`."""

class_names: dict[str, tuple[str, ...]] = {
    name: spec.names for name, spec in SCHEMA.items() if isinstance(spec, Classes)
}
"""The classes of each attribute that has classes, in the order of `Attributes.to_labels`."""

identity_names: tuple[str, ...] = tuple(n for n, spec in SCHEMA.items() if spec.role == IDENTITY)
"""The attributes that stay the same in every view of a person."""

_RANGES = [spec for spec in SCHEMA.values() if isinstance(spec, Continuous)]
_MIDDLE = np.array([(spec.high + spec.low) / 2 for spec in _RANGES])
_HALF_RANGE = np.array([(spec.high - spec.low) / 2 for spec in _RANGES])
_NUMBER = {name: {c: i for i, c in enumerate(names)} for name, names in class_names.items()}


def check(name: str, value: float | str) -> None:
    """Check one attribute's value.

    Raises:
        ValueError: There is no such attribute, or the value is not in its range or classes.
    """
    spec = SCHEMA.get(name)
    if spec is None:
        raise ValueError(f"expected one of the attributes {', '.join(SCHEMA)}, got {name!r}")
    if isinstance(spec, Classes):
        if value not in spec.names:
            raise ValueError(f"{name}: expected one of {', '.join(spec.names)}, got {value!r}")
    elif not isinstance(value, (int, float, np.number)) or not spec.low <= value <= spec.high:
        raise ValueError(f"{name}: expected {spec.low} to {spec.high}, got {value!r}")


def sample(person: int, view: int = 0) -> Attributes:
    """Draw a view of a person.

    Args:
        person: The person's number, 0 or more. It alone decides the identity attributes.
        view: Which picture of that person, 0 or more. It decides the nuisance attributes.
    """
    draws = {IDENTITY: iter(_uniforms(person, 0)), NUISANCE: iter(_uniforms(person, 1 + view))}
    values = []
    for spec in SCHEMA.values():
        stream = draws[spec.role]
        values.append(spec.draw(next(stream), next(stream), next(stream)))
    return Attributes(*values)


def _uniforms(person: int, stream: int) -> list[float]:
    """Return numbers in [0, 1), three for each attribute, of one of a person's streams."""
    generator = np.random.Philox(key=[person, 0], counter=[0, 0, 0, stream])
    raw = generator.random_raw(3 * len(SCHEMA))
    return ((raw >> np.uint64(11)) * 2.0**-53).tolist()
