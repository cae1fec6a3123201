"""StyleGAN2: a mapping network, and synthesis with one latent code per layer.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020): weight
demodulation (section 2.2) and RGB skip connections (section 4.1). One implementation serves every
width and size, and holds the official weights exactly.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restyle.io.pretrained import PretrainedPart
from restyle.nn.layers import GAIN, SLOPE, EqualLinear, blur, leaky_relu, pixel_norm, upsample

Noise = Literal["fixed", "fresh", "none"]

DEEPEST_MAPPING = 64  # the official ones have 8 layers


@dataclass(frozen=True)
class StyleGAN2Config:
    """The shape of a generator.

    Attributes:
        size: Height and width of the images in pixels, a power of two from 16 to 1024.
        z_dim: Width of the mapping network's input.
        w_dim: Width of a latent code.
        channels: Feature maps at 4, 8, 16, ... pixels; empty for the official ones (512 up to 64
            px, then halved with every doubling).
        mapping_layers: Depth of the mapping network.
        label_dim: Number of classes of a conditional mapping network, 0 for none.
        clamp: Largest magnitude of a layer's output; None for no limit. NVIDIA's networks that were
            trained in half precision have one.
    """

    size: int
    z_dim: int = 512
    w_dim: int = 512
    channels: tuple[int, ...] = ()
    mapping_layers: int = 8
    label_dim: int = 0
    clamp: float | None = None

    def __post_init__(self):
        """Check the size and fill in the official channels."""
        if self.size not in (16, 32, 64, 128, 256, 512, 1024):
            raise ValueError(f"size: expected a power of two from 16 to 1024, got {self.size}")
        resolutions = int(math.log2(self.size)) - 1
        official = tuple(min(512, 32768 // 2**level) for level in range(2, resolutions + 2))
        channels = tuple(self.channels) or official
        if len(channels) != resolutions:
            raise ValueError(
                f"channels: expected {resolutions} widths (4 to {self.size} px), got {channels}"
            )
        if not 0 <= self.mapping_layers <= DEEPEST_MAPPING:
            raise ValueError(
                f"mapping_layers: expected 0 to {DEEPEST_MAPPING}, got {self.mapping_layers}"
            )
        object.__setattr__(self, "channels", channels)

    @property
    def num_ws(self) -> int:
        """Number of latent codes that synthesis takes."""
        return 2 * len(self.channels)


class Mapping(nn.Module):
    """From normal z to the latent space W, for class-conditional generators with a label."""

    def __init__(self, config: StyleGAN2Config):
        super().__init__()
        self.label_dim = config.label_dim
        width = config.z_dim
        if config.label_dim:
            self.embed = EqualLinear(config.label_dim, config.w_dim)
            width += config.w_dim
        widths = [width] + [config.w_dim] * config.mapping_layers
        self.layers = nn.ModuleList(
            EqualLinear(a, b, lr_multiplier=0.01)
            for a, b in zip(widths[:-1], widths[1:], strict=True)
        )

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map (B, z_dim) normal vectors and (B, label_dim) one-hot labels to (B, w_dim)."""
        x = pixel_norm(z)
        if self.label_dim:
            if labels is None or labels.shape[-1] != self.label_dim:
                found = None if labels is None else tuple(labels.shape)
                raise ValueError(f"labels: expected (B, {self.label_dim}) one-hot, got {found}")
            x = torch.cat([x, pixel_norm(self.embed(labels))], dim=-1)
        for layer in self.layers:
            x = leaky_relu(layer(x))
        return x


