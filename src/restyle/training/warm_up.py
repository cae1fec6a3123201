"""Warming an encoder up on images whose codes are known, before it learns from images alone.

Codes are compared by the curvature of the objective: by how much of a difference images show, to
second order. That takes no backward pass through the generator, and no network that compares.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from restyle.inversion.curvature import Curvature
from restyle.losses.codes import curved_distance
from restyle.model import ReStyle


def warm_up_loss(
    model: ReStyle,
    curvature: Curvature,
    batch: int,
    drawn: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Measure how far an encoder's codes are from known ones, once.

    The current estimate of half of the images is the average, as in the first step of the loop; for
    the others it is part of the way to the target, and a little off, as in the later ones.

    Args:
        model: Of the encoder in training.
        curvature: Of the objective.
        batch: Samples of the generator, whose layers are mixed of two, each from one or the other.
        drawn: In the place of samples (B, 3, h, w) pictures, as the encoder sees them, and their
            codes (B, num_ws, w_dim).

    Returns:
        () the mean over the batch.
    """

    def seen(ws: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(model.generate(ws), model.encoder.config.input_size)

    with torch.no_grad():
        generator, start = model.generator, model.start_ws
        seed = int(torch.randint(2**62, ()))
        first, second = generator.sample_w(4 * batch, seed).unsqueeze(1).chunk(2)
        rows = torch.rand(2 * batch, generator.num_ws, 1, device=start.device)
        ws, other = torch.where(rows < 0.25, second, first).chunk(2)
        if drawn is not None:
            ws = drawn[1]
        current, pair = start.expand_as(ws), drawn[0] if drawn else seen(ws)
        if not model.single_shot:
            nearness = torch.rand(batch, 1, 1, device=start.device)
            current = start + nearness * (ws - start) + 0.2 * (other - start)
            current[: batch // 2] = start
            pair = torch.cat([pair, seen(current)], dim=1)
    reached = current + model.encode(pair, current)[0]
    return curved_distance(reached, ws, curvature.product).mean()
