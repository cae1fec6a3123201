"""MoCo's features: what an image shows, learned without labels, for domains other than faces.

The similarity loss of Tov et al., "Designing an Encoder for StyleGAN Image Manipulation" (SIGGRAPH
2021), section 5: one minus the cosine of the features of a ResNet-50 that Chen et al., "Improved
Baselines with Momentum Contrastive Learning" (2020), trained. The distance itself is
`restyle.losses.identity.identity`.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

SIZE = 224  # what the network was trained on
RESNET50_UNITS = (3, 4, 6, 3)
_EXPANSION = 4


class Bottleneck(nn.Module):
    """The residual unit of the deeper networks of He et al. (CVPR 2016): 1x1, 3x3, 1x1."""

    def __init__(self, in_channels: int, channels: int, stride: int):
        """Build a unit from `in_channels` to 4 * `channels`."""
        super().__init__()
        out = _EXPANSION * channels
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(out)
        self.shortcut = nn.Sequential()
        if in_channels != out or stride != 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, h, w) to (B, 4 * channels, h / stride, w / stride)."""
        y = F.relu(self.norm1(self.conv1(x)))
        y = F.relu(self.norm2(self.conv2(y)))
        return F.relu(self.norm3(self.conv3(y)) + self.shortcut(x))


class MoCo(nn.Module):
    """A residual network of bottlenecks up to its mean over all places."""

    def __init__(self, units: Sequence[int] = RESNET50_UNITS, width: int = 64):
        """Build a network with random weights; by default MoCo's ResNet-50."""
        super().__init__()
        self.conv = nn.Conv2d(3, width, 7, 2, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.stages = nn.ModuleList()
        before = width
        for level, count in enumerate(units):
            channels, stage = width * 2**level, nn.Sequential()
            for unit in range(count):
                stride = 2 if level and not unit else 1
                stage.append(Bottleneck(before, channels, stride))
                before = _EXPANSION * channels
            self.stages.append(stage)

    def embed(self, images: Tensor) -> Tensor:
        """Compute features (B, 2048) of unit length from images (B, 3, h, w), RGB in [-1, 1].

        As in e4e, images are resized by repeating or leaving out pixels, and ImageNet's statistics
        are not used.
        """
        x = F.interpolate(images, (SIZE, SIZE), mode="nearest")
        x = F.max_pool2d(F.relu(self.norm(self.conv(x))), 3, 2, padding=1)
        for stage in self.stages:
            x = stage(x)
        return F.normalize(x.float().mean(dim=(2, 3)), dim=1)
