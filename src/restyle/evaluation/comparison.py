"""Models and methods run on the same images: quality, differences, cost."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from restyle.evaluation.data import STYLES, Targets
from restyle.evaluation.measures import DRAWN, MEASURES, NO_FACE, Judge, PhotoNetworks
from restyle.evaluation.photographs import photo_networks
from restyle.evaluation.reaching import time_to_reach
from restyle.evaluation.records import claim_folder
from restyle.evaluation.runner import (
    Entry,
    Outcome,
    log_steps,
    measure_speed,
    of_images,
    outcome,
    run,
)
from restyle.evaluation.settings import Comparison, determining
from restyle.hub.registry import load, load_features, loss_networks
from restyle.inversion.methods import NONE, build, networks_of, objective_for
from restyle.io.checkpoints import weights_hash
from restyle.io.files import read_jsonl
from restyle.losses.weighted import WeightedLosses
from restyle.metrics.intervals import bootstrap_ratio, mean_record
from restyle.model import ReStyle
from restyle.runtime.timing import describe_machine


@dataclass(frozen=True)
class Compared:
    """The findings of a comparison.

    Attributes:
        config: What was compared.
        results: All of it as JSON has it.
        outcomes: The values of every entry by name.
        entries: Those who took part, in their order.
    """

    config: Comparison
    results: dict[str, Any]
    outcomes: dict[str, Outcome]
    entries: list[Entry]

    @property
    def longest_encoders(self) -> list[Entry]:
        """Each model's encoder run with the most steps, which has all the others' steps."""
        encoders = sorted((one for one in self.entries if one.encodes), key=lambda one: one.steps)
        longest = {one.label: one for one in encoders}
        return [one for one in self.entries if longest.get(one.label) is one]


def run_comparison(config: Comparison, photo: PhotoNetworks | None = None) -> Compared:
    """Run every method of every model on the same images; what is done is not done again.

    Args:
        config: What is compared; its folder keeps a line for each method, image and step
            (`rows.jsonl`).
        photo: Networks that photographs are judged by; those that `config` names if None.
    """
    if photo is None:
        photo = photo_networks(config.lpips, config.identity_network, config.mtcnn)
    drawn = config.data in STYLES
    usual = DRAWN if drawn else DRAWN[:3]  # photographs are nothing to a judge of portraits
    measures = (*(config.measures or usual), *photo.measures)
    features = config.features or ("portraits-features" if drawn else NONE)
    models = {name: load(name, config.device, config.dtype) for name in config.model}
    first = next(iter(models.values()))
    place = first.device
    photo.to(place)
    for model in models.values():
        photo.check_size(model.domain.input_size)
    judged = {"perceptual", "identity"} & set(measures)
    network = load_features(config.judge).to(place) if judged else None
    minimised = (*config.methods, *["ws"] * ("objective" in measures))  # it has all of its terms
    objective = objective_for(minimised, loss_networks(features), place, first.dtype)
    entries = line_up(models, config.methods, objective)
    # More of these may join later; what is there already must stay comparable.
    free = ("model", "methods", "images", "optimised", "identity_network", "mtcnn")
    settings = {
        **determining(config, *free),
        "dtype": str(first.dtype).removeprefix("torch."),  # of "auto" what it came to
        "measures": measures,
        "features": features,
        "judge_sha256": network and weights_hash(network.state_dict()),
        "batch_size": config.batch_size,
        **photo.hashes(),
    }
    records = claim_folder(config.out, settings)
    for one in entries:
        claim_folder(one.folder(config.out), {"sha256": one.weights_hash()})
    judge = Judge(network, measures, photo, objective)
    left_out: dict[str, str] = {}
    outcomes = {}
    for one in entries:
        targets = targets_of(one, config)
        run(one, targets, judge, records, config.batch_size)
        left_out |= targets.left_out
        outcomes[one.name] = outcome(records, one.name, measures, targets)
    results = {
        **settings,
        "models": list(config.model),
        "images": config.images,
        "machine": describe_machine(place),
        "left_out": left_out,
        "speed": measure_speed(entries, config.out / "speed", config.batch_size),
        "methods": {name: summary(found) for name, found in outcomes.items()},
        "against_the_first": against_the_first(outcomes),
        "beside_optimisation": beside_optimisation(entries, outcomes),
        "reached": time_to_reach(entries, outcomes, measures),
        "no_face": without_face(outcomes, records),
    }
    return Compared(config, results, outcomes, entries)


def line_up(
    models: dict[str, ReStyle], methods: Sequence[str], objective: WeightedLosses
) -> list[Entry]:
    """Pair every model with every method, each pair once.

    Raises:
        ValueError: There is no such method.
    """
    names = [model.name for model in models.values()]
    found: dict[object, Entry] = {}
    for given, model in models.items():
        name = model.name if names.count(model.name) == 1 else given
        for method in methods:
            built = build(_possible(method, model), networks_of(model, objective))
            one = Entry(name, model, built)
            key = one.name if one.asks_the_encoder else (one.weights_hash(), one.method.name)
            found.setdefault(key, one)
    return list(found.values())


def targets_of(one: Entry, config: Comparison) -> Targets:
    """List the images that a method inverts."""
    targets = Targets(config.data, one.model.domain.input_size, config.images)
    if not one.encodes:
        targets.names = targets.names[: config.optimised]
    return targets


def summary(found: Outcome) -> list[dict[str, Any]]:
    """Return images, time, and each measure's mean and 95 % interval at each measured step.

    A measure is None if no image has it. From the second step on also `improved`, the share of
    images with a lower squared error than before; with the similarity also `without_face`, the
    number of images that have none.
    """
    rows = []
    for index, step in enumerate(found.steps):
        seconds = float(found.seconds[index].mean())
        row = {"step": int(step), "images": len(found.images), "seconds": seconds}
        row |= {name: mean_record(values[index]) for name, values in found.values.items()}
        if index and "mse" in found.values:
            before, now = found.values["mse"][index - 1 : index + 1]
            row["improved"] = mean_record(now < before)
        if "similarity" in found.values:
            row["without_face"] = int(np.isnan(found.values["similarity"][index]).sum())
        rows.append(row)
    return rows


def against_the_first(outcomes: dict[str, Outcome]) -> list[dict[str, Any]]:
    """Subtract the first method's last step from every other method's, image by image.

    Returns:
        For each: `method`, `images` in both, and the mean difference of each measure with its
        interval; `better`, the share of images that are better by the first measure.
    """
    (_, first), *others = outcomes.items()
    rows = []
    for name, other in others:
        shared = sorted(set(first.images) & set(other.images))
        if not shared:
            continue
        ours, theirs = of_images(first, shared), of_images(other, shared)
        row: dict[str, Any] = {"method": name, "images": len(shared)}
        for measure in other.values:
            difference = theirs[measure][-1] - ours[measure][-1]
            row[measure] = mean_record(difference)
            sign = 1 if MEASURES[measure].higher_is_better else -1
            row.setdefault("better", float((sign * difference > 0).mean()))
        rows.append(row)
    return rows


def beside_optimisation(entries: list[Entry], outcomes: dict[str, Outcome]) -> list[dict[str, Any]]:
    """Compare what the methods gain with what the best W+ optimisation does, and in which time.

    The gain is the squared error of the average image minus that of the result.

    Returns:
        Nothing without such an optimisation. Else for every method, and of encoders for some steps
        too: `method`, `step`, `images` that the optimisation had as well, `mse`, `share` of its
        gain (a ratio of means with its interval; None if it gained nothing), `seconds` an image,
        and `times_faster`; `best` says which one the optimisation is.
    """
    best = _best_optimisation(entries, outcomes)
    rows: list[dict[str, Any]] = []
    told = set()  # restyle:10 has the steps of restyle:5 too
    for one in entries if best else ():
        found = outcomes[one.name]
        shared = sorted(set(found.images) & set(outcomes[best].images))
        if not shared:
            continue
        mine, other = of_images(found, shared), of_images(outcomes[best], shared)
        gained = other["mse"][0] - other["mse"][-1]
        for step in log_steps(one.steps) if one.encodes else [one.steps]:
            if one.encodes and (one.label, step) in told:
                continue
            told.add((one.label, step))
            at = found.steps.tolist().index(step)
            gain, seconds = other["mse"][0] - mine["mse"][at], mine["seconds"][at].mean()
            rows.append(
                {
                    "method": one.name,
                    "step": step,
                    "images": len(shared),
                    "mse": mean_record(mine["mse"][at]),
                    "share": bootstrap_ratio(gain, gained)._asdict() if gained.mean() > 0 else None,
                    "seconds": float(seconds),
                    "times_faster": float(other["seconds"][-1].mean() / seconds),
                    "best": one.name == best,
                }
            )
    return rows


def _best_optimisation(entries: list[Entry], outcomes: dict[str, Outcome]) -> str:
    """Return the name of the W+ optimisation of the lowest squared error, if there is one."""
    found = {one.name: outcomes[one.name] for one in entries if one.parts == ["ws"]}
    if not found or not all("mse" in other.values for other in found.values()):
        return ""
    shared = sorted(set.intersection(*(set(other.images) for other in found.values())))
    return min(found, key=lambda name: of_images(found[name], shared)["mse"][-1].mean())


def without_face(outcomes: dict[str, Outcome], records: Path) -> list[dict[str, str]]:
    """List the images without an identity similarity at the last step.

    Returns:
        `method`, `image`, and `in`: target, reconstruction or both, where no face was found.
    """
    last = {name: (found.steps[-1], set(found.images)) for name, found in outcomes.items()}
    found = []
    for row in read_jsonl(records):
        step, images = last.get(row["method"], (None, ()))
        if row.get(NO_FACE) and row["step"] == step and row["image"] in images:
            found.append({"method": row["method"], "image": row["image"], "in": row[NO_FACE]})
    return found


def _possible(method: str, model: ReStyle) -> str:
    """Return a method as a model can carry it out: a single-shot encoder takes one step."""
    return re.sub(r"restyle:[^+]*", "restyle", method) if model.single_shot else method
