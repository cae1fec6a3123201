"""Directions of a portrait generator: found by one feature network, checked by another one.

Samples of the generator are labelled by the labeller. A linear SVM tells the codes whose pictures
show most of an attribute from those that show least of it, in coordinates in which codes vary alike
in all directions. What such a direction changes besides is projected out where that helps, as the
labeller sees it on other samples. The judge, who took no part in this, then measures what each
direction does on samples that nobody has seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from restyle.checkpoints import weights_hash
from restyle.editing.directions import Direction, save_direction
from restyle.editing.editor import sample_w
from restyle.editing.finding import Whitening, boundary, conditional
from restyle.evaluation.attributes import NAMES, Reader
from restyle.evaluation.records import arrays_in_parts, claim, markdown
from restyle.evaluation.responses import Sweep, drift, sweep
from restyle.files import write_json
from restyle.generators.stylegan2 import StyleGAN2
from restyle.registry import load_features, load_generator

PART = 500
ENTANGLED = 0.2
"""An attribute is held still if it moves by more than this share of the one that is asked for."""

STRENGTHS = (-2.0, -1.0, 0.0, 1.0, 2.0)
KEPT_FROM = 0.5
"""A direction is kept if the judge sees at least so many deviations between strengths -2 and 2."""


@dataclass(frozen=True)
class DirectionSearch:
    """How directions are looked for.

    Attributes:
        generator: What `restyle.registry.load_generator` takes.
        labeller: The feature network that labels, a bundled name or a folder.
        judge: The one that judges, a bundled name or a folder.
        samples: Labelled samples.
        share: Of them, how many are taken from each end of an attribute.
        trials: Samples that the labeller chooses by between a direction's variants.
        checks: Samples that the judge measures.
        seed: Of the samples.
        licence: Of the directions.
        attributes: Those that directions are looked for, and that are held still.
    """

    generator: str
    labeller: str = "portraits-features"
    judge: str = "portraits-judge"
    samples: int = 20_000
    share: float = 0.25
    trials: int = 64
    checks: int = 256
    seed: int = 0
    licence: str = "MIT"
    attributes: tuple[str, ...] = NAMES

    def __post_init__(self):
        """Check the attributes."""
        unknown = sorted(set(self.attributes) - set(NAMES))
        if unknown or not self.attributes:
            raise ValueError(f"expected attributes of {', '.join(NAMES)}, found {unknown}")


def find_directions(config: DirectionSearch, out: Path) -> list[dict[str, Any]]:
    """Find a direction for every attribute that one can be found for.

    Args:
        config: How.
        out: Gets NAME.safetensors for every direction that the judge sees at work, `report.json`
            about all of them, and in `samples` what is needed to go on after an interruption.

    Returns:
        A record for each attribute: `kept`, and what the judge measured.

    Raises:
        ValueError: There is no such generator, or `out` holds another search.
        CheckpointError: Weights cannot be used.
        ImportError: scikit-learn is missing.
    """
    generator = load_generator(config.generator)
    labeller, judge = (Reader(load_features(name)) for name in (config.labeller, config.judge))
    digest = weights_hash(generator.state_dict())
    hashes = [weights_hash(reader.network.state_dict()) for reader in (labeller, judge)]
    claim(out / "samples", {**vars(config), "generator_sha256": digest, "networks": hashes})
    w, labels = labelled_samples(generator, labeller, out / "samples", config)
    spread = sample_w(generator)
    white = Whitening(w)
    normals = find_boundaries(white(w), labels, config)
    effects = linear_model(white(w), labels)
    trial_w = sample_w(generator, config.trials, config.seed + 1)
    check_w = sample_w(generator, config.checks, config.seed + 2)
    records = []
    for name in tqdm(normals, unit="direction", disable=None):
        variants = [
            Direction(
                name,
                torch.from_numpy(white.direction(normal)),
                generator_sha256=digest,
                licence=config.licence,
                about=f"linear SVM on {len(w):,} samples labelled by {config.labeller}{how}",
            ).calibrated(spread)
            for normal, how in candidates(name, normals, effects)
        ]
        respond = partial(response, generator, own=NAMES.index(name))
        best = min(variants, key=lambda one: selection(respond(trial_w, one, reader=labeller)))
        record = described(best, respond(check_w, best, reader=judge))
        if record["kept"]:
            save_direction(best, out / f"{name}.safetensors")
        records.append(record)
    missing = [name for name in config.attributes if name not in normals]
    records += [{"name": name, "kept": False, "about": "never differs"} for name in missing]
    write_json(out / "report.json", {"generator_sha256": digest, "directions": records})
    return records


def labelled_samples(
    generator: StyleGAN2, labeller: Reader, folder: Path, config: DirectionSearch
) -> tuple[np.ndarray, np.ndarray]:
    """Random codes (N, D), and the labels (N, A) of their pictures, NaN where nothing is shown."""
    w = sample_w(generator, config.samples, config.seed)
    progress = tqdm(total=config.samples, unit="image", desc="labels", disable=None)

    @torch.no_grad()
    def part(indices: range) -> dict[str, np.ndarray]:
        found = []
        for batch in w[indices.start : indices.stop].split(50):
            images = generator.synthesis(generator.broadcast(batch))
            found.append(labeller.labels(images))
        progress.update(len(indices))
        return {"labels": np.concatenate(found)}

    with progress:
        return w.numpy(), arrays_in_parts(folder, config.samples, PART, part)["labels"]


def find_boundaries(
    w: np.ndarray, labels: np.ndarray, config: DirectionSearch
) -> dict[str, np.ndarray]:
    """The unit normal (D,) of every attribute that differs among the samples, by name."""
    normals = {}
    for name in config.attributes:
        scores = labels[:, NAMES.index(name)]
        known = np.isfinite(scores)
        if int(config.share * known.sum()) and np.ptp(scores[known]) > 0:
            normals[name] = boundary(w[known], scores[known], config.share)
    return normals


def candidates(
    name: str, normals: dict[str, np.ndarray], effects: np.ndarray
) -> list[tuple[np.ndarray, str]]:
    """Variants of a direction: as found, without what it is entangled with, without all others.

    Args:
        name: The attribute.
        normals: All directions as they were found, by name.
        effects: What a linear model expects of codes, as `linear_model` gives it.

    Returns:
        Unit vectors (D,), and how each was made.
    """
    found = [(normals[name], "")]
    moved = dict(zip(NAMES, np.abs(effects @ normals[name]), strict=True))
    others = [other for other in normals if other != name]
    entangled = [other for other in others if moved[other] > ENTANGLED * moved[name]]
    for held in (entangled, others):
        if not held or len(held) >= len(normals[name]):
            continue
        try:
            vector = conditional(normals[name], [normals[other] for other in held])
        except ValueError:  # nothing would be left of it
            continue
        found.append((vector, f", conditional on {', '.join(held)}"))
    return found


def linear_model(w: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How labels depend on codes, by least squares: (A, D), in deviations of each label."""
    centred = w - w.mean(axis=0)
    model = np.zeros((labels.shape[1], w.shape[1]))
    for column, known in enumerate(np.isfinite(labels).T):
        scores = labels[known, column]
        if len(scores) > w.shape[1] and scores.std() > 0:
            target = (scores - scores.mean()) / scores.std()
            model[column] = np.linalg.lstsq(centred[known], target, rcond=None)[0]
    return model


