"""StyleGAN2's synthesis for inference on CPUs: the same images, several times faster.

What does not change between images is computed once (the equalised learning rates' scales, the
activation's gain, the weights' energies of demodulation). Each image then has its own weights, its
styles and their demodulation multiplied in, which makes the network an ordinary one for that image;
and the levels are computed in bands of rows. A whole map of 1024 pixels has 134 MB: a pass over it
waits for the memory, and fresh memory of that size is first cleared by the operating system, a page
at a time. A band stays in the cache.
"""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from restyle.generators.stylegan2 import ModulatedConv, StyledLayer, Synthesis, ToRGB
from restyle.nn.layers import GAIN, SLOPE, blur

BAND = 64  # rows; with the official widths a band has 8 MB at every level from 64 px on
FRAME = 2  # rows of zeros above and below a map: what the convolutions of a band see beyond it


class FoldedSynthesis:
    """Renders as a `Synthesis` does, without gradients and with the noise that it stores.

    It holds copies of the weights; those of a `Synthesis` that is changed afterwards are not seen.

    Attributes:
        num_ws: Number of latent codes that it takes.
    """

    @torch.no_grad()
    def __init__(self, synthesis: Synthesis, dtype: torch.dtype = torch.float32):
        """Take a network's weights.

        Args:
            synthesis: On the CPU.
            dtype: The precision of weights and feature maps; the RGB image is summed in float32.
        """
        self.num_ws = synthesis.num_ws
        self.input = synthesis.input.to(dtype)
        self._rows = [(row, _folded(layer, dtype)) for row, layer in synthesis.modulated()]
        self.layers = [fold for _, fold in self._rows if isinstance(fold, _Layer)]
        self.to_rgbs = [fold for _, fold in self._rows if isinstance(fold, _Output)]
        self.fade = synthesis.fade

    @torch.no_grad()
    def __call__(self, ws: Tensor, resolution: int | None = None) -> Tensor:
        """Render codes (B, num_ws, w_dim): (B, 3, H, W) images in [-1, 1], float32, not clamped.

        The height and width are `resolution`, a power of two; the full size if None.
        """
        return self.render([fold.style(ws[:, row]) for row, fold in self._rows], resolution)

    def render(self, styles: Sequence[Tensor], resolution: int | None = None) -> Tensor:
        """Render styles (B, in) of each convolution, in the order of `Synthesis.modulated`."""
        each = zip(*(part.split(1) for part in styles), strict=True)
        return torch.cat([self._render(one, resolution) for one in each])

    def _render(self, styles: Sequence[Tensor], resolution: int | None) -> Tensor:
        """Render one image (1, 3, H, W) from the styles (1, in) of each convolution."""
        first = self.layers[0]
        x = _framed(self.input.shape[1], 4, self.input.dtype)
        bare = x[:, :, FRAME:-FRAME]
        bare.copy_(first.finish(F.conv2d(self.input, *first.modulated(styles[0]), padding=1), 0))
        rgb = self.to_rgbs[0].convolve(bare, *self.to_rgbs[0].modulated(styles[1]))
        for level in range(1, len(self.to_rgbs)):
            if rgb.shape[-1] == resolution:
                break
            rgb = _doubled(rgb)
            x = self._level(level, x, rgb, styles[3 * level - 1 : 3 * level + 2])
        return rgb.contiguous()

    def _level(self, level: int, x: Tensor, rgb: Tensor, styles: Sequence[Tensor]) -> Tensor:
        """Double the resolution of framed features, and add what they show to the RGB image."""
        row = 2 * level - 1
        up, conv, to_rgb = self.layers[row], self.layers[row + 1], self.to_rgbs[level]
        up_weights, conv_weights = up.modulated(styles[0]), conv.modulated(styles[1])
        rgb_weights = to_rgb.modulated(styles[2])
        size = rgb.shape[-1]
        last = level == len(self.to_rgbs) - 1
        result = x if last else _framed(conv.channels, size, x.dtype)
        for start in range(0, size, BAND):
            stop = min(start + BAND, size)
            y = up.double(x, *up_weights, start, stop)
            y = conv.finish(F.conv2d(y, *conv_weights, padding=(0, 1)), start)
            fresh = to_rgb.convolve(y, *rgb_weights)
            rgb[:, :, start:stop].add_(fresh, alpha=self.fade if last else 1.0)
            if not last:
                result[:, :, start + FRAME : stop + FRAME] = y
        return result


