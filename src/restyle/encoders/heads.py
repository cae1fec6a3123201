"""Heads: from a feature map to one vector for each of several layers of the generator."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class MapToStyle(nn.Module):
    """Several map-to-style blocks over one map: stride-2 convolutions, then a linear layer.

    The blocks (Richardson et al., "Encoding in Style", CVPR 2021, section 3.1) share nothing but
    their input. The first convolution is dense over the shared map; from then on each block's
    convolution is one matrix product over unfolded 3x3 windows, all blocks in one batch. On CPUs
    that is up to 1.7 times faster than separate blocks, and than grouped convolutions, which are
    slow with wide groups.

    Attributes:
        first: The blocks' first convolutions, stacked.
        weights: For each further convolution (count, 9 * channels, channels); rows run over the
            window's rows, then its columns, then the channels.
        biases: For each further convolution (count, 1, channels).
        out_weight: The equalised linear layers, (count, channels, out_channels).
        out_bias: Their biases, (count, 1, out_channels).
    """

    def __init__(self, in_channels: int, channels: int, out_channels: int, count: int, depth: int):
        """Build `count` blocks of `depth` convolutions."""
        super().__init__()
        self.count, self.channels, self.out_channels = count, channels, out_channels
        self.first = nn.Conv2d(in_channels, count * channels, 3, stride=2, padding=1)
        bound = 1 / math.sqrt(9 * channels)  # what nn.Conv2d starts with
        self.weights = nn.ParameterList(
            torch.empty(count, 9 * channels, channels).uniform_(-bound, bound)
            for _ in range(depth - 1)
        )
        self.biases = nn.ParameterList(
            torch.empty(count, 1, channels).uniform_(-bound, bound) for _ in range(depth - 1)
        )
        self.out_weight = nn.Parameter(torch.randn(count, channels, out_channels))
        self.out_bias = nn.Parameter(torch.zeros(count, 1, out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, h, w), h and w at most 2**depth, to (B, count, out_channels)."""
        x = functional.leaky_relu(self.first(x), 0.01)
        batch, _, height, width = x.shape
        x = x.view(batch, self.count, self.channels, height, width).permute(1, 0, 3, 4, 2)
        for weight, bias in zip(self.weights, self.biases, strict=True):
            windows = halving_windows(x)  # (count, B, h / 2, w / 2, 9 * channels)
            y = torch.baddbmm(bias, windows.flatten(1, 3), weight)
            x = functional.leaky_relu(y, 0.01).unflatten(1, windows.shape[1:4])
        scale = 1 / math.sqrt(self.channels)
        codes = torch.baddbmm(self.out_bias, x.flatten(2), self.out_weight * scale)
        return codes.transpose(0, 1)


def halving_windows(x: Tensor) -> Tensor:
    """Cut the 3x3 windows of a stride-2 convolution: (..., h, w, C) to (..., h / 2, w / 2, 9 C)."""
    height, width = x.shape[-3:-1]
    padded = functional.pad(x, (0, 0, 1, 1, 1, 1))
    return torch.cat(
        [
            padded[..., row : row + height : 2, column : column + width : 2, :]
            for row in range(3)
            for column in range(3)
        ],
        dim=-1,
    )
