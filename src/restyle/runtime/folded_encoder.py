"""Encoders for inference on CPUs: the same codes, with less to do.

A batch norm after a convolution becomes part of the convolution, exactly. The one before an IR
unit's first convolution stays: its shift does not reach the zeros that the convolution pads with,
so folding it in would need another bias along the border, and it costs less than 1% of the time.
"""

from copy import deepcopy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from restyle.encoders.encoder import Encoder
from restyle.encoders.heads import halving_windows
from restyle.nn.backbones import IRSEUnit, ResidualUnit

CHUNK = 2**22  # values: maps of 16 MB stay in the cache, and malloc does not return their memory

# What is convolved and then normalised, by the names of the layers.
_PAIRS = {
    nn.Sequential: [("0", "1")],
    IRSEUnit: [("conv2", "norm2")],
    ResidualUnit: [("conv1", "norm1"), ("conv2", "norm2")],
}


@torch.no_grad()
def folded(encoder: Encoder, dtype: torch.dtype = torch.float32) -> Encoder:
    """Make an encoder for inference on CPUs.

    Args:
        encoder: In evaluation mode, its weights laid out channels last.
        dtype: The precision of weights, maps and the images that go in; codes are float32.

    Returns:
        A copy that computes the same. In float32 it shares the heads' weights, which are most of
        them.
    """
    copy = without_norms(encoder)
    copy.trunk.to(memory_format=torch.channels_last)  # pyright: ignore - no overload for it
    stages = copy.trunk.stages
    stages[0] = _InChunks(nn.Sequential(copy.trunk.stem, stages[0]), copy.trunk.widths[0])
    copy.trunk.stem = nn.Sequential()
    for i in range(1, len(stages)):
        stages[i] = _InChunks(stages[i], copy.trunk.widths[i + 1])
    for head in copy.heads:
        head.first = _WindowedConv(cast(nn.Conv2d, head.first))
    return in_precision(copy, dtype)


def in_precision(encoder: Encoder, dtype: torch.dtype) -> Encoder:
    """Give an encoder's maps a precision; what looks at none, and places, stay in float32."""
    if (heads := encoder.attributes) is None:
        return encoder.to(dtype)
    grid = heads.pointer.grid
    encoder.to(dtype)
    heads.pointer.grid = grid
    for part in (heads.hidden, heads.values, heads.logits, encoder.attribute_codes):
        part.float()
    return encoder


@torch.no_grad()
def without_norms(encoder: Encoder) -> Encoder:
    """Copy an encoder, batch norms after convolutions made part of these; it shares the heads."""
    shared = {id(p): nn.Parameter(p.data, requires_grad=False) for p in encoder.heads.parameters()}
    copy = deepcopy(encoder, shared)
    _fold_norms(copy.trunk)
    if copy.attributes is not None:
        _fold_norms(copy.attributes)
    return copy


class _InChunks(nn.Module):
    """Layers that see only so many images at once that their maps, laid out channels last, fit."""

    def __init__(self, layers: nn.Module, channels: int):
        """Take layers whose largest map has `channels` channels at the input's resolution."""
        super().__init__()
        self.layers = layers
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """Return what the layers give for (B, C, H, W)."""
        images = max(1, CHUNK // (self.channels * x.shape[-2] * x.shape[-1]))
        x = x.contiguous(memory_format=torch.channels_last)
        return torch.cat([self.layers(part) for part in x.split(images)])


class _WindowedConv(nn.Module):
    """A 3x3 convolution of stride 2 as one matrix product: faster where maps are small and wide."""

    def __init__(self, conv: nn.Conv2d):
        """Take a convolution; no copy of its weights if they are laid out channels last."""
        super().__init__()
        self.weight = nn.Parameter(conv.weight.permute(0, 2, 3, 1).flatten(1), requires_grad=False)
        self.bias = conv.bias

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in, H, W) to (B, out, H / 2, W / 2)."""
        windows = halving_windows(x.permute(0, 2, 3, 1))  # (B, H / 2, W / 2, 9 * in)
        return nn.functional.linear(windows, self.weight, self.bias).permute(0, 3, 1, 2)


def _fold_norms(network: nn.Module) -> None:
    for module in network.modules():
        for first, second in _PAIRS.get(type(module), ()):
            conv, norm = getattr(module, first, None), getattr(module, second, None)
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, first, fuse_conv_bn_eval(conv, norm))
                setattr(module, second, nn.Identity())
