"""What lets each code look where it is wrong: queries over the trunk's map."""

import math

import torch
from torch import Tensor, nn

HEADS, WIDTH = 4, 64


class Attention(nn.Module):
    """A query for each code, made of what is known of it, over a map with positions.

    One layer of cross-attention, as in the Style Transformer for inversion (Hu et al., CVPR 2022).

    Attributes:
        width: Length of what a query finds.
        query_weight: (count, 2 * w_dim, width) what makes queries of proposals and codes.
        seen: A 1 x 1 convolution from the map to keys and values.
        place: (width, h * w) what each position adds to its key.
    """

    width = WIDTH

    def __init__(self, count: int, channels: int, w_dim: int, pixels: int):
        """Build `count` queries over maps of `channels` channels and `pixels` positions."""
        super().__init__()
        inputs = 2 * w_dim
        self.query_weight = nn.Parameter(torch.randn(count, inputs, WIDTH) / math.sqrt(inputs))
        self.seen = nn.Conv2d(channels, 2 * WIDTH, 1)
        self.place = nn.Parameter(torch.randn(WIDTH, pixels))

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        """Look at a map (B, channels, h, w), knowing (B, count, 2 * w_dim): (B, count, width)."""
        queries = (known.transpose(0, 1) @ self.query_weight).transpose(0, 1)
        keys, values = self.seen(x).flatten(2).chunk(2, dim=1)  # (B, width, h * w) each
        q = queries.unflatten(2, (HEADS, -1)).transpose(1, 2)  # (B, HEADS, count, width / HEADS)
        k = (keys + self.place).unflatten(1, (HEADS, -1))
        v = values.unflatten(1, (HEADS, -1)).transpose(2, 3)
        found = (q @ k / math.sqrt(q.shape[-1])).softmax(dim=-1) @ v
        return found.transpose(1, 2).flatten(2)
