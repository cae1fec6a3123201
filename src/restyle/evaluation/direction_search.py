"""Directions in labelled codes: the normal of an SVM, and its variants that change less besides."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from restyle.editing.directions import Direction
from restyle.editing.editor import SAMPLES
from restyle.editing.edits import GROUPS
from restyle.editing.search import Whitening, boundary, conditional, disentangled
from restyle.evaluation.attributes import NAMES, Reader
from restyle.evaluation.edit_sweep import Sweep, in_batches, matched_drift, sweep
from restyle.evaluation.settings import DirectionSearch
from restyle.generators.stylegan2 import StyleGAN2
from restyle.refine import Render

WEIGHTS = (1.0, 4.0, 16.0)
"""Of holding other attributes still, a variant of a direction for each."""

SHARE = 0.25  # of the samples, taken from each end of an attribute

NAMED = 1.0
"""For one deviation of its own attribute, any other one moves by less, or the name is wrong."""


def bench(
    render: Render, ws: Tensor, reader: Reader, strengths: tuple[float, ...], **how: Any
) -> Callable[[Direction], Sweep]:
    """Return what tries directions on pictures of codes (N, num_ws, D), read before they change."""
    unedited = in_batches(render, ws, reader)
    return lambda direction: sweep(render, ws, direction, strengths, reader, unedited, **how)


class Search:
    """Looks for directions in labelled codes.

    Attributes:
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
        """Draw codes (count, num_ws, D) that were not labelled."""
        return self.generator.broadcast(self.generator.sample_w(count, self.config.seed + stream))

    def best(self, name: str, trial: Callable[[Direction], Sweep]) -> Direction:
        """Return the variant of an attribute's direction that changes least besides."""
        variants = []
        for normal, how in candidates(name, self.normals, self.effects):
            vector = torch.from_numpy(self.white.direction(normal))
            one = Direction(name, vector, licence=self.config.licence, about=self.about + how)
            variants.append(one.calibrated(self._spread))
        found, score = _least(variants, trial)
        groups = layer_groups(self.generator.num_ws)
        narrower, narrow_score = _least([replace(found, layers=rows) for rows in groups], trial)
        return narrower if narrow_score < score else found


def _least(
    variants: Iterable[Direction], trial: Callable[[Direction], Sweep]
) -> tuple[Direction, tuple[bool, float]]:
    scored = [(one, selection(trial(one))) for one in variants]
    return min(scored, key=lambda pair: pair[1])


def layer_groups(num_ws: int) -> list[tuple[int, ...]]:
    """Return neighbouring groups of layers that are not all of the layers."""
    layers, ends = range(num_ws), GROUPS.values()
    runs = {tuple(layers[first[0] : last[1]]) for first in ends for last in ends}
    return sorted(run for run in runs if 0 < len(run) < num_ws)


def find_boundaries(w: np.ndarray, labels: np.ndarray, share: float) -> dict[str, np.ndarray]:
    """Find the unit normal (D,) of every attribute that differs among the samples, by name."""
    normals = {}
    for name, scores in zip(NAMES, labels.T, strict=True):
        known = np.isfinite(scores)
        if int(share * known.sum()) and np.ptp(scores[known]) > 0:
            normals[name] = boundary(w[known], scores[known], share)
    return normals


def candidates(
    name: str, normals: dict[str, np.ndarray], effects: np.ndarray
) -> list[tuple[np.ndarray, str]]:
    """Return variants of a direction: as found, and with others held still more and more.

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
    with suppress(ValueError):  # nothing would be left of it
        if len(others) < len(normal):
            vector = conditional(normal, [normals[other] for other in others])
            found.append((vector, ", conditional on all others"))
    return found


def linear_model(w: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Fit how labels depend on codes, by least squares: (A, D), in deviations of each label."""
    centred = w - w.mean(axis=0)
    model = np.zeros((labels.shape[1], w.shape[1]))
    for column, known in enumerate(np.isfinite(labels).T):
        scores = labels[known, column]
        if len(scores) > w.shape[1] and scores.std() > 0:
            target = (scores - scores.mean()) / scores.std()
            model[column] = np.linalg.lstsq(centred[known], target, rcond=None)[0]
    return model


def selection(found: Sweep) -> tuple[bool, float]:
    """Return what the labeller chooses by; least is best.

    Returns:
        Whether another attribute moves as far as the asked one; and the root mean square drift of
        others at matched change: one that moves much is worse than many that move a little.
    """
    moved, _, reached = matched_drift(found)
    if not reached.any() or found.slope().mean() <= 0:
        return True, float("inf")
    # A direction that seldom gets there has its drift measured on the easy pictures only.
    score = float(np.sqrt(np.nanmean(moved**2))) / float(reached.mean())
    return bool(np.nanmax(moved) >= NAMED), score
