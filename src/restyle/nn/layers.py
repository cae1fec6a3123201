"""Layers that generators, discriminators and encoders share.

Equalised learning rates follow Karras et al., "Progressive Growing of GANs" (ICLR 2018), section
4.1: weights are stored with unit variance and scaled where they are used, so that an adaptive
optimiser moves all of them at the same relative speed.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2
GAIN = math.sqrt(2.0)


class EqualLinear(nn.Module):
    """A fully connected layer with an equalised learning rate.

    Args:
        in_features: Width of the input.
        out_features: Width of the output.
        bias_init: What the bias starts at.
        lr_multiplier: How much slower than the rest this layer learns; stored values are as much
            larger.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias_init: float = 0.0,
        lr_multiplier: float = 1.0,
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), bias_init / lr_multiplier))
        self.scale = lr_multiplier / math.sqrt(in_features)
        self.lr_multiplier = lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features)."""
        return F.linear(x, self.weight * self.scale, self.bias * self.lr_multiplier)


class EqualConv2d(nn.Module):
    """A convolution with an equalised learning rate, after a halving filter if `down`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        bias: bool = True,
        down: bool = False,
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.scale = 1 / math.sqrt(in_channels * kernel * kernel)
        self.down = down
        self.padding = 0 if down else kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, out_channels, H, W), half the size if `down`."""
        if self.down:
            x = blur(x, padding=self.weight.shape[-1] // 2 + 1)
        return F.conv2d(
            x, self.weight * self.scale, self.bias, stride=1 + self.down, padding=self.padding
        )


def leaky_relu(x: Tensor) -> Tensor:
    """Apply StyleGAN's activation: slope 0.2, scaled by sqrt(2) to keep the variance."""
    return F.leaky_relu(x, SLOPE) * GAIN


def pixel_norm(x: Tensor) -> Tensor:
    """Scale each vector of the last dimension to unit mean square."""
    return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + 1e-8)


def fir_kernel(like: Tensor, channels: int, gain: float = 1.0) -> Tensor:
    """Return the [1, 3, 3, 1] filter: a depthwise (channels, 1, 4, 4) kernel of sum `gain`."""
    x = torch.arange(4.0, device=like.device)
    taps = (x * (3 - x) + 1) / 8  # [1, 3, 3, 1] without a copy that a GPU has to wait for
    kernel = (taps[:, None] * taps[None, :] * gain).to(like.dtype)
    return kernel.expand(channels, 1, 4, 4)


def blur(x: Tensor, padding: int | tuple[int, int], gain: float = 1.0) -> Tensor:
    """Filter (B, C, H, W) with [1, 3, 3, 1], to (B, C, H + 2 * padding - 3, W + ...).

    The padding with zeros is one number, or one for the height and one for the width.
    """
    channels = x.shape[1]
    if x.is_cuda:  # cuDNN's depthwise convolutions are ten times slower than their memory traffic
        height, width = (padding, padding) if isinstance(padding, int) else padding
        x = F.pad(x, (width, width, height, height))
        for _ in range(3):  # [1, 1] three times is [1, 3, 3, 1]
            x = F.avg_pool2d(x, 2, stride=1)
        return x if gain == 1 else x * gain
    return F.conv2d(x, fir_kernel(x, channels, gain), padding=padding, groups=channels)


def upsample(x: Tensor) -> Tensor:
    """Double the height and width of (B, C, H, W), interpolating with the [1, 3, 3, 1] filter."""
    channels = x.shape[1]
    kernel = fir_kernel(x, channels, gain=4.0)
    return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=channels)


def downsample(x: Tensor) -> Tensor:
    """Halve the height and width of (B, C, H, W) after the [1, 3, 3, 1] filter."""
    # Not strided: the backward pass of a strided depthwise convolution is slow on CPUs.
    return blur(x, padding=1)[:, :, ::2, ::2]