class ModulatedConv(nn.Module):
    """A convolution whose input channels are scaled by a style, without a kernel per sample.

    Scaling the weights of sample b by its style and convolving equals scaling that sample's input,
    then convolving with the shared weights; demodulation scales the output likewise. So one
    ordinary convolution serves the whole batch.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, w_dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.style = EqualLinear(w_dim, in_channels, bias_init=1.0)
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.scale = 1 / math.sqrt(in_channels * kernel * kernel)
        self.clamp: float | None = None

    def limited(self, x: Tensor) -> Tensor:
        """Keep the output within the limit that the network was trained with, if any."""
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)

    def demodulation(self, style: Tensor) -> Tensor:
        """Return what gives output channels unit variance: (B, in) to (B, out), float32."""
        with torch.autocast(style.device.type, enabled=False):
            energy = (self.weight.float() * self.scale).square().sum(dim=(2, 3))  # (out, in)
            return torch.rsqrt(style.float().square() @ energy.t() + 1e-8)


class StyledLayer(ModulatedConv):
    """Modulated 3x3 convolution (at twice the size if `up`), noise, bias and leaky ReLU."""

    noise: Tensor

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, resolution: int, up: bool):
        super().__init__(in_channels, out_channels, 3, w_dim)
        self.up = up
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", torch.randn(1, 1, resolution, resolution))

    def forward(self, x: Tensor, style: Tensor, noise: Noise) -> Tensor:
        """Map (B, in, h, w) features and (B, in) styles to (B, out, resolution, resolution)."""
        weight = self.weight * self.scale
        x = x * style[:, :, None, None].to(x.dtype)
        if self.up:
            x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
            x = blur(x, padding=1, gain=4.0)
        else:
            x = F.conv2d(x, weight, padding=1)
        # The activation's gain is folded into what is added and multiplied before it.
        demodulation = (self.demodulation(style) * GAIN)[:, :, None, None].to(x.dtype)
        bias = (self.bias * GAIN)[None, :, None, None].to(x.dtype)
        x = torch.addcmul(bias, x, demodulation)
        if noise != "none":
            field = self.noise if noise == "fixed" else torch.randn_like(x[:, :1])
            x = x + (field * (self.noise_strength * GAIN)).to(x.dtype)
        return self.limited(F.leaky_relu(x, SLOPE, inplace=True))


class ToRGB(ModulatedConv):
    """A modulated 1x1 convolution to RGB, not demodulated."""

    def __init__(self, in_channels: int, w_dim: int):
        super().__init__(in_channels, 3, 1, w_dim)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Map (B, in, H, W) features and (B, in) styles to (B, 3, H, W)."""
        rgb = F.conv2d(x * style[:, :, None, None].to(x.dtype), self.weight * self.scale)
        return self.limited(rgb + self.bias[None, :, None, None].to(rgb.dtype))


