"""Second-order inversion: a quasi-Newton method on the codes that knows the generator's curvature.

The generator is fixed, so the curvature of an objective over its codes can be learned once
(`restyle.inversion.curvature`). Limited-memory BFGS (Liu and Nocedal, "On the Limited Memory BFGS
Method for Large Scale Optimization", 1989) begins with it, and corrects it for each image by what
the image's own gradients tell. An iteration costs one render and one backward pass, as one of Adam
does. How far an iteration may go, and whether its step is kept, is each image's own affair.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterator

import torch
from torch import Tensor

from restyle.inversion.adaptive import TOLERANCE, still_helps
from restyle.inversion.curvature import Curvature
from restyle.inversion.optimisation import Objective, check_batch
from restyle.refine import Estimate, Render, pool_to

INNER = 5
"""Iterations in a step."""
DAMPING = 1.0
"""Damping added to the curvature, in shares of its mean eigenvalue."""
FIRST = 0.3
"""The share of the first iteration's step that is taken."""
FURTHER, NEARER = 2.0, 0.3
"""Reach of the next iteration, in lengths of a step that helped, and of one that did not."""
MEMORY = 40
"""Iterations whose gradients are remembered."""
MOST_STEPS = 20
"""After this number of steps every image stops, where they stop by themselves."""


def newton(
    render: Render,
    objective: Objective,
    target: Tensor,
    start: Estimate,
    curvature: Curvature,
    steps: int | None = None,
    *,
    inner: int = INNER,
    pull: float = 0.0,
) -> Iterator[Estimate]:
    """Minimise an objective over codes in W+, image by image, by limited-memory BFGS.

    An image whose objective an iteration does not lower keeps its codes, and goes less far with the
    next one; so the objective never rises. Where nothing helps the start is what is yielded, and a
    warning says so.

    Args:
        render: (B, num_ws, D) to (B, 3, H, W) in [-1, 1], differentiable.
        objective: What is minimised.
        target: (B, 3, h, w), RGB in [-1, 1].
        start: Where to start: a few encoder steps, or any other estimate.
        curvature: Of this generator and objective.
        steps: How many steps to take. If None an image stops when a step takes less than 2 % off
            its objective, or moves its codes by less than 2 % of what the first one did, and after
            20 steps; images that have stopped are no longer rendered.
        inner: Iterations in a step, each a render and a backward pass.
        pull: Weight of the mean squared distance of each image's codes from their mean over the
            layers, which keeps them near W, where they are easier to edit.

    Yields:
        The estimate after each step, without gradients.

    Raises:
        ValueError: The batch of the target and of the start differ, or the objective at the start
            is not finite.
    """
    check_batch(target, start)
    descent = _Descent(_Problem(render, objective, pull), target, start, curvature)
    best, first = start.detach(), None
    running = torch.arange(len(target), device=target.device)
    moved = torch.zeros(len(target), dtype=torch.bool, device=target.device)
    left = MOST_STEPS if steps is None else steps
    while left and len(running):
        left -= 1
        ws, objective_before = descent.ws, descent.objective
        for _ in range(inner):
            descent.iterate()
        length = (descent.ws - ws).norm(dim=1)
        moved[running] |= length > 0
        best = Estimate(
            best.ws.index_copy(0, running, descent.ws.unflatten(1, best.ws.shape[1:])),
            best.image.index_copy(0, running, descent.image),
        )
        if steps is None:
            first = length if first is None else first
            rows = still_helps(descent.objective, objective_before, length, first, TOLERANCE)
            running, first = running[rows], first[rows]
            descent.keep(rows)
        if not (left and len(running)) and not bool(moved.all()):
            _warn(int((~moved).sum()), len(target))
        yield best


def _warn(stuck: int, images: int) -> None:
    warnings.warn(
        f"newton: expected steps that lower the objective, found none for {stuck} of {images} "
        "images, whose codes stay as they were",
        stacklevel=3,
    )


def first_step(
    render: Render, objective: Objective, target: Tensor, start: Estimate, curvature: Curvature
) -> Tensor:
    """Return the step (B, N) that `newton` proposes first, before it is shortened."""
    return _Descent(_Problem(render, objective, 0.0), target, start, curvature).direction()


