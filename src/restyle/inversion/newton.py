"""Second-order inversion: Levenberg-Marquardt on the latent codes, preconditioned by curvature.

The generator is fixed, so the curvature of an objective over its codes can be learned once. With
residuals r(ws) whose squared norm is the objective and J their Jacobian, each step solves

    (J'J + damping I) x = -J'r

by a few iterations of conjugate gradients (Nocedal and Wright, "Numerical Optimization", 2006,
algorithms 5.3 and 10.3), preconditioned by the mean of J'J over many codes. J'v is a backward pass;
Jv is one more render, a finite difference. Damping and acceptance are each image's own (Marquardt,
"An Algorithm for Least-Squares Estimation of Nonlinear Parameters", 1963).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from restyle.inversion.curvature import Curvature, Residuals
from restyle.inversion.optimisation import check_batch
from restyle.refine import Estimate, Render, pool_to

DAMPING = 0.01
"""At the start, as a share of the curvature's mean eigenvalue."""
EASIER, HARDER = 0.3, 6.0
"""What damping is multiplied by after a step that helped, and after one that did not."""
INNER = 4
"""Iterations of conjugate gradients in a step."""


def newton(
    render: Render,
    residuals: Residuals,
    target: Tensor,
    start: Estimate,
    steps: int,
    curvature: Curvature,
    inner: int = INNER,
    pull: float = 0.0,
) -> Iterator[Estimate]:
    """Minimise squared residuals over codes in W+, image by image, by Levenberg-Marquardt.

    An image whose objective a step does not lower keeps its codes, and tries again with more
    damping; so the objective never rises, and where nothing helps the start is what is yielded.

    Args:
        render: (B, num_ws, D) to (B, 3, H, W) in [-1, 1], differentiable.
        residuals: The objective's: of images and targets at the target's size.
        target: (B, 3, h, w), RGB in [-1, 1].
        start: Where to start: a few encoder steps, or any other estimate.
        steps: Outer steps, each of which costs about `inner` + 1 renders and backward passes.
        curvature: Of this generator and objective; it preconditions the inner iterations.
        inner: Iterations of conjugate gradients in a step.
        pull: Weight of the squared distance of each image's codes from their mean over the layers,
            which keeps them near W, where they are easier to edit.

    Yields:
        The estimate after each step, without gradients.

    Raises:
        ValueError: The batch of the target and of the start differ, or the objective at the start
            is not finite.
    """
    check_batch(target, start)
    problem = _Problem(render, residuals, target, pull)
    curvature = Curvature(
        curvature.vectors.to(start.ws), curvature.values.to(start.ws), curvature.rest
    )
    here = problem.at(start.ws.detach())
    if not bool(torch.isfinite(here.objective).all()):
        raise ValueError("newton: expected a finite objective at the start, got NaN or infinity")
    damping = here.objective.new_full((len(target), 1), DAMPING * curvature.mean)
    for _ in range(steps):
        x = _conjugate_gradients(here, curvature, damping, inner)
        there = problem.at((here.ws.flatten(1) + x).view_as(here.ws).detach())
        helped = there.objective < here.objective  # False for NaN
        damping = damping * torch.where(helped, EASIER, HARDER).unsqueeze(1)
        if bool(helped.all()):
            here = there
        elif bool(helped.any()):
            keep = helped[:, None, None]
            here = problem.at(torch.where(keep, there.ws, here.ws).detach())
        yield Estimate(here.ws.detach(), here.image.detach())


class _Point:
    """Codes, what they render to, and products with the Jacobian of the residuals there."""

    def __init__(self, problem: _Problem, ws: Tensor, image: Tensor, r: Tensor):
        self.problem = problem
        self.ws, self.image, self.r = ws, image, r
        self.objective = r.detach().square().sum(dim=1)

    def backward(self, v: Tensor) -> Tensor:
        """Return J'v, (B, N), for v (B, M)."""
        (product,) = torch.autograd.grad(self.r, self.ws, v, retain_graph=True)
        return product.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Return Jx, (B, M), for x (B, N): the residuals' change after a small move along x."""
        ws = self.ws.detach()
        length = x.norm(dim=1, keepdim=True).clamp_min(1e-20)
        size = ws.flatten(1).norm(dim=1, keepdim=True) / ws[0].numel() ** 0.5
        nudge = torch.finfo(self.r.dtype).eps ** (1 / 3) * (size + 1e-3)
        moved = (ws.flatten(1) + x * (nudge / length)).view_as(ws)
        with torch.no_grad():
            change = self.problem.residuals_at(moved)[1] - self.r.detach()
        return change * (length / nudge)


class _Problem:
    """The residuals of codes."""

    def __init__(self, render: Render, residuals: Residuals, target: Tensor, pull: float):
        self.render, self.residuals, self.target, self.pull = render, residuals, target, pull

    def at(self, ws: Tensor) -> _Point:
        ws = ws.clone().requires_grad_(True)
        with torch.enable_grad():
            return _Point(self, ws, *self.residuals_at(ws))

    def residuals_at(self, ws: Tensor) -> tuple[Tensor, Tensor]:
        image = self.render(ws)
        r = self.residuals(pool_to(image, self.target), self.target)
        if self.pull:
            r = torch.cat([r, self.pull**0.5 * (ws - ws.mean(1, keepdim=True)).flatten(1)], dim=1)
        return image, r


def _conjugate_gradients(
    point: _Point, curvature: Curvature, damping: Tensor, iterations: int
) -> Tensor:
    """Return x (B, N) that nearly solves (J'J + damping I) x = -J'r, each image for itself."""
    b = -point.backward(point.r.detach())
    x = torch.zeros_like(b)
    left = b
    z = curvature.solve(left, damping)
    p, rho = z, (left * z).sum(dim=1, keepdim=True)
    for _ in range(iterations):
        product = point.backward(point.forward(p)) + damping * p
        bend = (p * product).sum(dim=1, keepdim=True)
        alpha = torch.where(bend > 0, rho / bend.clamp_min(1e-30), 0.0)
        x = x + alpha * p
        left = left - alpha * product
        z = curvature.solve(left, damping)
        before, rho = rho, (left * z).sum(dim=1, keepdim=True)
        p = z + torch.where(before > 0, rho / before.clamp_min(1e-30), 0.0) * p
    return x
