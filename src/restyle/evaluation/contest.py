"""Running methods of inversion on the same images, and keeping what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from tqdm import tqdm

from restyle.evaluation.data import Targets
from restyle.evaluation.machine import Stopwatch
from restyle.evaluation.measures import Judge
from restyle.evaluation.records import Records
from restyle.inverting import networks_of
from restyle.methods.table import Chain, build
from restyle.model import ReStyle

ROUND = (1, 2, 3, 5, 7)
"""The iterations of an optimisation that are measured, times powers of ten."""


@dataclass(frozen=True)
class Contestant:
    """A model with a method.

    Attributes:
        name: What its rows are called.
        model: The model.
        method: How it inverts.
    """

    name: str
    model: ReStyle
    method: Chain

    @property
    def steps(self) -> int:
        """Of the whole method."""
        return sum(self.method.steps)

    @property
    def measured(self) -> set[int]:
        """The steps that are measured: all of an encoder's, some of an optimisation's, the ends."""
        measured, before = {0}, 0
        for part, steps in zip(self.method.name.split("+"), self.method.steps, strict=True):
            wanted = range(1, steps + 1) if part.startswith("restyle") else log_steps(steps)
            measured |= {before + step for step in wanted}
            before += steps
        return measured


def log_steps(last: int) -> list[int]:
    """1, 2, 3, 5, 7, 10, 20, ... up to and including the last one."""
    numbers = (base * 10**power for power in range(len(str(last))) for base in ROUND)
    return sorted({number for number in numbers if number < last} | {last})


def contestant(name: str, model: ReStyle, method: str, objective) -> Contestant:
    """Let a model invert with a method, named as `restyle.methods.table.build` takes it.

    Raises:
        ValueError: There is no such method.
    """
    chain = build(method, networks_of(model, objective))
    return Contestant(f"{name} {chain.name}", model, chain)


def run(one: Contestant, targets: Targets, judge: Judge, records: Records, batch_size: int) -> None:
    """Invert all images and record a row for each image and measured step.

    A row says `method`, `image`, `step`, `seconds` (per image, from the first step on) and the
    measures. Images that have all their rows are passed over.
    """
    last = one.steps
    mine = (row for row in records.rows if row["method"] == one.name)
    done = {row["image"] for row in mine if row["step"] == last}
    size = 1 if one.method.tuning else batch_size  # each image is given a generator of its own
    warm = False
    with tqdm(total=len(targets.names), unit="image", desc=one.name, disable=None) as progress:
        progress.update(len(done))
        for names, target in targets.batches(size, done):
            target = target.to(one.model.device)
            if not warm:  # the first use of a network is slower than all others
                next(iter(one.method(target, one.model.start(len(target)))))
                warm = True
            records.add(_rows(one, names, target, judge))
            progress.update(len(names))


def _rows(
    one: Contestant, names: list[str], target: Tensor, judge: Judge
) -> Iterable[dict[str, object]]:
    measure = judge.against(target)
    start = one.model.start(len(target))
    watch = Stopwatch(one.model.device)
    estimates = one.method(target, start)
    found = [(0, 0.0, measure(start.image))]
    for step in range(1, one.steps + 1):
        watch.start()
        estimate = next(estimates)
        seconds = watch.stop() / len(names)
        if step in one.measured:
            found.append((step, seconds, measure(estimate.image)))
    # Image by image, so that an image whose last row is there has all of its rows.
    for index, name in enumerate(names):
        for step, seconds, values in found:
            figures = {key: _rounded(column[index]) for key, column in values.items()}
            yield {
                "method": one.name,
                "image": name,
                "step": step,
                "seconds": round(seconds, 7),
                **figures,
            }


def _rounded(value: object) -> object:
    return round(value, 7) if isinstance(value, float) else value


@dataclass(frozen=True)
class Outcome:
    """The rows of one method as arrays.

    Attributes:
        images: Names of the N images, sorted.
        steps: (S,) the measured steps, rising from 0.
        seconds: (S, N) per image.
        values: By measure, (S, N); NaN where there is none, as without a face.
    """

    images: list[str]
    steps: np.ndarray
    seconds: np.ndarray
    values: dict[str, np.ndarray]


def outcome(records: Records, name: str, measures: Iterable[str]) -> Outcome:
    """Collect the complete images of a method.

    Raises:
        ValueError: There are none.
    """
    rows = [row for row in records.rows if row["method"] == name]
    steps = sorted({row["step"] for row in rows})
    cells = {(row["image"], row["step"]): row for row in rows}
    images = sorted({row["image"] for row in rows if row["step"] == steps[-1]})
    if not images:
        raise ValueError(f"expected at least one usable image, found none ({name})")

    def array(key: str) -> np.ndarray:
        rows = [[cells[image, step][key] for image in images] for step in steps]
        return np.array(rows, dtype=float)

    return Outcome(images, np.array(steps), array("seconds"), {m: array(m) for m in measures})
