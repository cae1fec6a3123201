"""Refinements that are spread over several updates: images wait between their steps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from restyle.refine import Estimate


@dataclass(frozen=True)
class Batch:
    """Images on their way.

    Attributes:
        source: (B, 3, h, w) what the encoder sees, in [-1, 1], at its input size.
        target: (B, 3, h, w) what the result shall look like; usually the same.
        reached: Where their refinement has come to.
    """

    source: Tensor
    target: Tensor
    reached: Estimate

    def tensors(self) -> list[Tensor]:
        """Everything, in the order that `of` takes it in."""
        return [self.source, self.target, self.reached.ws, self.reached.image]

    @classmethod
    def of(cls, tensors: Iterable[Tensor]) -> Batch:
        """A batch of what `tensors` gave."""
        source, target, ws, image = tensors
        return cls(source, target, Estimate(ws, image))

    def __len__(self) -> int:
        """The number of images."""
        return len(self.source)


@dataclass(frozen=True)
class Plan:
    """What becomes of each row of a batch; numpy arrays (B,).

    Attributes:
        fresh: Whether it is a new image; the others go on from where they came to.
        place: Which of the waiting batches the row comes from, if it is none, and returns to.
    """

    fresh: np.ndarray
    place: np.ndarray

    def new(self, positions: Iterable[int]) -> list[int]:
        """Those of the rows' positions in the training that new images come at."""
        return [at for at, fresh in zip(positions, self.fresh, strict=True) if fresh]


class Waiting:
    """Batches whose images wait to go on.

    A batch for an update is mixed of new images and waiting ones, row by row, so that all updates
    see first steps and later ones in the same proportion. Else batch norms would see another kind
    of input in every batch, and at inference none of these.

    Attributes:
        batches: What waits, at most `places` of them.
    """

    def __init__(self, places: int, continuation: float, seed: int):
        """Start with nothing.

        Args:
            places: Batches that wait.
            continuation: Share of the rows that go on.
            seed: Of the plans.
        """
        self.places, self.continuation, self.seed = places, continuation, seed
        self.batches: list[Batch] = []

    @property
    def full(self) -> bool:
        """Whether there is something to go on with in every place."""
        return 0 < self.places == len(self.batches)

    def plan(self, positions: Iterable[int]) -> Plan:
        """Decide which rows are new; each by its position in the training alone, once full."""
        # No state: every process and every resumed run comes to the same answer.
        random = [np.random.default_rng((self.seed, position, 2)) for position in positions]
        fresh = np.array([one.random() >= self.continuation for one in random])
        place = np.array([int(one.integers(max(1, self.places))) for one in random])
        return Plan(fresh if self.full else np.ones_like(fresh), place)

    def mix(self, plan: Plan, new: Batch) -> Batch:
        """Put new images into the plan's fresh rows, and waiting ones into the others.

        Args:
            plan: For B rows.
            new: As many images as there are fresh rows.
        """
        if plan.fresh.all():
            return new
        fresh = torch.from_numpy(plan.fresh)
        mixed = []
        for part, added in enumerate(new.tensors()):
            rows = torch.stack(
                [self.batches[at].tensors()[part][row] for row, at in enumerate(plan.place)]
            )
            rows[fresh.to(rows.device)] = added
            mixed.append(rows)
        return Batch.of(mixed)

    def put(self, plan: Plan, batch: Batch) -> None:
        """Let a batch wait: each row in its place, where another one may be lost."""
        if not self.places:
            return
        if not self.full:
            self.batches.append(Batch.of(tensor.clone() for tensor in batch.tensors()))
            return
        for part, values in enumerate(batch.tensors()):
            for row, at in enumerate(plan.place):
                self.batches[at].tensors()[part][row] = values[row]
