"""Directions of a portrait generator: found by one feature network, checked by another one.

Samples of the generator are labelled by the labeller. A linear SVM tells the codes whose pictures
show most of an attribute from those that show least of it, in coordinates in which codes vary alike
in all directions. What such a direction changes besides is held still where that helps, and so are
the layers that it does not need, as the labeller sees it on other samples. The judge, who took no
part in this, then measures what each direction does on samples that nobody has seen.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from restyle.editing.directions import SUFFIX, Direction, save_direction
from restyle.editing.editor import SAMPLES
from restyle.editing.edits import GROUPS
from restyle.editing.search import Whitening, boundary, conditional, disentangled
from restyle.evaluation.attributes import ACCESSORIES, NAMES, Reader
from restyle.evaluation.edit_sweep import (
    CLEAN,
    Sweep,
    flips,
    in_batches,
    matched_drift,
    rises,
    sweep,
)
from restyle.evaluation.records import ROWS, SETTINGS, Records, arrays_in_parts
from restyle.evaluation.report import Report, Section
from restyle.evaluation.settings import DirectionSearch, determining
from restyle.generators.stylegan2 import StyleGAN2
from restyle.hub.registry import load_features, load_generator
from restyle.io.checkpoints import weights_hash
from restyle.io.claims import read_settings
from restyle.io.files import read_jsonl, write_json
from restyle.io.tables import Column, Table
from restyle.refine import Render
from restyle.runtime.devices import resolve_device, resolve_dtype

PART = 500
WEIGHTS = (1.0, 4.0, 16.0)
"""How strongly a direction's variants hold other attributes still."""

TRIAL_STRENGTHS = (-4.0, -2.0, 0.0, 2.0, 4.0)
STRENGTHS = (-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0)
SHARE = 0.25  # of the samples, taken from each end of an attribute
KEPT_FROM = 0.5
"""A direction is kept if the judge sees at least N deviations between strengths -2 and 2."""

NAMED = 1.0
"""And if, for one deviation of its own attribute, no other one moves by as much."""

REPORT, UNFINISHED = "report.json", "unfinished"


def find_directions(config: DirectionSearch) -> Report:
    """Find a direction for every attribute that one can be found for.

    The folder gets NAME.safetensors for every direction that the judge sees at work, `report.json`
    about all of them, and nothing else; until the search is done, a folder `unfinished` keeps what
    is needed to go on after an interruption.

    Raises:
        ValueError: There is no such generator, device or attribute, or the folder holds another
            search.
        CheckpointError: Weights cannot be used.
        ImportError: scikit-learn is missing.
    """
    return report_on(find_all(config))


def find_all(config: DirectionSearch) -> list[dict[str, Any]]:
    """Return a record for each attribute: `kept`, and what the judge measured."""
    config = replace(config, attributes=config.attributes or NAMES)
    if unknown := sorted(set(config.attributes) - set(NAMES)):
        raise ValueError(f"expected attributes of {', '.join(NAMES)}, got {unknown}")
    out, place = config.out, resolve_device(config.device)
    generator = load_generator(config.generator)
    networks = [load_features(name) for name in (config.labeller, config.judge)]
    hashes = [weights_hash(network.state_dict()) for network in (generator, *networks)]
    settings = determining(config, "overwrite")
    settings |= {"generator_sha256": hashes[0], "networks": hashes[1:]}
    settings = json.loads(json.dumps(settings))
    if (records := earlier(out, settings, config.overwrite)) is not None:
        return records
    work = Records(out / UNFINISHED, settings)
    generator.to(place).to(memory_format=torch.channels_last)  # pyright: ignore - no overload
    labeller, judge = (Reader(network.to(place)) for network in networks)
    fast = renderer(generator, config.dtype)
    search = Search(config, generator, *labelled_samples(generator, fast, labeller, config, work))
    bench = Bench(fast, search.codes(config.trials, 1), labeller, TRIAL_STRENGTHS)
    check = Bench(renderer(generator), search.codes(config.checks, 2), judge, STRENGTHS)
    done = {record["name"] for record in work.rows}
    there = [name for name in config.attributes if name in search.normals]
    for name in tqdm([name for name in there if name not in done], unit="direction", disable=None):
        found = replace(search.best(name, bench), generator_sha256=hashes[0])
        record = judgement(found, check(found))
        if record["kept"]:
            save_direction(found, out / f"{name}{SUFFIX}")
        work.add([record])
    missing = [name for name in config.attributes if name not in there]
    records = [
        *work.rows,
        *({"name": name, "kept": False, "about": "never differs"} for name in missing),
    ]
    write_json(out / REPORT, {"settings": settings, "directions": records})
    shutil.rmtree(out / UNFINISHED)
    return records


