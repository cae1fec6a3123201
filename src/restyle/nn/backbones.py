"""Convolutional trunks that encoders and feature networks are built on.

A trunk is a stem and a few stages; every stage halves the resolution of its input in its first unit
(a first stage behind a stem that halves is the exception). Families differ in the stem and in the
unit: IR-SE (Deng et al., "ArcFace", CVPR 2019, with the squeeze-and-excitation of Hu et al., CVPR
2018), the plain residual network of He et al. (CVPR 2016), and that of the portraits' feature
networks.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Family = Literal["ir_se", "ir_se_strided", "resnet", "bottleneck", "features"]
Unit = Callable[[int, int, int], nn.Module]

IR_SE50 = {"widths": (64, 64, 128, 256, 512), "units": (3, 4, 14, 3)}
RESNET34 = {"widths": (64, 64, 128, 256, 512), "units": (3, 4, 6, 3)}


class Trunk(nn.Module):
    """A stem and stages of residual units; the last map is at 1 / 2**stages of the input's size.

    Attributes:
        stem: The first convolution, with its normalisation and activation.
        stages: One sequence of units for each resolution.
        widths: Channels of the stem and of each stage.
    """

    def __init__(
        self, family: Family, in_channels: int, widths: Sequence[int], units: Sequence[int]
    ):
        """Build a trunk.

        Args:
            family: `"ir_se"`, `"ir_se_strided"` with the residual network's stem, `"resnet"`,
                `"bottleneck"` for the deeper residual networks, or `"features"`.
            in_channels: Channels of the input.
            widths: Channels of the stem, then of each stage.
            units: How many units each stage has.

        Raises:
            ValueError: An unknown family, or widths and units that do not fit together.
        """
        super().__init__()
        if len(widths) != len(units) + 1:
            raise ValueError(
                f"expected {len(units) + 1} widths (the stem, {len(units)} stages), got {widths}"
            )
        if family not in _FAMILIES:
            raise ValueError(f"expected a family of {sorted(_FAMILIES)}, got {family!r}")
        kernel, stem_stride, activation, unit, first_stride = _FAMILIES[family]
        strides = [first_stride] + [2] * (len(units) - 1)
        self.widths = tuple(widths)
        self.stem = convolution(in_channels, widths[0], kernel, stem_stride)
        self.stem.append(activation(widths[0]))
        self.stages = nn.ModuleList(
            _stage(unit, before, width, count, stride)
            for (before, width), count, stride in zip(pairwise(widths), units, strides, strict=True)
        )

    def maps(self, x: Tensor) -> list[Tensor]:
        """Return the map after each stage of (B, in_channels, h, w), map i at 1 / 2**(i + 1)."""
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Return the last map: (B, in_channels, h, w) to (B, widths[-1], h / 2**stages, ...)."""
        return self.maps(x)[-1]


class ArcFace(nn.Module):
    """A face embedding network: an IR-SE trunk over 112 x 112 pixels and a linear layer.

    Source: Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR
        2019.

    Attributes:
        trunk: From 112 x 112 to 7 x 7 pixels.
    """

    def __init__(self, trunk: Trunk, dimensions: int = 512):
        """Build the output layers over a trunk of four stages."""
        super().__init__()
        self.trunk = trunk
        self.norm = nn.BatchNorm2d(trunk.widths[-1])
        self.project = nn.Linear(trunk.widths[-1] * 7 * 7, dimensions)
        self.standardise = nn.BatchNorm1d(dimensions)

    def embed(self, images: Tensor) -> Tensor:
        """Map faces (B, 3, 112, 112), RGB in [-1, 1], to (B, dimensions) of unit length."""
        x = self.standardise(self.project(self.norm(self.trunk(images)).flatten(1)))
        return x / x.norm(dim=1, keepdim=True)


