"""Warming an encoder up on images whose codes are known, before it learns from images alone.

Codes are compared by the curvature of the objective: by how much of a difference images show, to
second order. That takes no backward pass through the generator, and no network that compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from restyle.inversion.curvature import Curvature
from restyle.losses.codes import curved_distance
from restyle.model import ReStyle
from restyle.refine import Estimate, pool_to


@torch.no_grad()
def mixed_samples(model: ReStyle, batch: int) -> tuple[Tensor, Tensor]:
    """Draw samples whose layers are mixed of two, each from one or the other.

    Returns:
        Images (B, 3, h, w) at the encoder's input size, and their codes (B, num_ws, w_dim).
    """
    generator = model.generator
    both = generator.sample_w(2 * batch, int(torch.randint(2**62, ()))).unsqueeze(1)
    rows = torch.rand(batch, generator.num_ws, 1, device=both.device)
    ws = torch.where(rows < 0.25, *both.chunk(2))
    return F.adaptive_avg_pool2d(model.generate(ws), model.encoder.config.input_size), ws


def going_on(depths: Sequence[int]) -> list[int]:
    """Count, for every step, the images that take it, from how many each takes, the most first."""
    return [sum(depth > number for depth in depths) for number in range(depths[0])]


def warm_up_losses(
    model: ReStyle, curvature: Curvature, source: Tensor, ws: Tensor, depths: Sequence[int]
) -> Iterator[Tensor]:
    """Measure how far an encoder's codes are from known ones, after every step on its own path.

    Args:
        model: Of the encoder in training.
        curvature: Of the objective.
        source: (B, 3, h, w) images, as the encoder sees them.
        ws: (B, num_ws, w_dim) their codes.
        depths: How many steps each image takes, the most first.

    Yields:
        () the sum over the images that take a step, divided by B.
    """
    estimate = model.start(len(source))
    for number, count in enumerate(going_on(depths)):
        current = estimate.ws[:count].detach()
        if number:
            with torch.no_grad():
                estimate = replace(estimate, image=model.generate(current))
        pair = torch.cat([source[:count], pool_to(estimate.image[:count], source)], dim=1)
        state = None if estimate.state is None else estimate.state[:count]
        residuals, state = model.encode(pair, current, state)
        estimate = Estimate(current + residuals, estimate.image, state)
        yield curved_distance(estimate.ws, ws[:count], curvature.product).sum() / len(source)
