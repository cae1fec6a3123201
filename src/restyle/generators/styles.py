"""Style space S: the scales of the input channels of every modulated convolution.

Source: Wu, Lischinski and Shechtman, "StyleSpace Analysis: Disentangled Controls for StyleGAN Image
Generation" (CVPR 2021), section 3. One vector (S,) holds the styles of all layers, one after
another; `style_layers` says where each one's begin and end.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from restyle.generators.stylegan2 import Synthesis, ToRGB


@dataclass(frozen=True)
class StyleLayer:
    """Where the styles of one convolution lie in a vector (S,).

    Attributes:
        name: Such as `16.conv0`, `16.conv1` and `16.rgb`: the resolution of its output, and which.
        row: The row of W+ that they come from.
        start: Of its first channel.
        stop: Behind its last channel.
        rgb: Whether it makes colours of features; such styles change colours alone.
    """

    name: str
    row: int
    start: int
    stop: int
    rgb: bool


def style_layers(synthesis: Synthesis) -> tuple[StyleLayer, ...]:
    """Return the layers of a network's styles, in their order in a vector (S,)."""
    found, start = [], 0
    for position, (row, layer) in enumerate(synthesis.modulated()):
        level, kind = divmod(position + 1, 3)  # 4 pixels have no first convolution
        name = f"{4 * 2**level}.{('conv0', 'conv1', 'rgb')[kind]}"
        stop = start + layer.weight.shape[1]
        found.append(StyleLayer(name, row, start, stop, isinstance(layer, ToRGB)))
        start = stop
    return tuple(found)


def affine(synthesis: Synthesis) -> tuple[Tensor, Tensor]:
    """Return the matrix (S, D) and the bias (S,) that make styles of a single code w (D,)."""
    layers = [layer.style for _, layer in synthesis.modulated()]
    matrix = torch.cat([one.weight * one.scale for one in layers])
    return matrix, torch.cat([one.bias * one.lr_multiplier for one in layers])


def channel_name(layers: tuple[StyleLayer, ...], channel: int) -> str:
    """Return the name of a channel of S, such as `16.conv1/42`."""
    layer = next(layer for layer in layers if layer.start <= channel < layer.stop)
    return f"{layer.name}/{channel - layer.start}"
