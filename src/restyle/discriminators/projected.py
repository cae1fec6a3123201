"""A discriminator that looks through a frozen feature network.

What that has learned about the data (where eyes are, what glasses are) is passed on to the
generator from its first image on, for the price of a few small convolutions (Sauer et al. 2021,
"Projected GANs Converge Faster"). As there, the heads have batch norms; the paper's random mixing
of channels and scales is left out. Real and generated images go through them together, and beside
every map goes its deviation over the images of its own kind: what kinds of portraits there are, and
how often, is to be learned as well, and norms over each kind alone would hide it.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from restyle.nn.backbones import convolution

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

    def forward(self, fake: Sequence[Tensor], real: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Score generated images beside some of the data, from their maps (B, C, s, s).

        Returns:
            Scores (B, places) of both, high for the data.
        """
        scores = [
            head(torch.cat([_with_deviation(one), _with_deviation(other)])).flatten(1)
            for head, one, other in zip(self.heads, fake, real, strict=True)
        ]
        first, second = torch.cat(scores, dim=1).chunk(2)
        return first, second


def _with_deviation(x: Tensor) -> Tensor:
    """Append to maps (B, C, s, s) their standard deviation over the batch: (B, 2 C, s, s)."""
    deviation = (x.float().var(dim=0, keepdim=True, unbiased=False) + 1e-6).sqrt().to(x.dtype)
    return torch.cat([x, deviation.expand_as(x)], dim=1)


def _head(channels: int, side: int, width: int) -> nn.Sequential:
    layers = [_layer(2 * channels, width, 1)]
    layers += [_layer(width, width, 3, stride=2) for _ in range(int(math.log2(side / SIDE)))]
    return nn.Sequential(*layers, _layer(width, width, 3), nn.Conv2d(width, 1, 1))


def _layer(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return convolution(inputs, outputs, kernel, stride).append(nn.LeakyReLU(SLOPE))
