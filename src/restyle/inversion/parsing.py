"""The notation of methods of inversion: `restyle:2+newton:auto@pull=0.1`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

MOST_STEPS = 100_000
AUTO = "auto"
"""In the place of a number: as many steps as help each image."""


class Option(NamedTuple):
    """A number that may follow a method's name.

    Attributes:
        least: The least that it may be.
        most: The most.
        whole: Whether it is a whole number.
        about: What it is.
    """

    least: float
    most: float
    whole: bool
    about: str


OPTIONS = {
    "lr": Option(1e-12, 10.0, False, "learning rate"),
    "inner": Option(1, 1000, True, "number of iterations in a step"),
    "pull": Option(0, 1e6, False, "weight of the pull towards W"),
}
"""The options of all methods by name; a number without a name is the learning rate."""


class Entry(NamedTuple):
    """One method by name.

    Attributes:
        make: Makes it from networks, `steps` (None for as many as help) and its options.
        steps: How many if no number is given; None for as many as the encoder usually takes.
        options: The names of those of `OPTIONS` that it takes.
        most: How many steps it takes at most where it stops by itself; 0 if it never does.
    """

    make: Callable[..., Any]
    steps: int | None
    options: tuple[str, ...] = ("lr",)
    most: int = 0


class Part(NamedTuple):
    """One of the methods in a text, as it was asked for.

    Attributes:
        name: Of the method.
        steps: How many; None for as many as help each image.
        options: By name, those that were given.
    """

    name: str
    steps: int | None
    options: Mapping[str, float]

    def __str__(self) -> str:
        """The text of this part, in full."""
        given = [f"{k}={v:g}" if k != "lr" else f"{v:g}" for k, v in self.options.items()]
        steps = AUTO if self.steps is None else self.steps
        return f"{self.name}:{steps}" + ("@" + ",".join(given) if given else "")


def parse(text: str, methods: Mapping[str, Entry], encoder_steps: int) -> list[Part]:
    """Read the names of methods with or without `:steps` and `@options`, joined by `+`.

    Raises:
        ValueError: An unknown name or option, or a number out of its range.
    """
    return [_part(part, methods, encoder_steps) for part in text.split("+")]


def with_auto(text: str, methods: Mapping[str, Entry]) -> str:
    """Return a text in which methods without a number take as many steps as help each image.

    Raises:
        ValueError: It has no method that can stop by itself and has no number.
    """
    parts = []
    for part in text.split("+"):
        name, at, options = part.partition("@")
        stops = name in methods and methods[name].most
        parts.append(f"{name}:{AUTO}{at}{options}" if stops else part)
    if parts == text.split("+"):
        able = " or ".join(name for name, entry in methods.items() if entry.most)
        raise ValueError(
            f"expected {able} without a number of steps, to take as many as help, got {text!r}"
        )
    return "+".join(parts)


def _part(text: str, methods: Mapping[str, Entry], encoder_steps: int) -> Part:
    method, at, options = text.partition("@")
    name, _, number = method.partition(":")
    if name not in methods:
        raise ValueError(f"expected a method of {', '.join(methods)}, got {name!r}")
    entry = methods[name]
    found = _options(text, name, entry, options) if at else {}
    if number == AUTO and entry.most:
        return Part(name, None, found)
    try:
        steps = int(number or entry.steps or encoder_steps)
    except ValueError:
        steps = 0
    if not 1 <= steps <= MOST_STEPS:
        auto = f" or {AUTO}" if entry.most else ""
        raise ValueError(
            f"expected {name}:STEPS with a positive number{auto}, got {text!r} "
            f"(at most {MOST_STEPS:,})"
        )
    return Part(name, steps, found)


def _options(text: str, method: str, entry: Entry, given: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in given.split(","):
        name, equals, value = one.partition("=")
        name, value = (name, value) if equals else ("lr", name)
        if name not in entry.options:
            taken = " or ".join(entry.options) or "no option"
            asked = OPTIONS[name].about if name in OPTIONS else name
            raise ValueError(f"expected {taken} of {method} after @, got {asked} in {text!r}")
        option = OPTIONS[name]
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not option.least <= number <= option.most or (option.whole and number % 1):
            kind = "whole " if option.whole else ""
            raise ValueError(
                f"expected {method}@{'' if name == 'lr' else name + '='}NUMBER with a {kind}"
                f"{option.about} from {option.least:g} to {option.most:g}, got {text!r}"
            )
        found[name] = int(number) if option.whole else number
    return found
