"""Edits at several strengths, as a judge reads them: the change asked for, and all others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from restyle.editing.directions import Direction
from restyle.editing.edits import shift
from restyle.evaluation.attributes import ACCESSORIES, NAMES, Reader, Reading, deviation
from restyle.metrics.intervals import mean_known
from restyle.refine import Render

BATCH = 32
STILL_THE_SAME = 0.5
"""Identity similarity above which an accessory's change counts."""

FLAT = 0.02
"""Deviations that a curve may fall by and still rise: a probability that nears 0 wavers."""

CLEAN = 0.35
"""Of a deviation: what others may move by, on average, where an attribute changes by one."""


@dataclass(frozen=True)
class Sweep:
    """Readings of N pictures at S strengths of one edit.

    Attributes:
        strengths: (S,), rising, with 0 among them.
        readings: (S, N, A), in deviations.
        identity: (S, N), cosine of the identity embedding to that of the unedited picture.
        own: The column of the attribute that was asked for.
        shown: (S, N, A), whether a picture shows an attribute.
    """

    strengths: np.ndarray
    readings: np.ndarray
    identity: np.ndarray
    own: int
    shown: np.ndarray

    @property
    def before(self) -> np.ndarray:
        """(N, A): the readings of the unedited pictures."""
        return self.readings[self._middle]

    @property
    def visible(self) -> np.ndarray:
        """(N,): whether the unedited pictures show the asked attribute."""
        return self.shown[self._middle, :, self.own]

    @property
    def _middle(self) -> int:
        return int(np.flatnonzero(self.strengths == 0)[0])

    @property
    def change(self) -> np.ndarray:
        """(S, N): how the asked attribute differs from the unedited picture's."""
        return self.readings[..., self.own] - self.before[:, self.own]

    @property
    def near(self) -> np.ndarray:
        """(S,): the strengths from -2 to 2, which slopes and rises are taken over."""
        return np.abs(self.strengths) <= 2

    def slope(self) -> np.ndarray:
        """Fit the change (N,) of the asked attribute per unit strength."""
        x = self.strengths[self.near]
        return x @ self.change[self.near] / (x @ x)

    def rises(self) -> np.ndarray:
        """Tell for each picture (N,) whether the asked attribute never falls."""
        return rises(self.change[self.near])

    def strength_for(self, asked: np.ndarray) -> np.ndarray:
        """Find the smallest strengths (N,) that change the attribute as asked, NaN where none does.

        Between the strengths of the sweep the change is taken to be linear.

        Args:
            asked: (N,) changes in deviations, of either sign.
        """
        found, middle = np.full(len(asked), np.nan), self._middle
        for i, wanted in enumerate(asked):
            side = slice(middle, None) if wanted >= 0 else slice(middle, None, -1)
            strengths, change = self.strengths[side], np.sign(wanted) * self.change[side, i]
            reached = np.flatnonzero(change >= abs(wanted))
            if len(reached):
                ends = slice(max(0, reached[0] - 1), reached[0] + 1)
                found[i] = np.interp(abs(wanted), change[ends], strengths[ends])
        return found

    def at(self, strengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return readings (N, A) and identity (N,) at a strength for each picture.

        What a picture does not show, before the edit or after it, is NaN.

        Args:
            strengths: (N,); NaN gives NaN.
        """
        readings = np.full(self.readings.shape[1:], np.nan)
        identity = np.full(len(strengths), np.nan)
        for i in np.flatnonzero(~np.isnan(strengths)):
            strength = strengths[i]
            at = partial(np.interp, strength, self.strengths)
            identity[i] = at(self.identity[:, i])
            readings[i] = [at(column) for column in self.readings[:, i].T]
            nearest = np.abs(self.strengths - strength).argmin()
            readings[i, ~(self.shown[self._middle, i] & self.shown[nearest, i])] = np.nan
        return readings, identity


@torch.no_grad()
def sweep(
    render: Render,
    ws: Tensor,
    direction: Direction,
    strengths: Sequence[float],
    reader: Reader,
    unedited: Reading,
    *,
    move: Callable[[Tensor, Direction, float], Tensor] = shift,
) -> Sweep:
    """Edit pictures at several strengths and read what comes of it.

    Args:
        render: (B, num_ws, D) to (B, 3, H, W) in [-1, 1].
        ws: (N, num_ws, D) codes.
        direction: Along which they are edited; named after the attribute that it shall change.
        strengths: Rising, with 0 among them.
        reader: Reads the pictures.
        unedited: What it reads at strength 0.
        move: Edits the codes; what it returns is rendered.
    """

    def seen_at(strength: float) -> Reading:
        return in_batches(lambda w: render(move(w, direction, strength)), ws, reader)

    return sweep_of(seen_at, direction.name, strengths, unedited)


def sweep_of(
    seen_at: Callable[[float], Reading], name: str, strengths: Sequence[float], unedited: Reading
) -> Sweep:
    """Collect the readings of any edit at several strengths, as `sweep` does.

    Args:
        seen_at: What is read in the pictures, edited at a strength.
        name: The attribute that the edit shall change.
        strengths: Rising, with 0 among them.
        unedited: What is read at strength 0.
    """
    seen = [seen_at(strength) if strength else unedited for strength in strengths]
    identity = np.stack([(one.embeddings * unedited.embeddings).sum(axis=1) for one in seen])
    values, visible = (np.stack([one[i] for one in seen]) for i in (0, 2))
    own = NAMES.index(name)
    return Sweep(np.array(strengths, dtype=float), values, identity, own, visible)


def in_batches(render: Callable[[Tensor], Tensor], ws: Tensor, reader: Reader) -> Reading:
    """Render codes a few at a time, and read the pictures."""
    parts = zip(*(reader(render(batch)) for batch in ws.split(BATCH)), strict=True)
    return Reading(*map(np.concatenate, parts))


def drift(after: np.ndarray, before: np.ndarray, own: int) -> np.ndarray:
    """Return (N, A): how far each attribute moved, in deviations; NaN for the asked one."""
    moved = np.abs(after - before)
    moved[:, own] = np.nan
    return moved


def rises(curve: np.ndarray) -> np.ndarray:
    """Tell whether curves (S, ...) never fall, in deviations."""
    return np.all(np.diff(curve, axis=0) >= -FLAT, axis=0)


def matched_drift(found: Sweep) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measure what else has moved once the asked attribute has changed by one deviation.

    Both signs are asked for, and each picture counts as often as it gets there.

    Returns:
        The mean movement of each attribute (A,) in deviations, NaN for the asked one; the identity
        (M,) that is left; and which of the edits of pictures that show the attribute got there.
    """
    moved, identity, reached = [], [], []
    for sign in (1.0, -1.0):
        strengths = found.strength_for(np.where(found.visible, sign, np.nan))
        readings, kept = found.at(strengths)
        there = ~np.isnan(strengths)
        reached.append(there[found.visible])
        moved.append(drift(readings, found.before, found.own)[there])
        identity.append(kept[there])
    return mean_known(np.concatenate(moved)), np.concatenate(identity), np.concatenate(reached)


def flips(found: Sweep, name: str) -> np.ndarray:
    """Tell whether an accessory (N,) appears at some strength, or goes at one below zero.

    It counts only where the person stays; NaN for attributes that are no accessory.
    """
    own = found.readings[..., found.own]
    if name not in ACCESSORIES:
        return np.full(own.shape[1], np.nan)
    there = own * deviation(name) > 0.5
    before = found.before[:, found.own] * deviation(name) > 0.5
    asked = np.where(before, found.strengths[:, None] < 0, found.strengths[:, None] > 0)
    flipped = asked & (there != before) & (found.identity > STILL_THE_SAME)
    return flipped.any(axis=0).astype(float)
