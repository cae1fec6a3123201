"""Distances of dragged points from the truth: the renderer's portraits know where points belong."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from restyle.editing.directions import DirectionError
from restyle.editing.drag import mask_around
from restyle.evaluation.data import unseen_portraits
from restyle.evaluation.edited_portraits import STRENGTHS
from restyle.evaluation.records import arrays_in_parts, claim_folder
from restyle.evaluation.report import Report, Section, tabulate
from restyle.evaluation.settings import DragEvaluation, determining
from restyle.hub.registry import load, load_features
from restyle.io.checkpoints import weights_hash
from restyle.io.images import from_uint8, save_image, strip
from restyle.io.tables import Column
from restyle.losses.pixels import l2
from restyle.metrics.intervals import bootstrap_mean
from restyle.model import ReStyle
from restyle.portraits.attributes import SCHEMA, Attributes
from restyle.portraits.features import FeatureNetwork
from restyle.portraits.keypoints import COUNT, EYES, MOUTH, face_points
from restyle.refine import pool_to

SIDE = 128
"""Height and width that the least movement is said for."""
MOST = 8
"""Points that are dragged at once: those that the truth moves farthest."""
ROOM = 7 / 64
"""Reach of a change around the points of a mouth or of eyes, as a share of the picture."""
SAME_PERSON = 0.8
EXAMPLES = 3
_EDGE = 0.1  # of a range that true changes keep away from
_TOGETHER = 4  # images that are kept on disk at once


@dataclass(frozen=True)
class Kind:
    """A change of a portrait.

    Attributes:
        attributes: Those that are truly changed; the direction is that of the first one.
        points: Of `face_points`, those that may be dragged.
        masked: Whether only what is around the points may change.
    """

    attributes: tuple[str, ...]
    points: tuple[int, ...]
    masked: bool = True


_POINTS = range(COUNT)
KINDS = {
    "mouth": Kind(("mouth_open", "smile"), tuple(_POINTS[MOUTH])),
    "eyes": Kind(("gaze", "eye_opening"), (*_POINTS[EYES[0]][:5], *_POINTS[EYES[1]][:5])),
    "turn": Kind(("yaw",), tuple(_POINTS), masked=False),
}
FIGURES = (
    *("moved", "before", "after", "direction", "judge", "tracked"),
    *("identity", "direction_identity", "mse_before", "mse", "direction_mse", "steps", "seconds"),
)


def evaluate_drag(config: DragEvaluation) -> Report:
    """Drag points of inverted test portraits; what is done is not done again.

    Raises:
        ValueError: There is no such model, or the folder holds another evaluation.
    """
    model = load(config.model, config.device)
    judge = load_features(config.judge).to(model.device)
    hashes = [model.weights_hash(), weights_hash(judge.state_dict())]
    claim_folder(config.out, {**determining(config), "networks": hashes})
    part = partial(measure, model, judge, config)
    arrays = arrays_in_parts(config.out / "parts", config.images, _TOGETHER, part)
    return report_on(arrays, config).write(config.out)


def measure(
    model: ReStyle, judge: FeatureNetwork, config: DragEvaluation, indices: range
) -> dict[str, np.ndarray]:
    """Drag some test portraits in every way, and write the first few as strips.

    Returns:
        `FIGURES`, (N, kinds) each; NaN where the truth moves no point far enough. Distances are
        means over the points, in pixels of the model's picture.
    """
    portraits = unseen_portraits("portraits", model.domain.input_size)
    rows = []
    for index in indices:
        person = portraits[index].attributes
        target = from_uint8(portraits.images([index])).to(model.device)
        with torch.no_grad():
            ws = model.invert(target).ws
        one = Person(model, judge, config, person, target, ws)
        rows.append([one.drag(name, index) for name in KINDS])
    return {
        key: np.array([[row[key] for row in kinds] for kinds in rows], dtype=float)
        for key in FIGURES
    }


@dataclass(frozen=True)
class Person:
    """An inverted test portrait.

    Attributes:
        model: What inverted it.
        judge: Says where points are.
        config: What is asked for.
        attributes: Of the person.
        target: (1, 3, h, w), the portrait.
        ws: (1, num_ws, D), its codes.
    """

    model: ReStyle
    judge: FeatureNetwork
    config: DragEvaluation
    attributes: Attributes
    target: Tensor
    ws: Tensor

    def drag(self, name: str, index: int) -> dict[str, float]:
        """Change the person in one way, drag the points there, and measure `FIGURES`."""
        from restyle.portraits import render

        kind, side = KINDS[name], self.target.shape[-1]
        other = truly_changed(self.attributes, kind)
        chosen, handles, places = chosen_points(self.attributes, other, kind, self.config.least)
        if not len(chosen):
            return dict.fromkeys(FIGURES, float("nan"))
        truth = from_uint8(render(other, side)[None]).to(self.target)
        size = self.model.generator.config.size
        pull = [(torch.from_numpy(points) + 1) * (size / 2) - 0.5 for points in (handles, places)]
        mask = mask_around(torch.cat(pull), (size, size), ROOM) if kind.masked else None
        started = time.perf_counter()
        found = list(self.model.drag(self.ws, pull[0], pull[1], mask, steps=self.config.steps))
        seconds = (time.perf_counter() - started) / max(len(found) - 1, 1)
        shown = {
            "target": self.target,
            "reconstruction": pool_to(found[0].image, truth),
            "dragged": pool_to(found[-1].image, truth),
            "direction": self._by_direction(kind, chosen, places),
            "truth": truth,
        }
        if index < EXAMPLES:
            known = {label: x[0].cpu() for label, x in shown.items() if bool(x.isfinite().all())}
            sheet = strip(list(known.values()), list(known))
            save_image(sheet, self.config.out / f"examples/{index} {name}.png")
        _, before, after, direction, own = (
            self._distance(x, chosen, places) for x in shown.values()
        )
        _, _, *kept = (self._identity(shown["reconstruction"], x) for x in shown.values())
        _, *errors = (l2(x, truth).item() for x in shown.values())
        moved = float(np.linalg.norm(places - handles, axis=1).mean()) * side / 2
        return {
            "moved": moved,
            "before": before,
            "after": after,
            "direction": direction,
            "judge": own,
            "tracked": found[-1].distances.mean().item() * side / size,
            "identity": kept[0],
            "direction_identity": kept[1],
            "mse_before": errors[0],
            "mse": errors[1],
            "direction_mse": errors[2],
            "steps": len(found) - 1,
            "seconds": seconds,
        }

    @torch.no_grad()
    def _distance(self, image: Tensor, chosen: list[int], places: np.ndarray) -> float:
        """Return how far the judge sees the points from their places, in pixels."""
        points = self.judge.heads(image.clamp(-1, 1))["points"][0, chosen].cpu().numpy()
        return float(np.linalg.norm(points - places, axis=1).mean()) * image.shape[-1] / 2

    @torch.no_grad()
    def _identity(self, image: Tensor, other: Tensor) -> float:
        first, second = (self.judge.embed(x.clamp(-1, 1)) for x in (image, other))
        return (first * second).sum().item()

    @torch.no_grad()
    def _by_direction(self, kind: Kind, chosen: list[int], places: np.ndarray) -> Tensor:
        """Return the edit along the direction that comes nearest; NaN where there is none."""
        try:
            edits = [self.model.edit(self.ws, kind.attributes[0], s).image for s in STRENGTHS]
        except DirectionError:
            return torch.full_like(self.target, float("nan"))
        pooled = (pool_to(edit, self.target) for edit in edits)
        return min(pooled, key=lambda image: self._distance(image, chosen, places))


def truly_changed(person: Attributes, kind: Kind) -> Attributes:
    """Return the person with the attributes of a kind on the other side of their ranges."""
    changes = {}
    for name in kind.attributes:
        spec: Any = SCHEMA[name]
        middle, reach = (spec.low + spec.high) / 2, (0.5 - _EDGE) * (spec.high - spec.low)
        changes[name] = middle - reach if getattr(person, name) > middle else middle + reach
    return person.with_(**changes)


def chosen_points(
    person: Attributes, other: Attributes, kind: Kind, least: float
) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Choose the points that a true change moves far enough, the farthest first.

    Returns:
        Their numbers, and where they are before and after, (N, 2) each, x and y in [-1, 1].
    """
    before, after = face_points(person), face_points(other)
    moved = np.linalg.norm(after - before, axis=1) * SIDE / 2
    chosen = sorted((i for i in kind.points if moved[i] >= least), key=lambda i: -moved[i])[:MOST]
    return chosen, before[chosen], after[chosen]