def earlier(out: Path, settings: dict[str, Any], overwrite: bool) -> list[dict[str, Any]] | None:
    """What the same search has found already, or None; make room for a new one if asked to.

    Raises:
        ValueError: The folder holds another search, which is not to be overwritten.
    """
    report = read_settings(out / REPORT, "directions") or None
    begun = read_settings(out / UNFINISHED / SETTINGS, "directions") or None
    if not overwrite:
        if report and report.get("settings") == settings:
            return report["directions"]
        if report:
            raise ValueError(
                f"{out}: expected a folder for a new search, got the directions of another one; "
                "choose another folder, or --overwrite them"
            )
        return None
    stale = report["directions"] if report else []
    if begun and begun != settings:
        stale += read_jsonl(out / UNFINISHED / ROWS)
        shutil.rmtree(out / UNFINISHED)
    for record in stale:
        (out / f"{record['name']}{SUFFIX}").unlink(missing_ok=True)
    (out / REPORT).unlink(missing_ok=True)
    return None


def renderer(generator: StyleGAN2, dtype: str = "float32") -> Render:
    """What renders a generator's codes in some precision; the images are float32."""
    kind, precision = generator.w_avg.device.type, resolve_dtype(dtype)

    @torch.no_grad()
    def render(ws: Tensor) -> Tensor:
        with torch.autocast(kind, precision, enabled=precision != torch.float32):
            return generator.synthesis(ws).float()

    return render


def labelled_samples(
    generator: StyleGAN2, render: Render, labeller: Reader, config: DirectionSearch, work: Records
) -> tuple[np.ndarray, np.ndarray]:
    """Random codes (N, D), and the labels (N, A) of their pictures, NaN where nothing is shown."""
    w = generator.sample_w(config.samples, config.seed)
    progress = tqdm(total=config.samples, unit="image", desc="labels", disable=None)

    def part(indices: range) -> dict[str, np.ndarray]:
        batches = w[indices.start : indices.stop].split(50)
        found = [labeller.labels(render(generator.broadcast(batch))) for batch in batches]
        progress.update(len(indices))
        return {"labels": np.concatenate(found)}

    with progress:
        arrays = arrays_in_parts(work.folder / "labels", config.samples, PART, part)
    return w.cpu().numpy(), arrays["labels"]


class Bench:
    """Samples that directions are tried on, and who looks at them."""

    def __init__(self, render: Render, ws: Tensor, reader: Reader, strengths: tuple[float, ...]):
        """Take codes (N, num_ws, D), and read their pictures before they are edited."""
        self.render, self.ws, self.reader, self.strengths = render, ws, reader, strengths
        self.unedited = in_batches(render, ws, reader)

    def __call__(self, direction: Direction) -> Sweep:
        """What a direction does to the samples."""
        own = NAMES.index(direction.name)
        rest = (direction, self.strengths, self.reader, own, self.unedited)
        return sweep(self.render, self.ws, *rest)


class Search:
    """Looks for directions in labelled codes.

    Attributes:
        config: How.
        normals: The unit normal (D,) of every attribute that differs, in whitened coordinates.
        effects: What a linear model expects of such coordinates, as `linear_model` gives it.
    """

    def __init__(
        self, config: DirectionSearch, generator: StyleGAN2, w: np.ndarray, labels: np.ndarray
    ):
        """Take codes (N, D) of a generator, and labels (N, A)."""
        self.config, self.generator = config, generator
        self.white = Whitening(w)
        self.normals = find_boundaries(self.white(w), labels, SHARE)
        self.effects = linear_model(self.white(w), labels)
        self.about = f"linear SVM on {len(w):,} samples labelled by {config.labeller}"
        self._spread = generator.sample_w(SAMPLES)

    def codes(self, count: int, stream: int) -> Tensor:
        """Codes (count, num_ws, D) that were not labelled."""
        w = self.generator.sample_w(count, self.config.seed + stream)
        return self.generator.broadcast(w)

    def best(self, name: str, bench: Bench) -> Direction:
        """The variant of an attribute's direction that changes least besides."""
        variants = [
            Direction(
                name,
                torch.from_numpy(self.white.direction(normal)),
                licence=self.config.licence,
                about=self.about + how,
            ).calibrated(self._spread)
            for normal, how in candidates(name, self.normals, self.effects)
        ]
        found, score = _least(variants, bench)
        groups = layer_groups(self.generator.num_ws)
        narrower, narrow_score = _least([replace(found, layers=rows) for rows in groups], bench)
        return narrower if narrow_score < score else found


def _least(
    variants: Iterable[Direction], bench: Callable[[Direction], Sweep]
) -> tuple[Direction, tuple[bool, float]]:
    scored = [(one, selection(bench(one))) for one in variants]
    return min(scored, key=lambda pair: pair[1])


def layer_groups(num_ws: int) -> list[tuple[int, ...]]:
    """Neighbouring groups of layers that are not all of the layers."""
    groups = [list(range(num_ws))[slice(*ends)] for ends in GROUPS.values()]
    runs = [sum(groups[i:j], []) for i in range(len(groups)) for j in range(i + 1, len(groups) + 1)]
    return sorted({tuple(run) for run in runs if 0 < len(run) < num_ws})


