"""Models and methods side by side: how good each is, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from restyle.checkpoints import weights_hash
from restyle.evaluation.contest import Contestant, Outcome, contestant, outcome, run
from restyle.evaluation.data import STYLES, Targets
from restyle.evaluation.machine import Stopwatch, describe_machine, peak_memory
from restyle.evaluation.measures import DRAWN, MEASURES, NO_FACE, Judge, PhotoNetworks
from restyle.evaluation.records import Records, claim
from restyle.files import write_json
from restyle.inverting import NONE, objective_for
from restyle.losses.weighted import WeightedLosses
from restyle.metrics.intervals import bootstrap_mean
from restyle.model import ReStyle
from restyle.portraits.features import FeatureNetwork
from restyle.registry import load, load_features

SPEED_STEPS = 10
"""How many steps of a method are timed at each batch size, at most."""


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    Attributes:
        models: What `restyle.load` takes, each.
        methods: As `restyle.methods.table.build` takes them. Those without an encoder depend on the
            generator alone, and are run once for models that share it.
        data: "portraits", "toon" or a folder of images.
        images: The first so many of them; 512 portraits or all of a folder if None.
        judge: The feature network that judges, a bundled name or a folder.
        features: The one that optimisation minimises a distance of; "none" for squared error alone.
        measures: What is measured, of `restyle.evaluation.measures.MEASURES`.
    """

    models: tuple[str, ...] = ("portraits",)
    methods: tuple[str, ...] = ("restyle:10",)
    data: str = "portraits"
    images: int | None = None
    judge: str = "portraits-judge"
    features: str = "portraits-features"
    measures: tuple[str, ...] = DRAWN


@dataclass(frozen=True)
class Compared:
    """What a comparison found.

    Attributes:
        config: What was compared.
        results: All of it as JSON has it.
        outcomes: The values of every contestant by name.
        contestants: Those who took part, in their order.
        records: Where the rows are.
    """

    config: Comparison
    results: dict[str, Any]
    outcomes: dict[str, Outcome]
    contestants: list[Contestant]
    records: Records


def compare(
    config: Comparison,
    out: Path,
    device: str = "auto",
    batch_size: int = 16,
    photo: PhotoNetworks | None = None,
) -> Compared:
    """Run every method of every model on the same images; what is done is not done again.

    Args:
        config: What is compared.
        out: Keeps a line for each method, image and step (`rows.jsonl`), and `results.json`.
        device: Where to compute.
        batch_size: Images at once; always one at a time for pivotal tuning.
        photo: Networks that photographs are judged by; what they measure is measured as well.

    Raises:
        ValueError: There is no such model or method, or `out` holds another comparison, or the
            images are too small for LPIPS.
        ImageError: The folder holds no images.
    """
    photo = photo or PhotoNetworks()
    config = replace(config, measures=(*config.measures, *photo.measures))
    models = {name: load(name, device) for name in config.models}
    place = next(iter(models.values())).device
    photo.to(place)
    for model in models.values():
        photo.check_size(model.domain.input_size)
    network = _judge(config, place)
    objective = objective_for(config.methods, config.features, place)
    contestants = line_up(models, config.methods, objective)
    # More models and methods may join later; what is there already must stay comparable.
    settings = {
        **{key: value for key, value in vars(config).items() if key not in ("models", "methods")},
        "judge_sha256": network and weights_hash(network.state_dict()),
        "batch_size": batch_size,
        **photo.hashes(),
    }
    records = Records(out, settings)
    for one in contestants:
        label = one.name.removesuffix(one.method.name).strip()
        claim(out / "models" / label.replace("/", "_"), {"sha256": one.model.weights_hash()})
    judge = Judge(network, config.measures, photo)
    left_out: dict[str, str] = {}
    outcomes = {}
    for one in contestants:
        targets = Targets(config.data, one.model.domain.input_size, config.images)
        run(one, targets, judge, records, batch_size)
        left_out |= targets.left_out
        outcomes[one.name] = outcome(records, one.name, config.measures)
    results = {
        **settings,
        "models": list(config.models),
        "machine": describe_machine(place),
        "left_out": left_out,
        "speed": measure_speed(contestants, out, batch_size),
        "methods": {name: summary(found) for name, found in outcomes.items()},
        "against_the_first": against_the_first(outcomes),
        "no_face": without_face(contestants, records),
    }
    write_json(out / "results.json", results)
    return Compared(config, results, outcomes, contestants, records)


def line_up(
    models: dict[str, ReStyle], methods: Sequence[str], objective: WeightedLosses
) -> list[Contestant]:
    """Every model with every method, each once.

    Raises:
        ValueError: There is no such method.
    """
    names = [model.name for model in models.values()]
    found: dict[str, Contestant] = {}
    generators: set[tuple[str, str]] = set()
    for given, model in models.items():
        name = model.name if names.count(model.name) == 1 else given
        digest = weights_hash(model.generator.state_dict())
        for method in methods:
            one = contestant(name, model, _possible(method, model), objective)
            if "restyle" not in one.method.name:
                if (digest, one.method.name) in generators:
                    continue
                generators.add((digest, one.method.name))
            found.setdefault(one.name, one)
    return list(found.values())