def report_on(arrays: dict[str, np.ndarray], config: DragEvaluation) -> Report:
    """Return the report of what `measure` gave."""
    names = [*KINDS, "all"]
    results = {}
    for number, name in enumerate(names):
        chosen = {k: a[:, number] if name in KINDS else a.flatten() for k, a in arrays.items()}
        there = np.isfinite(chosen["before"])
        if there.any():
            results[name] = summary({key: array[there] for key, array in chosen.items()})
    distances = {
        "kind": "kind",
        "count": "drags",
        "moved": Column("truth moves", ".2f"),
        "before": Column("before", ".2f"),
        "after": Column("dragged", ".2f"),
        "left": Column("left of it", ".2f"),
        "direction": Column("direction", ".2f"),
        "judge": Column("judge's own error", ".2f"),
        "tracked": Column("as tracked", ".2f"),
        "steps": Column("steps", ".0f"),
        "milliseconds": Column("ms a step", ".0f"),
    }
    others = {
        "kind": "kind",
        "identity": Column("identity", ".3f"),
        "same": Column(f"above {SAME_PERSON:g}", ".0%"),
        "direction_identity": Column("direction", ".3f"),
        "mse_before": Column("MSE before", ".4f"),
        "mse": Column("dragged", ".4f"),
        "direction_mse": Column("direction", ".4f"),
    }
    rows = [{"kind": name, **figures} for name, figures in results.items()]
    sections = [
        Section("Distance of points to the truth, in pixels", [tabulate(distances, rows)]),
        Section("Person and picture", [tabulate(others, rows)]),
    ]
    pictures = sorted((config.out / "examples").glob("*.png"))
    if pictures:
        sections.append(Section("Examples", figures=[(path, path.stem) for path in pictures]))
    about = (
        f"{config.images} test portraits, at most {config.steps} steps; points that the truth moves"
        f" by {config.least:g} pixels or more at {SIDE} px, at most {MOST} of them at once."
    )
    return Report("Dragged points against the truth", results, sections, [about])


def summary(drags: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the figures of some drags, as the report keeps them."""
    means = {key: float(array.mean()) for key, array in drags.items()}
    unknown = {key: None for key, mean in means.items() if np.isnan(mean)}  # without a direction
    return {
        **means,
        **unknown,
        "count": len(drags["before"]),
        "before": bootstrap_mean(drags["before"])._asdict(),
        "after": bootstrap_mean(drags["after"])._asdict(),
        "left": means["after"] / means["before"],
        "same": float((drags["identity"] > SAME_PERSON).mean()),
        "milliseconds": 1000 * means["seconds"],
    }