def find_boundaries(w: np.ndarray, labels: np.ndarray, share: float) -> dict[str, np.ndarray]:
    """The unit normal (D,) of every attribute that differs among the samples, by name."""
    normals = {}
    for name, scores in zip(NAMES, labels.T, strict=True):
        known = np.isfinite(scores)
        if int(share * known.sum()) and np.ptp(scores[known]) > 0:
            normals[name] = boundary(w[known], scores[known], share)
    return normals


def candidates(
    name: str, normals: dict[str, np.ndarray], effects: np.ndarray
) -> list[tuple[np.ndarray, str]]:
    """Variants of a direction: as found, and with the others held still more and more.

    Args:
        name: The attribute.
        normals: All directions as they were found, by name.
        effects: What a linear model expects of codes, as `linear_model` gives it.

    Returns:
        Unit vectors (D,), and how each was made.
    """
    normal, others = normals[name], [other for other in normals if other != name]
    found = [(normal, "")]
    if not others:
        return found
    rows = effects[[NAMES.index(other) for other in others]]
    for weight in WEIGHTS:
        how = f", others held still with weight {weight:g}"
        found.append((disentangled(normal, rows, weight), how))
    if len(others) < len(normal):
        try:
            vector = conditional(normal, [normals[other] for other in others])
        except ValueError:  # nothing would be left of it
            return found
        found.append((vector, ", conditional on all others"))
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


def selection(found: Sweep) -> tuple[bool, float]:
    """What the labeller chooses by; least is best.

    Returns:
        Whether another attribute moves as far as the asked one, with which no direction is kept;
        and the drift of others at matched change, its root mean square, as one attribute that moves
        much is worse than many that move a little.
    """
    moved, _, reached = matched_drift(found)
    if not reached.any() or found.slope().mean() <= 0:
        return True, float("inf")
    # A direction that seldom gets there has its drift measured on the easy pictures only.
    score = float(np.sqrt(np.nanmean(moved**2))) / float(reached.mean())
    return bool(np.nanmax(moved) >= NAMED), score


def judgement(direction: Direction, found: Sweep) -> dict[str, Any]:
    """What the judge says about a direction.

    It is kept if its attribute rises with strength from -2 to 2, by enough, and no other attribute
    moves as far as the one that it is named after.
    """
    if not found.visible.any():
        return {"name": direction.name, "kept": False, "about": "never shown"}
    near = np.abs(found.strengths) <= 2
    curve = found.change[:, found.visible].mean(axis=1)
    moved, identity, reached = matched_drift(found)
    worst = float(np.nanmax(moved)) if reached.any() else float("inf")
    steady, moved_by = bool(rises(curve[near])), float(curve[near][-1] - curve[near][0])
    flipped = flips(found, direction.name)
    record: dict[str, Any] = {
        "name": direction.name,
        "kept": steady and moved_by >= KEPT_FROM and worst < NAMED,
        "about": direction.about,
        "layers": direction.layers,
        "strengths": list(found.strengths),
        "change": [float(value) for value in curve],
        "rises": steady,
        "slope": float(found.slope()[found.visible].mean()),
        "reached": float(reached.mean()),
        "flips": float(flipped.mean()) if direction.name in ACCESSORIES else None,
    }
    if reached.any():
        order = np.argsort(-np.nan_to_num(moved))[:3]
        record |= {
            "drift": float(np.nanmean(moved)),
            "most_entangled": {NAMES[i]: float(moved[i]) for i in order},
            "identity": float(identity.mean()),
        }
    return record


def report_on(records: list[dict[str, Any]]) -> Report:
    """Return the report, the cleanest directions first."""
    columns = [
        "direction",
        "kept",
        "layers",
        Column("change per strength", "+.2f"),
        "rises over -2..2",
        Column("reaches 1 deviation", ".0%"),
        Column("drift of others", ".2f"),
        "most entangled with",
        Column("identity", ".2f"),
        Column("flips", ".0%"),
    ]
    yes = {True: "yes", False: "no", None: None}
    rows = []
    for r in sorted(records, key=lambda r: (not r["kept"], r.get("drift", 9.0))):
        layers, most = r.get("layers"), r.get("most_entangled", {})
        rows.append(
            [
                r["name"],
                yes[r["kept"]],
                f"{layers[0]}-{layers[-1]}" if layers else "all",
                r.get("slope"),
                yes[r.get("rises")],
                r.get("reached"),
                r.get("drift"),
                ", ".join(f"{name} {value:.2f}" for name, value in most.items()),
                r.get("identity"),
                r.get("flips"),
            ]
        )
    kept = [r for r in records if r["kept"]]
    clean = [r for r in kept if max(r["most_entangled"].values()) < CLEAN]
    said = (
        f"{len(kept)} of {len(records)} directions are kept; with {len(clean)} of these every "
        f"other attribute moves by less than {CLEAN} deviations, on average, for one of its own."
    )
    return Report("Directions", records, [Section(tables=[Table(columns, rows)], prose=[said])])
