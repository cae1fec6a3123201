"""Running methods of inversion on the same images, and keeping what came of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from restyle.evaluation.data import Targets
from restyle.evaluation.measures import Judge
from restyle.evaluation.records import claim_folder
from restyle.inversion.methods import Chain, Method
from restyle.inversion.pivotal import PivotalTuning
from restyle.io.files import append_jsonl, read_jsonl
from restyle.model import ReStyle
from restyle.runtime.timing import Stopwatch, peak_memory, reset_peak_memory

ROUND = (1, 2, 3, 5, 7)
"""The iterations of an optimisation that are measured, times powers of ten."""

SPEED_STEPS = 5
"""The most steps of a stage that are timed at each batch size."""

LONG = 50  # steps from which on a batch has a progress bar of its own


@dataclass(frozen=True)
class Entry:
    """A model with a method.

    Attributes:
        label: What the model is called.
        model: The model.
        method: How it inverts.
    """

    label: str
    model: ReStyle
    method: Chain

    @property
    def name(self) -> str:
        """Name of its rows."""
        return f"{self.label} {self.method.name}"

    @property
    def parts(self) -> list[str]:
        """Names of the method's stages, such as restyle and ws, without their steps."""
        return [part.partition(":")[0] for part in self.method.name.split("+")]

    @property
    def encodes(self) -> bool:
        """True where the encoder does all of it, so that it takes no time to speak of."""
        return set(self.parts) == {"restyle"}

    @property
    def asks_the_encoder(self) -> bool:
        """True where the encoder does any of it; an optimisation on its own knows none."""
        return "restyle" in self.parts

    def weights_hash(self) -> str:
        """Return the hash of the weights that it uses."""
        if self.asks_the_encoder:
            return self.model.weights_hash()
        return self.model.editor.generator_sha256

    def folder(self, out: Path) -> Path:
        """Return where an evaluation in a folder keeps what is this method's alone."""
        return out / "methods" / self.name.replace("/", "_").replace(" ", "_")

    def batch_size(self, most: int) -> int:
        """Return how many images it inverts at once: tuning gives each a generator of its own."""
        return 1 if self.method.tuning else most

    @property
    def steps(self) -> int:
        """Of the whole method."""
        return sum(self.method.steps)

    @property
    def measured(self) -> set[int]:
        """The steps that are measured: all of an encoder's, some of an optimisation's, the ends."""
        measured, before = {0}, 0
        for part, steps in zip(self.parts, self.method.steps, strict=True):
            few = part in ("restyle", "newton")
            wanted = range(1, steps + 1) if few else log_steps(steps)
            measured |= {before + step for step in wanted}
            before += steps
        return measured


def log_steps(last: int) -> list[int]:
    """Return 1, 2, 3, 5, 7, 10, 20, ... up to and including the last one."""
    numbers = (base * 10**power for power in range(len(str(last))) for base in ROUND)
    return sorted({number for number in numbers if number < last} | {last})


def run(one: Entry, targets: Targets, judge: Judge, records: Path, batch_size: int) -> None:
    """Invert all images and record a row for each image and measured step.

    A row says `method`, `image`, `step`, `seconds` (per image, from the first step on) and the
    measures. Images that have all their rows are passed over.
    """
    last = one.steps
    mine = (row for row in read_jsonl(records) if row["method"] == one.name)
    done = {row["image"] for row in mine if row["step"] == last}
    size = one.batch_size(batch_size)
    warm = False
    with tqdm(total=len(targets.names), unit="image", desc=one.name, disable=None) as progress:
        progress.update(len(done))
        for names, target in targets.batches(size, done):
            target = target.to(one.model.device)
            if not warm:  # the first use of a network is slower than all others
                for stage in one.method.stages:
                    next(iter(stage(target, one.model.start(len(target)))))
                warm = True
            for row in _rows(one, names, target, judge):
                append_jsonl(records, row)
            progress.update(len(names))


