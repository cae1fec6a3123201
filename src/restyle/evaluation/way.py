"""How much of what is still missing each step of a refinement adds: the way to an optimum."""

import torch
from torch import Tensor

from restyle.evaluation.loop_summary import Arrays
from restyle.inversion.curvature import curvature_of
from restyle.inversion.methods import (
    DEFAULT_STEPS,
    build,
    networks_of,
    objective_for,
    usual_features,
)
from restyle.inversion.newton import first_step
from restyle.model import ReStyle
from restyle.refine import refine


class Way:
    """The way from a model's estimates to where a method ends, measured by the curvature.

    What is missing at a step is the difference of the method's codes and those before the step.
    The curvature makes directions that images do not show count little.
    """

    def __init__(self, model: ReStyle, method: str):
        """Take the model's usual features into the objective; may estimate its curvature.

        Args:
            model: Whose encoder refines.
            method: What finds the end of the way, such as restyle:2+newton:10.

        Raises:
            ValueError: There is no such method, or it changes the generator.
        """
        self.model = model
        self.objective = objective_for([method], usual_features(model), model.device, model.dtype)
        self.method = build(method, networks_of(model, self.objective))
        if self.method.tuning:
            raise ValueError(f"towards: expected a method that finds codes alone, got '{method}'")
        self.curvature = curvature_of(
            model.generator, model.generate, self.objective, model.domain.input_size, model.folder
        ).to(model.start_ws)

    @torch.no_grad()
    def measure(self, target: Tensor) -> Arrays:
        """Compare each step's residual with what is missing before it.

        Args:
            target: (B, 3, h, w) in [-1, 1].

        Returns:
            For each image and step, (B, S) of `DEFAULT_STEPS`: `way:residual`, the cosine of
            residual and what is missing; `way:added`, the share of its squared length that the
            step adds; `way:gradient`, the cosine of what is missing and the first step of
            `newton` in the same place, of gradient and curvature alone.
        """
        model = self.model
        *_, end = self.method(target, model.start(len(target)))
        before = model.start(len(target))
        rows: list[tuple[Tensor, ...]] = []
        for estimate in refine(model.encode, model.generate, target, before, DEFAULT_STEPS):
            missing = (end.ws - before.ws).flatten(1)
            residual = (estimate.ws - before.ws).flatten(1)
            left = missing - residual
            added = 1 - self._inner(left, left) / self._inner(missing, missing)
            step = first_step(model.generate, self.objective, target, before, self.curvature)
            rows.append((self._cosine(residual, missing), added, self._cosine(step, missing)))
            before = estimate
        residuals, added, gradients = (
            torch.stack(parts, dim=1).cpu().numpy() for parts in zip(*rows, strict=True)
        )
        return {"way:residual": residuals, "way:added": added, "way:gradient": gradients}

    def _inner(self, a: Tensor, b: Tensor) -> Tensor:
        return (a * self.curvature.product(b)).sum(dim=1)

    def _cosine(self, a: Tensor, b: Tensor) -> Tensor:
        return self._inner(a, b) / (self._inner(a, a) * self._inner(b, b)).sqrt()
