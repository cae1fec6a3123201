"""Refinement that stops early, image by image.

Most images are done after a few steps, some are not, and a further step can make an image worse.
Here every image takes the steps that still help it, and ends with the best of its estimates.
"""

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from restyle.losses.pixels import l2
from restyle.refine import Encoder, Estimate, Render, pool_to, step

T = TypeVar("T", Tensor, np.ndarray)

MOST_STEPS = 10
TOLERANCE = 0.02


def refine_until(
    encoder: Encoder,
    render: Render,
    target: Tensor,
    start: Estimate,
    most_steps: int = MOST_STEPS,
    tolerance: float = TOLERANCE,
) -> Iterator[tuple[Estimate, Tensor]]:
    """Refine each image until a step changes little.

    An image stops when a step takes less than `tolerance` off its squared error, or when the
    residual is shorter than `tolerance` times its first one. Images that have stopped are no longer
    given to the networks.

    Args:
        encoder: As in `refine`.
        render: As in `refine`.
        target: (B, 3, h, w), RGB in [-1, 1]; errors are measured at this size.
        start: Where to start.
        most_steps: After this number of steps every image stops.
        tolerance: A share from 0 to below 1; 0 goes on as long as the error falls.

    Yields:
        After each step the best estimate of every image so far, without gradients (`start` is no
        candidate); and a mask (B,) of the images that took the step.
    """
    best, before, first = start.detach(), start.detach(), None
    lowest = target.new_full((len(target),), torch.inf)
    running = torch.arange(len(target), device=target.device)
    for _ in range(most_steps):
        reached = step(encoder, render, target[running], before).detach()
        error = l2(pool_to(reached.image, target), target[running])
        length = (reached.ws - before.ws).flatten(1).norm(dim=1)
        first = length if first is None else first
        goes_on = still_helps(error, lowest[running], length, first, tolerance)
        better = error < lowest[running]
        rows = running[better]
        lowest[rows] = error[better]
        best = Estimate(
            best.ws.index_copy(0, rows, reached.ws[better]),
            best.image.index_copy(0, rows, reached.image[better]),
        )
        took = torch.zeros(len(target), dtype=torch.bool, device=target.device)
        took[running] = True
        yield best, took
        running, before, first = running[goes_on], reached[goes_on], first[goes_on]
        if not len(running):
            return


def still_helps(error: T, lowest: T, length: T, first: T, tolerance: float) -> T:
    """Say which images go on after a step; all arguments are tensors or arrays, one entry an image.

    These are the squared error that the step has reached, the lowest one before it (infinity before
    the first), the length of its residual and that of the image's first one; `tolerance` is as in
    `refine_until`.
    """
    return (error < lowest * (1 - tolerance)) & (length > tolerance * first)
