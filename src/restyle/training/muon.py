"""Muon: steps along momentum whose matrices are made orthogonal (Jordan et al. 2024)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.9
ROWS = 128
"""Of a convolution that are made orthogonal together: stacked heads are many small layers."""
ITERATIONS = 5
COEFFICIENTS = 3.4445, -4.7750, 2.0315
"""Of the polynomial that brings singular values near one, whatever they were."""
LIKE_ADAM = 0.2
"""Root mean square of an update at a rate of one, as Adam's is in use (Liu et al. 2025)."""


class Muon(torch.optim.Adam):
    """Adam, but for matrices: all directions of their momentum count alike, not the largest alone.

    A convolution is a matrix from all that its window sees to its channels, and a parameter of
    three dimensions a stack of matrices. Everything else, biases and norms, is left to Adam.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change what has a gradient; gradients of matrices are gone afterwards."""
        with torch.enable_grad():
            loss = None if closure is None else closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None and _is_matrix(parameter):
                    self._turn(parameter, group["lr"])
                    parameter.grad = None  # Adam leaves alone what has none
        super().step()
        return loss

    def _turn(self, parameter: Tensor, lr: float) -> None:
        gradient, state = parameter.grad, self.state[parameter]
        if not state:  # named as Adam's, which reads it again
            state |= {"step": torch.zeros(()), "exp_avg": torch.zeros_like(parameter)}
        momentum = state["exp_avg"].mul_(MOMENTUM).add_(gradient)
        ahead = gradient + MOMENTUM * momentum  # Nesterov's
        if parameter.ndim == 4:
            rows = ahead.flatten(1)
            update = torch.cat([_scaled(part) for part in rows.split(ROWS)])
        else:
            update = _scaled(ahead)
        parameter.sub_(update.view_as(parameter) * lr)


def orthogonalised(x: Tensor) -> Tensor:
    """Bring the singular values of matrices (..., M, N) near one, between 0.7 and 1.2 or so."""
    wide = x.shape[-2] <= x.shape[-1]
    x = x if wide else x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x if wide else x.mT


def _scaled(x: Tensor) -> Tensor:
    return orthogonalised(x) * (LIKE_ADAM * max(x.shape[-2:]) ** 0.5)


def _is_matrix(parameter: Tensor) -> bool:
    return parameter.ndim == 4 or (parameter.ndim in (2, 3) and min(parameter.shape[-2:]) > 1)
