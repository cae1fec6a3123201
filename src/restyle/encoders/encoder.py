"""The encoder: a trunk, heads over its maps, and how their outputs become latent codes."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from restyle.encoders.config import EncoderConfig
from restyle.encoders.heads import MapToStyle
from restyle.io.pretrained import PretrainedPart
from restyle.nn.backbones import Trunk
from restyle.portraits.reading import AttributeHeads, FeatureConfig

COARSE, MIDDLE = 3, 7  # in a pyramid: the first code that reads the middle map, and the finest one


class Encoder(nn.Module, PretrainedPart):
    """Predicts latent codes in W+ (single-shot), or what to add to the current ones (ReStyle).

    Attributes:
        config: Its shape.
        stage: For an e4e head, how many codes have a delta of their own: codes 1 to `stage`.
            Training switches them on one by one (Tov et al., section 4.2); all are on by default.
            It is no part of a checkpoint.
        centre: (num_ws, w_dim) of a siamese encoder: the average code, from which it reads others.
    """

    kind = "encoder"
    config_class = EncoderConfig
    config: EncoderConfig
    centre: Tensor

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.config = config
        self.stage = config.num_ws - 1
        self.trunk = Trunk(config.backbone, config.trunk_channels, config.widths, config.units)
        counts = _codes_per_level(config)
        widths = self.trunk.widths[-1:]
        if config.pyramid:
            # All maps of the pyramid are as wide as the coarsest one.
            widths = widths * len(counts)
            self.laterals = nn.ModuleList(
                nn.Conv2d(width, widths[0], 1) for width in self.trunk.widths[-2:-4:-1]
            )
        self.heads = nn.ModuleList(
            MapToStyle(width, config.head_channels, config.w_dim, count, config.depth + level)
            for level, (width, count) in enumerate(zip(widths, counts, strict=True))
            if count
        )
        if config.siamese:
            self.register_buffer("centre", torch.zeros(config.num_ws, config.w_dim))
        self.attributes = None
        if config.reads_attributes:
            self.attributes = AttributeHeads(FeatureConfig(config.input_size[0], config.widths))
            self.attribute_codes = nn.Linear(self.attributes.entries, config.w_dim)

    def forward(
        self, x: Tensor, ws: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Predict from images.

        Args:
            x: (B, 3 or 6, h, w) RGB in [-1, 1] of the configured input size: the target, then (with
                6 channels) the current image.
            ws: (B, num_ws, w_dim) the current codes, for a siamese encoder; those of the start if
                None.
            state: What the step before returned; None at the start.

        Returns:
            Codes or residuals (B, num_ws, w_dim), and the state for the next step: what a siamese
            encoder read of the target (B, num_ws, w_dim), None from any other; both float32.

        Raises:
            ValueError: The input has another shape.
        """
        expected = (self.config.input_channels, *self.config.input_size)
        if tuple(x.shape[1:]) != expected:
            raise ValueError(
                f"expected images of (channels, h, w) = {expected}, got {tuple(x.shape[1:])}"
            )
        return self.predict(x, ws, state)

    def predict(
        self, x: Tensor, ws: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Predict as `forward` does, from whatever the trunk's stem takes."""
        if self.config.siamese:
            before = ws, state, self.centre, self.config.pull
            return compared(self.read, x, *before)
        return self.read(x), None

    def read(self, x: Tensor) -> Tensor:
        """Compute what the heads say (B, num_ws, w_dim) of images, as the trunk sees them."""
        maps = self._pyramid(x) if self.config.pyramid else self.trunk.maps(x)
        last = maps if self.config.pyramid else maps[-1:]
        codes = torch.cat([head(m) for head, m in zip(self.heads, last, strict=False)], dim=1)
        if self.attributes is not None:
            found = self.attributes.read(x, maps)
            with torch.autocast(x.device.type, enabled=False):
                base = self.attribute_codes(found).unsqueeze(1)
            return self._in_rows(codes) + base
        return self._in_rows(codes)

    @torch.no_grad()
    def start_from(self, trunk: Trunk) -> None:
        """Copy a pretrained trunk's weights, as training usually begins with them.

        The trunk's input channels become the first ones (the target's); further ones keep the
        random weights that they have.

        Raises:
            ValueError: The trunk has other layers.
        """
        mine, theirs = self.trunk.state_dict(), trunk.state_dict()
        if mine.keys() != theirs.keys():
            raise ValueError(
                f"expected a '{self.config.backbone}' trunk of {self.config.units} units and "
                f"{self.config.widths} channels, got one of {trunk.widths} with other layers"
            )
        for name, tensor in theirs.items():
            if name == "stem.0.weight":
                mine[name][:, : tensor.shape[1]] = tensor
            else:
                mine[name].copy_(tensor)

    def _in_rows(self, codes: Tensor) -> Tensor:
        """A code for each layer, float32, from those of the heads.

        From an e4e head code 0, plus each other layer's own delta where it is switched on.
        """
        codes = codes.float()
        if self.config.head == "psp":
            return codes
        # Multiplying by zero gives the other deltas a gradient of zero rather than none, so that
        # data-parallel training finds the same parameters in every process at every stage.
        layer = torch.arange(1, codes.shape[1], device=codes.device)
        switch = (layer <= self.stage).to(codes.dtype)[:, None]
        first = codes[:, :1]
        return torch.cat([first, first + codes[:, 1:] * switch], dim=1)

    def _pyramid(self, x: Tensor) -> list[Tensor]:
        """Three maps from coarse to fine, each finer one with the coarser one added to it."""
        fine, middle, coarse = self.trunk.maps(x)[-3:]
        maps = [coarse]
        for lateral, finer in zip(self.laterals, (middle, fine), strict=True):
            size = finer.shape[-2:]
            enlarged = functional.interpolate(maps[-1], size, mode="bilinear", align_corners=True)
            maps.append(enlarged + lateral(finer))
        return maps


def compared(
    read: Callable[[Tensor], Tensor],
    x: Tensor,
    ws: Tensor | None,
    state: Tensor | None,
    centre: Tensor,
    pull: float,
) -> tuple[Tensor, Tensor]:
    """Take a siamese encoder's step: how the codes of target and current image differ.

    The first one goes to what is read of the target, as the average is no portrait to be read.

    Args:
        read: Reads codes (B, num_ws, w_dim), measured from the average's, from images.
        x: (B, 6, h, w) the target, then the current image.
        ws: (B, num_ws, w_dim) the current codes; the average's if None.
        state: (B, num_ws, w_dim) what was read of the target in the step before.
        centre: (num_ws, w_dim) the average's codes.
        pull: Share of the way back to what was read of the target.

    Returns:
        The residual, and the state of the next step.
    """
    target, current = x.clamp(-1, 1).split(3, dim=1)  # as a picture shows it
    if state is None:
        codes = read(target)
        return codes if ws is None else codes - (ws.float() - centre.float()), codes
    back = 0.0 if ws is None else pull * (centre.float() + state - ws.float())
    return state - read(current) + back, state


def _codes_per_level(config: EncoderConfig) -> list[int]:
    if not config.pyramid:
        return [config.num_ws]
    bounds = [min(bound, config.num_ws) for bound in (0, COARSE, MIDDLE, config.num_ws)]
    return [bounds[i + 1] - bounds[i] for i in range(3)]