class Synthesis(nn.Module):
    """From one latent code per layer to an image.

    Attributes:
        fade: How much of the last resolution's RGB is added, from 0 to 1: below 1 only while a
            network that was grown by one resolution gets used to it.
    """

    def __init__(self, config: StyleGAN2Config):
        super().__init__()
        channels, w_dim = config.channels, config.w_dim
        self.num_ws = config.num_ws
        self.fade = 1.0
        self.input = nn.Parameter(torch.randn(1, channels[0], 4, 4))
        layers = [StyledLayer(channels[0], channels[0], w_dim, 4, up=False)]
        for level, (before, width) in enumerate(zip(channels[:-1], channels[1:], strict=True), 1):
            resolution = 4 * 2**level
            layers.append(StyledLayer(before, width, w_dim, resolution, up=True))
            layers.append(StyledLayer(width, width, w_dim, resolution, up=False))
        self.layers = nn.ModuleList(layers)
        to_rgbs = [ToRGB(width, w_dim) for width in channels]
        self.to_rgbs = nn.ModuleList(to_rgbs)
        for layer in (*layers, *to_rgbs):
            layer.clamp = config.clamp

    def forward(self, ws: Tensor, noise: Noise = "fixed", resolution: int | None = None) -> Tensor:
        """Render latent codes.

        Args:
            ws: (B, num_ws, w_dim) codes: layer k takes row k, the RGB of resolution 4 * 2**j row 2j
                + 1.
            noise: "fixed" adds the stored noise, "fresh" new random noise, "none" no noise.
            resolution: Stop at this height and width, a power of two; the full size if not given.

        Returns:
            (B, 3, H, W) images, RGB in [-1, 1], not clamped.

        Raises:
            ValueError: If `ws` has another number of rows than the network has layers.
        """
        return self.render(self.styles(ws), noise, resolution)

    def modulated(self) -> list[tuple[int, ModulatedConv]]:
        """Return all modulated convolutions in the order of the styles, each with its row of ws."""
        found: list[tuple[int, nn.Module]] = [(0, self.layers[0]), (1, self.to_rgbs[0])]
        for level in range(1, len(self.to_rgbs)):
            row = 2 * level - 1
            found += [(row, self.layers[row]), (row + 1, self.layers[row + 1])]
            found.append((row + 2, self.to_rgbs[level]))
        return cast(list[tuple[int, ModulatedConv]], found)

    def styles(self, ws: Tensor) -> list[Tensor]:
        """Return the styles (B, in) of each modulated convolution, in the order of `modulated`.

        Raises:
            ValueError: If `ws` has another number of rows than the network has layers.
        """
        if ws.ndim != 3 or ws.shape[1] != self.num_ws:
            raise ValueError(
                f"ws: expected (B, {self.num_ws}, w_dim) latent codes, got {tuple(ws.shape)}"
            )
        return [layer.style(ws[:, row]) for row, layer in self.modulated()]

    def render(
        self,
        styles: Sequence[Tensor],
        noise: Noise = "fixed",
        resolution: int | None = None,
        maps: list[Tensor] | None = None,
    ) -> Tensor:
        """Render styles as `styles` returns them; all else is as in `forward`.

        What `features` computes of 4, 8, 16, ... pixels is added to `maps`, if they are given.
        """
        x = self.layers[0](self._constant(styles[0]), styles[0], noise)
        rgb = self.to_rgbs[0](x, styles[1])
        if maps is not None:
            maps.append(x)
        for level in range(1, len(self.to_rgbs)):
            if x.shape[-1] == resolution:
                break
            up, conv, to_rgb = styles[3 * level - 1 : 3 * level + 2]
            x = self.layers[2 * level - 1](x, up, noise)
            x = self.layers[2 * level](x, conv, noise)
            if maps is not None:
                maps.append(x)
            fade = self.fade if level == len(self.to_rgbs) - 1 else 1.0
            rgb = torch.add(upsample(rgb), self.to_rgbs[level](x, to_rgb), alpha=fade)
        return rgb.contiguous()

    def features(self, ws: Tensor, resolution: int, noise: Noise = "fixed") -> Tensor:
        """Compute a feature map: what the layers up to a height and width make of codes.

        Args:
            ws: As `forward` takes them; rows of later layers change nothing.
            resolution: Of the map, a power of two from 4 to the full size.
            noise: As `forward` takes it.

        Returns:
            (B, C, resolution, resolution), before the conversion to RGB.

        Raises:
            ValueError: Another resolution, or another number of rows.
        """
        if not 4 <= resolution <= 4 * 2 ** (len(self.to_rgbs) - 1) or resolution.bit_count() != 1:
            raise ValueError(f"expected a map of a power of two up to the size, got {resolution}")
        styles = self.styles(ws)
        x = self._constant(styles[0])
        for row in range(2 * resolution.bit_length() - 5):
            x = self.layers[row](x, styles[row + (row + 1) // 2], noise)
        return x

    def _constant(self, style: Tensor) -> Tensor:
        """Return the learned input (B, C, 4, 4), for each of so many styles."""
        x = self.input.expand(style.shape[0], -1, -1, -1)  # len() would fix the batch of an export
        return x.contiguous(memory_format=torch.channels_last)


class StyleGAN2(nn.Module, PretrainedPart):
    """A StyleGAN2 generator.

    Attributes:
        config: Its shape.
        mapping: (B, z_dim) to (B, w_dim).
        synthesis: (B, num_ws, w_dim) to (B, 3, size, size) in [-1, 1].
        w_avg: (w_dim,) average latent code.
    """

    kind = "generator"
    config_class = StyleGAN2Config
    config: StyleGAN2Config
    w_avg: Tensor

    def __init__(self, config: StyleGAN2Config):
        super().__init__()
        self.config = config
        self.mapping = Mapping(config)
        self.synthesis = Synthesis(config)
        self.register_buffer("w_avg", torch.zeros(config.w_dim))

    @property
    def num_ws(self) -> int:
        """Number of latent codes that synthesis takes."""
        return self.config.num_ws

    def broadcast(self, w: Tensor) -> Tensor:
        """Repeat codes for every layer: (B, w_dim) to (B, num_ws, w_dim)."""
        return w.unsqueeze(1).expand(-1, self.num_ws, -1)

    def truncate(self, ws: Tensor, psi: float, cutoff: int | None = None) -> Tensor:
        """Pull codes towards the average.

        Args:
            ws: (B, w_dim) or (B, num_ws, w_dim) codes.
            psi: 1 leaves them alone, 0 gives the average.
            cutoff: Only the first N rows of (B, num_ws, w_dim) codes; all of them if None.
        """
        pulled = self.w_avg.lerp(ws, psi)
        if cutoff is None or ws.ndim == 2:
            return pulled
        return torch.cat([pulled[:, :cutoff], ws[:, cutoff:]], dim=1)

    def forward(
        self,
        z: Tensor,
        labels: Tensor | None = None,
        psi: float = 1.0,
        noise: Noise = "fixed",
    ) -> Tensor:
        """Generate images from (B, z_dim) normal vectors: (B, 3, size, size) in [-1, 1]."""
        w = self.truncate(self.mapping(z, labels), psi)
        return self.synthesis(self.broadcast(w), noise)

    @torch.no_grad()
    def sample_w(self, n: int, seed: int = 0) -> Tensor:
        """Map n seeded normal vectors (and classes) to (n, w_dim), the same on every device.

        Raises:
            ValueError: `n` is below 1, or the seed is none.
        """
        if n < 1:
            raise ValueError(f"expected n of at least 1, got {n}")
        if not 0 <= seed < 2**63:
            raise ValueError(f"expected a seed from 0 to 2^63 - 1, got {seed}")
        random = torch.Generator().manual_seed(seed)
        z = torch.randn(n, self.config.z_dim, generator=random).to(self.w_avg).split(1024)
        if not self.config.label_dim:
            return torch.cat([self.mapping(chunk) for chunk in z])
        classes = torch.randint(self.config.label_dim, (n,), generator=random)
        labels = F.one_hot(classes, self.config.label_dim).to(self.w_avg).split(1024)
        return torch.cat([self.mapping(*chunk) for chunk in zip(z, labels, strict=True)])

    def sample_ws(self, n: int, seed: int = 0, truncation: float = 1.0) -> Tensor:
        """Return the codes (n, num_ws, w_dim) of numbered pictures.

        Args:
            n: How many.
            seed: Of the first one; each further one has the next seed, whatever `n` is.
            truncation: 1 for the generator's full variety, 0 for the average code.

        Raises:
            ValueError: `n` is below 1, or the seed is none.
        """
        if n < 1:
            raise ValueError(f"expected n of at least 1, got {n}")
        w = torch.cat([self.sample_w(1, seed + k) for k in range(n)])
        return self.broadcast(self.truncate(w, truncation))

    def estimate_w_avg(self, samples: int = 10_000, seed: int = 0) -> Tensor:
        """Return the mean of `sample_w`: (w_dim,)."""
        return self.sample_w(samples, seed).mean(dim=0)
