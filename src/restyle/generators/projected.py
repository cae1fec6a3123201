"""A discriminator that looks through a frozen feature network.

What that has learned about the data (where eyes are, what glasses are) is passed on to the
generator from its first image on, for the price of a few small convolutions (Sauer et al. 2021,
"Projected GANs Converge Faster"). The heads are plain: the paper's random mixing of channels and
scales is left out, and R1 on the maps (`restyle.training.critic`) keeps them smooth in the place
of spectral norms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from restyle.layers import EqualConv2d, leaky_relu

SIDE = 4  # pixels of a map of scores


class ProjectedDiscriminator(nn.Module):
    """A small head on each of a feature network's maps that scores places of the picture."""

    def __init__(self, shapes: Sequence[tuple[int, int]], width: int = 64):
        """Build the heads.

        Args:
            shapes: Channels and side in pixels of each map; sides are powers of two, at least 4.
            width: Channels of the heads.
        """
        super().__init__()
        self.heads = nn.ModuleList(_Head(*shape, width) for shape in shapes)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Map a feature network's maps, (B, C, s, s) each, to (B, scores), high for the data."""
        scores = [head(level).flatten(1) for head, level in zip(self.heads, maps, strict=True)]
        return torch.cat(scores, dim=1)

    def total(self, *maps: Tensor) -> Tensor:
        """The mean of an image's scores, (B,)."""
        return self(maps).mean(dim=1)


class _Head(nn.Module):
    def __init__(self, channels: int, side: int, width: int):
        super().__init__()
        self.first = EqualConv2d(channels, width, 1)
        self.down = nn.ModuleList(
            EqualConv2d(width, width, 3, down=True) for _ in range(int(math.log2(side / SIDE)))
        )
        self.last = EqualConv2d(width, width, 3)
        self.score = EqualConv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = leaky_relu(self.first(x))
        for layer in self.down:
            x = leaky_relu(layer(x))
        return self.score(leaky_relu(self.last(x)))
