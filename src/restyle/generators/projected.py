"""A discriminator that looks through a frozen feature network.

What that has learned about the data (where eyes are, what glasses are) is passed on to the
generator from its first image on, for the price of a few small convolutions (Sauer et al. 2021,
"Projected GANs Converge Faster"). As there, the heads have batch norms, through which real and
generated images go apart; the paper's random mixing of channels and scales is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

SIDE = 4  # pixels of a map of scores
SLOPE = 0.2


class ProjectedDiscriminator(nn.Module):
    """A small head on each of a feature network's maps that scores places of the picture."""

    def __init__(self, shapes: Sequence[tuple[int, int]], width: int = 64):
        """Build the heads.

        Args:
            shapes: Channels and side in pixels of each map; sides are powers of two, at least 4.
            width: Channels of the heads.
        """
        super().__init__()
        self.heads = nn.ModuleList(_head(*shape, width) for shape in shapes)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Map a feature network's maps, (B, C, s, s) each, to (B, scores), high for the data."""
        scores = [head(level).flatten(1) for head, level in zip(self.heads, maps, strict=True)]
        return torch.cat(scores, dim=1)


def _head(channels: int, side: int, width: int) -> nn.Sequential:
    layers = [_layer(channels, width, 1)]
    layers += [_layer(width, width, 3, stride=2) for _ in range(int(math.log2(side / SIDE)))]
    return nn.Sequential(*layers, _layer(width, width, 3), nn.Conv2d(width, 1, 1))


def _layer(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(SLOPE),
    )
