"""How pictures respond to edits: what changes with strength, and what changes besides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from restyle.editing.directions import Direction
from restyle.editing.edits import shift
from restyle.evaluation.attributes import Reader
from restyle.refine import Render

BATCH = 32


@dataclass(frozen=True)
class Sweep:
    """Readings of N pictures at S strengths of one edit.

    Attributes:
        strengths: (S,), rising, with 0 among them.
        readings: (S, N, A), in deviations.
        identity: (S, N), cosine of the identity embedding to that of the unedited picture.
        own: The column of the attribute that was asked for.
    """

    strengths: np.ndarray
    readings: np.ndarray
    identity: np.ndarray
    own: int

    @property
    def before(self) -> np.ndarray:
        """(N, A): the readings of the unedited pictures."""
        return self.readings[np.flatnonzero(self.strengths == 0)[0]]

    @property
    def change(self) -> np.ndarray:
        """(S, N): how the asked attribute differs from the unedited picture's."""
        return self.readings[..., self.own] - self.before[:, self.own]

    def slope(self, limit: float = 2.0) -> np.ndarray:
        """(N,): change of the asked attribute per unit strength, by least squares up to a limit."""
        near = np.abs(self.strengths) <= limit
        x = self.strengths[near]
        return x @ self.change[near] / (x @ x)

    def rises(self, limit: float = 2.0) -> np.ndarray:
        """(N,): whether the asked attribute never falls from one strength to the next."""
        near = np.abs(self.strengths) <= limit
        return np.all(np.diff(self.change[near], axis=0) >= 0, axis=0)

    def strength_for(self, asked: np.ndarray) -> np.ndarray:
        """(N,): the smallest strength that changes the attribute as asked, NaN where none does.

        Between the strengths of the sweep the change is taken to be linear.

        Args:
            asked: (N,) changes in deviations, of either sign.
        """
        found = np.full(len(asked), np.nan)
        for i, wanted in enumerate(asked):
            side = self.strengths >= 0 if wanted >= 0 else self.strengths <= 0
            order = np.argsort(np.abs(self.strengths[side]))
            strengths = self.strengths[side][order]
            change = self.change[side, i][order] * (1 if wanted >= 0 else -1)
            reached = np.flatnonzero(change >= abs(wanted))
            if not len(reached):
                continue
            k = reached[0]
            if k == 0:
                found[i] = 0.0
                continue
            share = (abs(wanted) - change[k - 1]) / (change[k] - change[k - 1])
            found[i] = strengths[k - 1] + share * (strengths[k] - strengths[k - 1])
        return found

    def at(self, strengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Readings (N, A) and identity (N,) at a strength for each picture, between the measured.

        Args:
            strengths: (N,); NaN gives NaN.
        """
        columns = self.readings.shape[-1]
        readings = np.full((len(strengths), columns), np.nan)
        identity = np.full(len(strengths), np.nan)
        for i, strength in enumerate(strengths):
            if np.isnan(strength):
                continue
            identity[i] = np.interp(strength, self.strengths, self.identity[:, i])
            for column in range(columns):
                values = self.readings[:, i, column]
                readings[i, column] = np.interp(strength, self.strengths, values)
        return readings, identity


@torch.no_grad()
def sweep(
    render: Render,
    ws: Tensor,
    direction: Direction,
    strengths: Sequence[float],
    reader: Reader,
    own: int,
) -> Sweep:
    """Edit pictures at several strengths and read what comes of it.

    Args:
        render: (B, num_ws, D) to (B, 3, H, W) in [-1, 1].
        ws: (N, num_ws, D) codes.
        direction: Along which they are edited.
        strengths: Rising, with 0 among them.
        reader: Reads the pictures.
        own: The column of the attribute that the direction is meant to change.
    """
    readings, embeddings = [], []
    for strength in strengths:
        seen = in_batches(lambda w, s=strength: render(shift(w, direction, s)), ws, reader)
        readings.append(seen[0])
        embeddings.append(seen[1])
    middle = embeddings[list(strengths).index(0)]
    identity = np.stack([(e * middle).sum(axis=1) for e in embeddings])
    return Sweep(np.array(strengths, dtype=float), np.stack(readings), identity, own)


def in_batches(
    render: Callable[[Tensor], Tensor], ws: Tensor, reader: Reader
) -> tuple[np.ndarray, np.ndarray]:
    """Render codes a few at a time: readings (N, A) and identity embeddings (N, E)."""
    readings, embeddings = zip(*(reader(render(batch)) for batch in ws.split(BATCH)), strict=True)
    return np.concatenate(readings), np.concatenate(embeddings)


def drift(after: np.ndarray, before: np.ndarray, own: int) -> np.ndarray:
    """(N, A): how far each attribute moved, in deviations; NaN in the column of the asked one."""
    moved = np.abs(after - before)
    moved[:, own] = np.nan
    return moved