def _rows(
    one: Entry, names: list[str], target: Tensor, judge: Judge
) -> Iterable[dict[str, object]]:
    measure = judge.against(target)
    start = one.model.start(len(target))
    watch = Stopwatch(one.model.device)
    estimates = one.method(target, start)
    found = [(0, 0.0, measure(start.image))]
    hidden = None if one.steps >= LONG else True
    numbers = range(1, one.steps + 1)
    for step in tqdm(numbers, unit="step", desc="this batch", leave=False, disable=hidden):
        watch.start()
        estimate = next(estimates)
        seconds = watch.stop() / len(names)
        if step in one.measured:
            found.append((step, seconds, measure(estimate.image)))
    # Image by image, so that an image whose last row is there has all of its rows.
    for index, name in enumerate(names):
        for step, seconds, values in found:
            row = {"method": one.name, "image": name, "step": step, "seconds": round(seconds, 7)}
            for key, column in values.items():
                value = column[index]
                row[key] = round(value, 7) if isinstance(value, float) else value
            yield row


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


def outcome(records: Path, name: str, measures: Iterable[str], targets: Targets) -> Outcome:
    """Collect what a method did on those of the targets that it is done with.

    Raises:
        ValueError: There are none.
    """
    mine = [row for row in read_jsonl(records) if row["method"] == name]
    steps = sorted({row["step"] for row in mine})
    done = {row["image"] for row in mine if row["step"] == steps[-1]}
    done &= set(targets.names)
    if not done:
        raise targets.none_usable()
    columns = {image: index for index, image in enumerate(sorted(done))}
    lines = {step: index for index, step in enumerate(steps)}
    shape = (len(steps), len(columns))
    arrays = {key: np.full(shape, np.nan) for key in ("seconds", *measures)}
    for row in mine:
        if row["image"] in columns:
            at = lines[row["step"]], columns[row["image"]]
            for key, values in arrays.items():
                values[at] = np.nan if row[key] is None else row[key]
    return Outcome(list(columns), np.array(steps), arrays.pop("seconds"), arrays)


def of_images(found: Outcome, images: list[str]) -> dict[str, np.ndarray]:
    """Return the values and the seconds (S, n) of some of a method's images."""
    where = {image: index for index, image in enumerate(found.images)}
    at = [where[image] for image in images]
    arrays = {**found.values, "seconds": found.seconds}
    return {name: values[:, at] for name, values in arrays.items()}


def measure_speed(entries: list[Entry], out: Path, batch_size: int) -> dict[str, Any]:
    """Time a step of every model's methods, one image at a time and in batches.

    Stages of methods are timed once for each model: their number of steps and learning rate do not
    change the time that a step takes.

    Args:
        entries: Whose stages.
        out: A folder that keeps what is found.
        batch_size: How large the batches are; pivotal tuning takes one image at a time.

    Returns:
        By model and stage: `batch_1` and so on, seconds an image and step; and `peak_memory` in
        bytes, while these steps ran.
    """
    kept = claim_folder(out, {"steps": SPEED_STEPS, "batch_size": batch_size})
    known = {row["method"]: row for row in read_jsonl(kept)}
    found = {}
    for one in entries:
        for part, stage, steps in zip(one.parts, one.method.stages, one.method.steps, strict=True):
            name = f"{one.label} {part}"
            if name not in known:
                sizes = sorted({1, 1 if isinstance(stage, PivotalTuning) else batch_size})
                reset_peak_memory(one.model.device)
                row = {f"batch_{n}": _seconds(one.model, stage, steps, n) for n in sizes}
                known[name] = {"method": name, **row, "peak_memory": peak_memory(one.model.device)}
                append_jsonl(kept, known[name])
            found[name] = known[name]
    return found


def _seconds(model: ReStyle, stage: Method, steps: int, batch: int) -> float:
    """Seconds an image and step of a random batch, the best of three rounds after a warm-up."""
    height, width = model.domain.input_size
    target = torch.rand(batch, 3, height, width).to(model.device) * 2 - 1
    steps = min(SPEED_STEPS, steps)
    rounds = []
    for _ in range(4):
        estimates = stage(target, model.start(batch))
        first = 1 if steps > 1 else 0  # optimisation begins with a render more
        for _ in range(first):
            next(estimates)
        watch = Stopwatch(model.device)
        watch.start()
        for _ in range(steps - first):
            next(estimates)
        rounds.append(watch.stop() / (steps - first) / batch)
    return min(rounds[1:])