def summary(found: Outcome) -> list[dict[str, Any]]:
    """Time, and the mean and the 95 % interval of each measure, at each measured step.

    A measure is None if no image has it. With the similarity also `without_face`: of how many
    images there is none.
    """
    faces = found.values.get("similarity")
    return [
        {
            "step": int(step),
            "seconds": float(found.seconds[index].mean()),
            **{name: _mean(values[index]) for name, values in found.values.items()},
            **({} if faces is None else {"without_face": int(np.isnan(faces[index]).sum())}),
        }
        for index, step in enumerate(found.steps)
    ]


def against_the_first(outcomes: dict[str, Outcome]) -> list[dict[str, Any]]:
    """Every other method's last step minus the first method's, image by image.

    Returns:
        For each: `method`, `images` in both, and the mean difference of each measure with its
        interval; `better`, the share of images with a lower squared error (or whatever measure
        comes first).
    """
    (_, first), *others = outcomes.items()
    rows = []
    for name, other in others:
        shared = sorted(set(first.images) & set(other.images))
        if not shared:
            continue
        at = [[found.images.index(image) for image in shared] for found in (first, other)]
        row: dict[str, Any] = {"method": name, "images": len(shared)}
        for measure, values in other.values.items():
            difference = values[-1][at[1]] - first.values[measure][-1][at[0]]
            row[measure] = _mean(difference)
            sign = 1 if MEASURES[measure].higher_is_better else -1
            row.setdefault("better", float((sign * difference > 0).mean()))
        rows.append(row)
    return rows


def _mean(values: np.ndarray) -> dict[str, float] | None:
    """The mean of the values that there are, with its interval."""
    there = values[~np.isnan(values)]
    return bootstrap_mean(there)._asdict() if len(there) else None


def without_face(contestants: list[Contestant], records: Records) -> list[dict[str, str]]:
    """The images without an identity similarity at the last step: `method`, `image`, `in`.

    `in` says where no face was found: target, reconstruction or both.
    """
    last = {one.name: one.steps for one in contestants}
    return [
        {"method": row["method"], "image": row["image"], "in": row[NO_FACE]}
        for row in records.rows
        if row.get(NO_FACE) and row["step"] == last.get(row["method"])
    ]


def measure_speed(contestants: list[Contestant], out: Path, batch_size: int) -> dict[str, Any]:
    """Seconds an image and step, one image at a time and in batches, after a warm-up."""
    kept = Records(out / "speed", {"steps": SPEED_STEPS, "batch_size": batch_size})
    found = {row["method"]: row for row in kept.rows}
    for one in contestants:
        if one.name in found:
            continue
        row: dict[str, Any] = {"method": one.name}
        for size in sorted({1, 1 if one.method.tuning else batch_size}):
            row[f"batch_{size}"] = _seconds(one, size)
        row["peak_memory"] = peak_memory(one.model.device)
        kept.add([row])
        found[one.name] = row
    return {one.name: found[one.name] for one in contestants}


def _seconds(one: Contestant, batch: int) -> float:
    """Seconds an image and step of a random batch, the best of three rounds after a warm-up."""
    height, width = one.model.domain.input_size
    target = torch.rand(batch, 3, height, width).to(one.model.device) * 2 - 1
    steps = min(SPEED_STEPS, one.steps)
    rounds = []
    for _ in range(4):
        estimates = one.method(target, one.model.start(batch))
        watch = Stopwatch(one.model.device)
        watch.start()
        for _ in range(steps):
            next(estimates)
        rounds.append(watch.stop() / steps / batch)
    return min(rounds[1:])


def _judge(config: Comparison, place: torch.device) -> FeatureNetwork | None:
    """The judge, where it is needed."""
    judged = {"perceptual", "identity"} & set(config.measures)
    return load_features(config.judge).to(place) if judged else None


def _possible(method: str, model: ReStyle) -> str:
    """A method as a model can carry it out: a single-shot encoder takes one step."""
    if not model.single_shot:
        return method
    parts = method.split("+")
    return "+".join("restyle" if part.partition(":")[0] == "restyle" else part for part in parts)


def default_measures(data: str) -> tuple[str, ...]:
    """Those of drawn portraits; for a folder's images those that need no network of portraits."""
    return DRAWN if data in STYLES else ("mse", "psnr", "ms_ssim")


def optimised_by(data: str) -> str:
    """The network of the optimisation's objective: the portraits' own, or "none" for others."""
    return "portraits-features" if data in STYLES else NONE
