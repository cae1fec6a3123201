"""Running a frozen generator and encoder: the fastest way that gives the same numbers."""

from collections.abc import Callable, Hashable
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from restyle.encoders import Encoder
from restyle.generators.stylegan2 import StyleGAN2, Synthesis
from restyle.runtime.devices import autocast
from restyle.runtime.folded_encoder import folded
from restyle.runtime.folded_synthesis import FoldedSynthesis

Network = TypeVar("Network", bound=nn.Module)
Made = TypeVar("Made")
FOLDED_DTYPES = (torch.float32, torch.bfloat16)


class Inference:
    """Runs both networks of a model.

    On CPUs, where nothing is trained or differentiated, they run in their folded form; it is made
    when it is first needed, and made again when a weight has changed. Else they run as they are,
    in lower precision by automatic mixed precision, and compiled if that was asked for.

    Attributes:
        dtype: The precision of the convolutions.
        compiled: Whether `torch.compile` is used instead of the folded form.
    """

    def __init__(self, generator: StyleGAN2, encoder: Encoder | None):
        """Take two frozen networks, in evaluation mode; their weights are laid out channels last.

        Args:
            generator: On the same device as the encoder.
            encoder: It predicts codes that the generator takes; None to render only.
        """
        self.generator = _channels_last(generator)
        self.encoder = None if encoder is None else _channels_last(encoder)
        self.dtype = torch.float32
        self.compiled = False
        self._made: dict[type, tuple[Hashable, object]] = {}

    def encode(
        self, x: Tensor, ws: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Predict codes or residuals and a state from what `Encoder.forward` takes."""
        encoder = self.encoder
        if encoder is None:
            raise ValueError("expected a model with an encoder, got a generator alone")
        if isinstance(encoder, Encoder) and self._folds(encoder, x):
            fast = self._kept(encoder, lambda: folded(encoder, self.dtype))
            with torch.no_grad():
                return fast(x.to(self.dtype), ws, state)
        with autocast(self.generator.w_avg.device, self.dtype):
            return self._plain(encoder)(x, ws, state)

    def render(self, ws: Tensor, resolution: int | None = None) -> Tensor:
        """Render (B, num_ws, D) codes with fixed noise, at a lower resolution if one is given.

        Returns:
            (B, 3, H, W) images, RGB in [-1, 1], float32.

        Raises:
            ValueError: The resolution is no power of two from 4 to the full size.
        """
        self._check_resolution(resolution)
        synthesis = self.generator.synthesis
        if isinstance(synthesis, Synthesis) and self._folds(synthesis, ws):
            return self._folded(synthesis)(ws, resolution)
        with autocast(self.generator.w_avg.device, self.dtype):
            return self._plain(synthesis)(ws, "fixed", resolution).float()

    def styles(self, ws: Tensor) -> Tensor:
        """Compute the styles (B, S) of codes (B, num_ws, D), float32."""
        return torch.cat(self.generator.synthesis.styles(ws), dim=1)

    def render_styles(self, styles: Tensor, resolution: int | None = None) -> Tensor:
        """Render styles (B, S), as `render` renders codes; never compiled."""
        self._check_resolution(resolution)
        synthesis = self.generator.synthesis
        widths = [layer.weight.shape[1] for _, layer in synthesis.modulated()]
        parts = styles.split(widths, dim=1)
        if self._folds(synthesis, styles):
            return self._folded(synthesis).render(parts, resolution)
        with autocast(self.generator.w_avg.device, self.dtype):
            return synthesis.render(parts, "fixed", resolution).float()

    def _check_resolution(self, resolution: int | None) -> None:
        if resolution is None:
            return
        size = self.generator.config.size
        if not 4 <= resolution <= size or resolution & (resolution - 1):
            raise ValueError(f"expected a power of two from 4 to {size}, got {resolution}")

    def _folded(self, synthesis: Synthesis) -> FoldedSynthesis:
        return self._kept(synthesis, lambda: FoldedSynthesis(synthesis, self.dtype))

    def features(self, ws: Tensor, resolution: int) -> Tensor:
        """Compute the generator's feature map (B, C, resolution, resolution) of codes, float32."""
        with autocast(self.generator.w_avg.device, self.dtype):
            return self.generator.synthesis.features(ws, resolution).float()

    def features_and_image(self, ws: Tensor, resolution: int) -> tuple[Tensor, Tensor]:
        """Compute both `features` and the whole picture (B, 3, H, W) in one pass."""
        maps: list[Tensor] = []
        with autocast(self.generator.w_avg.device, self.dtype):
            synthesis = self.generator.synthesis
            image = synthesis.render(synthesis.styles(ws), "fixed", None, maps)
        return maps[resolution.bit_length() - 3].float(), image.float()

    def _folds(self, network: nn.Module, x: Tensor) -> bool:
        # Fused optimisers change weights behind autograd's back, which no stamp would show.
        trained = any(parameter.requires_grad for parameter in network.parameters())
        differentiated = trained or (torch.is_grad_enabled() and x.requires_grad)
        usable = x.device.type == "cpu" and self.dtype in FOLDED_DTYPES
        return usable and not differentiated and not self.compiled

    def _kept(self, network: nn.Module, make: Callable[[], Made]) -> Made:
        """Return what `make` gave for a network with these very weights, run this way."""
        # A compiled network reads its weights at each call.
        weights = () if self.compiled else chain(network.parameters(), network.buffers())
        stamp = (self.dtype, self.compiled, *((t.data_ptr(), t._version) for t in weights))
        if self._made.get(type(network), (None,))[0] != stamp:
            self._made[type(network)] = (stamp, make())
        return self._made[type(network)][1]  # type: ignore[return-value]

    def _plain(self, network: nn.Module) -> Callable[..., Any]:
        if not self.compiled:
            return network
        return self._kept(network, lambda: torch.compile(network))


def _channels_last(network: Network) -> Network:
    return network.to(memory_format=torch.channels_last)  # pyright: ignore - no overload for it