def response(
    generator: StyleGAN2,
    w: torch.Tensor,
    direction: Direction,
    reader: Reader,
    own: int,
) -> Sweep:
    """What a direction does to samples (N, D)."""
    ws = generator.broadcast(w)
    return sweep(generator.synthesis, ws, direction, STRENGTHS, reader, own)


def matched_drift(found: Sweep) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What else has moved once the asked attribute has changed by one deviation.

    Both signs are asked for, and each picture counts as often as it gets there.

    Returns:
        The mean movement of each attribute (A,) in deviations, NaN for the asked one; the identity
        (M,) that is left; and which of the 2 N edits got there (2 N,).
    """
    moved, identity, reached = [], [], []
    count = found.readings.shape[1]
    for sign in (1.0, -1.0):
        strengths = found.strength_for(np.full(count, sign))
        readings, kept = found.at(strengths)
        there = ~np.isnan(strengths)
        reached.append(there)
        moved.append(drift(readings, found.before, found.own)[there])
        identity.append(kept[there])
    stacked = np.concatenate(moved)
    if not len(stacked):
        return np.full(found.readings.shape[-1], np.nan), np.zeros(0), np.concatenate(reached)
    return stacked.mean(axis=0), np.concatenate(identity), np.concatenate(reached)


def selection(found: Sweep) -> float:
    """What the labeller chooses by: the mean drift at matched change; least is best."""
    moved, _, reached = matched_drift(found)
    if not reached.any() or found.slope().mean() <= 0:
        return float("inf")
    # A direction that seldom gets there has its drift measured on the easy pictures only.
    return float(np.nanmean(moved)) / float(reached.mean())


def described(direction: Direction, found: Sweep) -> dict[str, Any]:
    """What the judge says about a direction."""
    curve = found.change.mean(axis=1)
    moved, identity, reached = matched_drift(found)
    rises = bool((np.diff(curve) > 0).all())
    record: dict[str, Any] = {
        "name": direction.name,
        "kept": rises and float(curve[-1] - curve[0]) >= KEPT_FROM,
        "about": direction.about,
        "change": [float(value) for value in curve],
        "rises": rises,
        "slope": float(found.slope().mean()),
        "reached": float(reached.mean()),
    }
    if reached.any():
        order = np.argsort(-np.nan_to_num(moved))[:3]
        record |= {
            "drift": float(np.nanmean(moved)),
            "most_entangled": {NAMES[i]: float(moved[i]) for i in order},
            "identity": float(identity.mean()),
        }
    return record


def describe(records: list[dict[str, Any]]) -> str:
    """The report as a table, the cleanest directions first."""
    rows = []
    for r in sorted(records, key=lambda r: (not r["kept"], r.get("drift", 9.0))):
        most = r.get("most_entangled", {})
        rows.append(
            [
                r["name"],
                "yes" if r["kept"] else "no",
                f"{r['slope']:+.2f}" if "slope" in r else "",
                f"{r['reached']:.0%}" if "reached" in r else "",
                f"{r['drift']:.2f}" if "drift" in r else "",
                ", ".join(f"{name} {value:.2f}" for name, value in most.items()),
                f"{r['identity']:.2f}" if "identity" in r else "",
            ]
        )
    header = ["direction", "kept", "change per strength", "reaches 1 deviation"]
    return markdown([*header, "drift of others", "most entangled with", "identity"], rows)
