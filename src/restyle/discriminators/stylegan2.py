"""The StyleGAN2 discriminator: a residual network with a minibatch standard deviation.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020), section 4.1; the
minibatch statistic is from "Progressive Growing of GANs" (ICLR 2018), section 3.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restyle.nn.layers import EqualConv2d, EqualLinear, downsample, leaky_relu


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The shape of a discriminator.

    Attributes:
        size: Height and width of the images in pixels.
        channels: Feature maps at 4, 8, 16, ... `size` pixels.
        group: How many images share one minibatch statistic.
        detail: How much fine detail is amplified that the discriminator sees beside the image; 0
            for the image alone. Images have little power there, and an untrained network passes on
            next to nothing of it: amplified, blur is told from sharpness in a tenth of the steps.
    """

    size: int
    channels: tuple[int, ...]
    group: int = 4
    detail: float = 0.0


class ResidualBlock(nn.Module):
    """Two convolutions and a skip connection, to half the size."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv = EqualConv2d(in_channels, in_channels, 3)
        self.down = EqualConv2d(in_channels, out_channels, 3, down=True)
        self.skip = EqualConv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, out_channels, H / 2, W / 2)."""
        skip = self.skip(downsample(x))
        x = leaky_relu(self.down(leaky_relu(self.conv(x))))
        return (x + skip) / math.sqrt(2)


class Discriminator(nn.Module):
    """Scores images: high for those that look like the data.

    Attributes:
        fade: Weight of the finest block against the `coarse` path around it, from 0 to 1: below 1
            only while a discriminator that was grown by one resolution gets used to it.
    """

    def __init__(self, config: DiscriminatorConfig):
        super().__init__()
        self.config = config
        self.fade = 1.0
        widths = config.channels[::-1]  # from the finest resolution down
        self.from_rgb = EqualConv2d(6 if config.detail else 3, widths[0], 1)
        self.coarse = EqualConv2d(3, widths[1], 1)
        self.blocks = nn.ModuleList(
            ResidualBlock(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True)
        )
        self.last = EqualConv2d(widths[-1] + 1, widths[-1], 3)
        self.hidden = EqualLinear(widths[-1] * 16, widths[-1])
        self.score = EqualLinear(widths[-1], 1)

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, 3, size, size) images in [-1, 1] to (B,) scores."""
        images = images.contiguous(memory_format=torch.channels_last)
        x = self.blocks[0](leaky_relu(self.from_rgb(self._with_detail(images))))
        if self.fade < 1:
            x = torch.lerp(leaky_relu(self.coarse(downsample(images))).to(x.dtype), x, self.fade)
        for block in self.blocks[1:]:
            x = block(x)
        x = torch.cat([x, minibatch_deviation(x, self.config.group)], dim=1)
        x = leaky_relu(self.last(x))
        x = leaky_relu(self.hidden(x.flatten(1)))
        return self.score(x).squeeze(1)

    def _with_detail(self, images: Tensor) -> Tensor:
        if not self.config.detail:
            return images
        smooth = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        return torch.cat([images, (images - smooth) * self.config.detail], dim=1)


def minibatch_deviation(x: Tensor, group: int) -> Tensor:
    """Measure how features vary over groups of a batch: (B, C, H, W) to constant (B, 1, H, W)."""
    batch, _, height, width = x.shape
    group = math.gcd(batch, group)
    grouped = x.float().reshape(group, batch // group, *x.shape[1:])
    deviation = (grouped.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    return deviation.to(x.dtype).repeat(group).view(batch, 1, 1, 1).expand(batch, 1, height, width)