class SqueezeExcitation(nn.Module):
    """Scale each channel by a gate computed from all channels' means (Hu et al., eq. 2 to 4)."""

    def __init__(self, channels: int, reduction: int = 16):
        """Build the gate for `channels`, through `channels // reduction` hidden ones."""
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // reduction, 1, bias=False)
        self.excite = nn.Conv2d(channels // reduction, channels, 1, bias=False)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to the same shape."""
        means = x.mean(dim=(2, 3), keepdim=True)
        return x * self.excite(self.act(self.squeeze(means))).sigmoid()


class PReLU(nn.PReLU):
    """A PReLU whose gradient is made of plain arithmetic where it is needed.

    On CPUs the built-in backward pass is two to four times slower than that of this form, the
    built-in forward pass faster; the values are the same.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        x = input
        if not (x.requires_grad and x.device.type == "cpu"):
            return super().forward(x)
        positive = x.relu()
        return torch.addcmul(positive, x - positive, self.weight.view(-1, 1, 1).to(x.dtype))


class Subsample(nn.Module):
    """Keep every `stride`-th row and column."""

    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C, H / stride, W / stride)."""
        return x[..., :: self.stride, :: self.stride]


class IRSEUnit(nn.Module):
    """ArcFace's residual unit: a norm before the first convolution, the stride in the second."""

    def __init__(self, in_channels: int, channels: int, stride: int):
        """Build a unit from `in_channels` to `channels`, at 1 / `stride` of the resolution."""
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.act = PReLU(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.gate = SqueezeExcitation(channels)
        self.shortcut = (
            Subsample(stride)
            if in_channels == channels
            else convolution(in_channels, channels, 1, stride)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, channels, H / stride, W / stride)."""
        y = self.conv2(self.act(self.conv1(self.norm1(x))))
        return self.gate(self.norm2(y)) + self.shortcut(x)


class ResidualUnit(nn.Module):
    """The basic residual unit: two convolutions, the stride in the first."""

    def __init__(self, in_channels: int, channels: int, stride: int):
        """Build a unit from `in_channels` to `channels`, at 1 / `stride` of the resolution."""
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.act = nn.ReLU(inplace=True)
        self.shortcut = (
            nn.Identity()
            if in_channels == channels and stride == 1
            else convolution(in_channels, channels, 1, stride)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, channels, H / stride, W / stride)."""
        y = self.norm2(self.conv2(self.act(self.norm1(self.conv1(x)))))
        return self.act(y + self.shortcut(x))


class Bottleneck(nn.Module):
    """The residual unit of the deeper networks: 1x1, 3x3 with the stride, 1x1 convolutions."""

    def __init__(self, in_channels: int, channels: int, stride: int):
        """Build a unit from `in_channels` to `channels`, through a quarter of these."""
        super().__init__()
        self.conv1, self.norm1 = convolution(in_channels, channels // 4, 1, 1)
        self.conv2, self.norm2 = convolution(channels // 4, channels // 4, 3, stride)
        self.conv3, self.norm3 = convolution(channels // 4, channels, 1, 1)
        self.act = nn.ReLU()
        self.shortcut = (
            nn.Identity()
            if in_channels == channels and stride == 1
            else convolution(in_channels, channels, 1, stride)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_channels, H, W) to (B, channels, H / stride, W / stride)."""
        y = self.act(self.norm1(self.conv1(x)))
        y = self.act(self.norm2(self.conv2(y)))
        return self.act(self.norm3(self.conv3(y)) + self.shortcut(x))


class Halving(nn.Sequential):
    """A strided convolution, then a residual unit of two further ones: a level of features."""

    def __init__(self, in_channels: int, channels: int, stride: int):
        """Build a unit from `in_channels` to `channels`, at 1 / `stride` of the resolution."""
        first = convolution(in_channels, channels, 3, stride)
        super().__init__(first, nn.ReLU(), Residual(channels))


class Residual(nn.Module):
    """A residual unit of two 3x3 convolutions at one resolution."""

    def __init__(self, width: int):
        super().__init__()
        self.first = convolution(width, width, 3, 1)
        self.second = convolution(width, width, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        return functional.relu(x + self.second(functional.relu(self.first(x))))


def convolution(in_channels: int, channels: int, kernel: int, stride: int) -> nn.Sequential:
    """Build a padded convolution, square, with a batch norm in the place of its bias."""
    padding = kernel // 2
    conv = nn.Conv2d(in_channels, channels, kernel, stride, padding=padding, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels))


def _stage(unit: Unit, in_channels: int, channels: int, count: int, stride: int) -> nn.Sequential:
    first = unit(in_channels, channels, stride)
    return nn.Sequential(first, *(unit(channels, channels, 1) for _ in range(count - 1)))


# Kernel, stride and activation of the stem, the unit, and the first stage's stride. ReStyle's
# variant of the residual network has no max-pooling in its stem, and a PReLU instead of the ReLU.
_FAMILIES: dict[str, tuple[int, int, Callable[[int], nn.Module], Unit, int]] = {
    "ir_se": (3, 1, PReLU, IRSEUnit, 2),
    "ir_se_strided": (7, 2, PReLU, IRSEUnit, 1),
    "resnet": (7, 2, PReLU, ResidualUnit, 1),
    "bottleneck": (7, 2, PReLU, Bottleneck, 1),
    "features": (3, 1, lambda _: nn.ReLU(), Halving, 2),
}