class _Problem:
    """An objective of flat codes."""

    def __init__(self, render: Render, objective: Objective, pull: float):
        self.render, self.objective, self.pull = render, objective, pull

    def __call__(self, ws: Tensor, shape: torch.Size, target: Tensor) -> tuple[Tensor, ...]:
        """Return images, values (B,) and gradients (B, N) of codes (B, N)."""
        ws = ws.unflatten(1, shape).requires_grad_(True)
        with torch.enable_grad():
            image = self.render(ws)
            value = self.objective(pool_to(image, target), target)
            if self.pull:
                value = value + self.pull * (ws - ws.mean(1, keepdim=True)).square().mean((1, 2))
            (gradient,) = torch.autograd.grad(value.sum(), ws)
        return image.detach(), value.detach(), gradient.flatten(1)


class _Descent:
    """Where each image has come to, and what its gradients have told of its curvature.

    Attributes:
        ws: (B, N), the codes.
        image: Their render.
        objective: (B,).
    """

    def __init__(self, problem: _Problem, target: Tensor, start: Estimate, curvature: Curvature):
        self._problem, self._target, self._curvature = problem, target, curvature.to(start.ws)
        self._shape = start.ws.shape[1:]
        self._damping = DAMPING * curvature.mean
        self.ws = start.ws.detach().flatten(1)
        self.image, self.objective, self._gradient = problem(self.ws, self._shape, target)
        if not bool(torch.isfinite(self.objective).all()):
            raise ValueError(
                "newton: expected a finite objective at the start, got NaN or infinity"
            )
        self._pairs: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=MEMORY)
        scale = self.ws.norm(dim=1, keepdim=True) + self.ws.shape[1] ** 0.5
        self._reach = (FIRST * self.direction().norm(dim=1, keepdim=True)).minimum(scale)

    def iterate(self) -> None:
        """Go a step, and remember what it tells; images that it does not help stay."""
        step = self.direction()
        step = step * (self._reach / step.norm(dim=1, keepdim=True).clamp_min(1e-20)).clamp_max(1)
        image, objective, gradient = self._problem(self.ws + step, self._shape, self._target)
        self._remember(step, gradient - self._gradient)
        helped = objective < self.objective  # False for NaN
        one, four = helped[:, None], helped[:, None, None, None]
        length = step.norm(dim=1, keepdim=True)
        further = torch.maximum(self._reach, FURTHER * length)
        self._reach = torch.where(one, further, NEARER * length)
        self.ws = torch.where(one, self.ws + step, self.ws)
        self.image = torch.where(four, image, self.image)
        self.objective = torch.where(helped, objective, self.objective)
        self._gradient = torch.where(one, gradient, self._gradient)

    def keep(self, rows: Tensor) -> None:
        """Go on with some of the images alone, given as a mask (B,)."""
        self._target, self._reach = self._target[rows], self._reach[rows]
        self.ws, self.image, self.objective = self.ws[rows], self.image[rows], self.objective[rows]
        self._gradient = self._gradient[rows]
        pairs = [(step[rows], change[rows], rate[rows]) for step, change, rate in self._pairs]
        self._pairs = deque(pairs, maxlen=MEMORY)

    def direction(self) -> Tensor:
        """Return the quasi-Newton step (B, N): the two loops of limited-memory BFGS."""
        left, along = self._gradient, []
        for step, change, rate in reversed(self._pairs):
            along.append(rate * (step * left).sum(dim=1, keepdim=True))
            left = left - along[-1] * change
        x = self._curvature.solve(left / 2, self._damping)  # J'J is half of the second derivative
        for (step, change, rate), share in zip(self._pairs, reversed(along), strict=True):
            x = x + (share - rate * (change * x).sum(dim=1, keepdim=True)) * step
        return -x

    def _remember(self, step: Tensor, change: Tensor) -> None:
        """Keep a step and the gradient's change along it, where they tell of positive curvature."""
        bend = (step * change).sum(dim=1, keepdim=True)
        sizes = step.norm(dim=1, keepdim=True) * change.norm(dim=1, keepdim=True)
        positive = bend > 1e-3 * sizes  # False for NaN
        rate = torch.where(positive, 1 / bend.clamp_min(1e-30), 0.0)
        self._pairs.append((step, torch.where(positive, change, 0.0), rate))