class _Modulated:
    """The constants of a modulated convolution."""

    def __init__(self, layer: ModulatedConv, dtype: torch.dtype, gain: float):
        self.dtype = dtype
        self.clamp = layer.clamp
        self.style_weight = layer.style.weight * layer.style.scale
        self.style_bias = layer.style.bias
        self.weight = layer.weight * (layer.scale * gain)
        self.bias = layer.bias * gain
        self.channels = len(self.bias)

    def style(self, w: Tensor) -> Tensor:
        """Return factors of the input channels, (B, in), from codes (B, w_dim)."""
        return F.linear(w, self.style_weight, self.style_bias)

    def limited(self, x: Tensor) -> Tensor:
        """Keep the output within the limit that the network was trained with, if any."""
        return x if self.clamp is None else x.clamp_(-self.clamp, self.clamp)


class _Output(_Modulated):
    """A modulated 1x1 convolution to RGB."""

    def __init__(self, layer: ToRGB, dtype: torch.dtype):
        super().__init__(layer, dtype, gain=1.0)

    def modulated(self, style: Tensor) -> tuple[Tensor, Tensor]:
        """Return weight (3, in, 1, 1) and bias (3,) for a style (1, in)."""
        weight = self.weight * style[:, :, None, None]
        return weight.to(self.dtype), self.bias.to(self.dtype)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Map (1, in, rows, W) features to (1, 3, rows, W) RGB, float32."""
        return self.limited(F.conv2d(x, weight, bias).float())


class _Layer(_Modulated):
    """A modulated 3x3 convolution with demodulation, noise, bias and leaky ReLU."""

    def __init__(self, layer: StyledLayer, dtype: torch.dtype):
        super().__init__(layer, dtype, gain=GAIN)
        energy = (layer.weight * layer.scale).square().sum(dim=(2, 3))  # (out, in)
        self.energy = energy.t().contiguous()
        self.up = layer.up
        if self.up:
            self.weight = self.weight.transpose(0, 1)  # as a transposed convolution
        self.weight = self.weight.contiguous(memory_format=torch.channels_last)
        self.noise = (layer.noise * (layer.noise_strength * GAIN)).to(dtype)

    def modulated(self, style: Tensor) -> tuple[Tensor, Tensor]:
        """Return a style's weight (out, in, 3, 3), (in, out, 3, 3) if `up`, and its bias."""
        style = style[0]
        demodulation = torch.rsqrt(style.square() @ self.energy + 1e-8)
        factors = torch.outer(style, demodulation) if self.up else torch.outer(demodulation, style)
        weight = self.weight * factors[:, :, None, None]
        return weight.to(self.dtype), self.bias.to(self.dtype)

    def finish(self, x: Tensor, start: int) -> Tensor:
        """Add noise to rows from `start` on, then activate, in place."""
        x += self.noise[:, :, start : start + x.shape[2]]
        return self.limited(F.leaky_relu_(x, SLOPE))

    def double(self, x: Tensor, weight: Tensor, bias: Tensor, start: int, stop: int) -> Tensor:
        """Compute rows `start` - 1 to `stop` + 1 of an `up` layer's output, those beyond it zero.

        Args:
            x: (1, in, h + 2 * FRAME, w) framed features.
            weight: (in, out, 3, 3).
            bias: (out,).
            start: Even.
            stop: Even.
        """
        size = self.noise.shape[-1]
        rows = x[:, :, start // 2 : stop // 2 + 2 * FRAME]
        y = F.conv_transpose2d(rows, weight, stride=2, padding=(1, 0))
        y = blur(y, (0, 1), gain=4.0)[:, :, 1:-1]
        y += bias[:, None, None]
        inside = slice(int(start == 0), y.shape[2] - int(stop == size))
        self.finish(y[:, :, inside], max(start - 1, 0))
        if start == 0:
            y[:, :, 0] = 0
        if stop == size:
            y[:, :, -1] = 0
        return y


def _folded(layer: ModulatedConv, dtype: torch.dtype) -> _Layer | _Output:
    if isinstance(layer, ToRGB):
        return _Output(layer, dtype)
    return _Layer(cast(StyledLayer, layer), dtype)


def _doubled(rgb: Tensor) -> Tensor:
    """Upsample (1, 3, H, W) as `upsample` does: [1, 3, 3, 1] is bilinear, with zeros around."""
    larger = F.interpolate(F.pad(rgb, (1, 1, 1, 1)), scale_factor=2.0, mode="bilinear")
    return larger[:, :, 2:-2, 2:-2].contiguous()


def _framed(channels: int, size: int, dtype: torch.dtype) -> Tensor:
    """Make room for a square map between rows of zeros, (1, channels, size + 2 * FRAME, size)."""
    shape = (1, channels, size + 2 * FRAME, size)
    x = torch.empty(shape, dtype=dtype, memory_format=torch.channels_last)
    x[:, :, :FRAME] = 0
    x[:, :, -FRAME:] = 0
    return x
