"""The shape of an encoder, and presets of the published models and of our own."""

from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from restyle.nn.backbones import IR_SE50, RESNET34, Family


@dataclass(frozen=True)
class EncoderConfig:
    """The shape of an encoder.

    Attributes:
        num_ws: Latent codes that are predicted, one for each layer of the generator.
        w_dim: Width of a latent code.
        backbone: Family of the trunk.
        widths: Channels of the trunk's stem, then of each stage; every stage halves the resolution.
        units: Residual units of each stage.
        input_size: Height and width of the input in pixels. The heads have as many convolutions as
            it takes to bring the trunk's last map to a single pixel: four for 16 x 16.
        input_channels: 6 for ReStyle (the target, then the current image), 3 for a single-shot
            encoder.
        head: `"psp"`: each code on its own (Richardson et al., CVPR 2021); `"e4e"`: one code, and
            what the other layers' codes differ by (Tov et al., SIGGRAPH 2021).
        head_channels: Channels of the heads' convolutions.
        pyramid: Whether the heads read a feature pyramid over the last three stages, as the
            original pSp and e4e do: codes 0 to 2 the coarsest map, 3 to 6 the middle one, the
            others the finest. ReStyle's simplified encoder reads the last map alone.
        sees_codes: Whether a step sees the codes that it corrects, beside what the heads give.
        keeps_state: Whether each code has a state that goes from step to step. Neither is part of
            the published encoders.
        shared_trunk: Whether one trunk of three channels sees the target and the current image in
            turn, and the heads its map of the target, and how much the other map differs; in place
            of a trunk that sees six channels.
        attends: Whether each code has a query that looks for what to correct in the trunk's map, in
            an encoder that sees codes. These two are not published either.
        siamese: Whether one network of three channels reads a code from the target and one from the
            current image (Bromley et al. 1993), and the residual is how they differ: what it reads
            wrong in both falls out. The target is read once, in the first step, which goes to its
            code. Not published either.
        pull: Share of the way back to that code in the later steps of a siamese encoder: else what
            is read a little differently again and again, and changes nothing that is read, adds up.
    """

    num_ws: int = 18
    w_dim: int = 512
    backbone: Family = "ir_se"
    widths: tuple[int, ...] = IR_SE50["widths"]
    units: tuple[int, ...] = IR_SE50["units"]
    input_size: tuple[int, int] = (256, 256)
    input_channels: int = 6
    head: Literal["psp", "e4e"] = "psp"
    head_channels: int = 512
    pyramid: bool = False
    sees_codes: bool = False
    keeps_state: bool = False
    shared_trunk: bool = False
    attends: bool = False
    siamese: bool = False
    pull: float = 0.15

    def __post_init__(self):
        """Accept lists, as JSON has no tuples, and check what only shows up late otherwise."""
        for name in ("widths", "units", "input_size"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.input_channels not in (3, 6):
            raise ValueError(f"input_channels: expected 3 or 6, got {self.input_channels}")
        if self.head not in ("psp", "e4e"):
            raise ValueError(f"head: expected 'psp' or 'e4e', got {self.head!r}")
        if self.recurrent and self.input_channels == 3:
            raise ValueError("sees_codes, keeps_state: expected neither of a single-shot encoder")
        if self.shared_trunk and (self.input_channels == 3 or self.pyramid):
            raise ValueError("shared_trunk: expected 6 channels and no pyramid")
        if self.attends and (not self.sees_codes or self.pyramid):
            raise ValueError("attends: expected an encoder that sees codes, and no pyramid")
        if self.siamese and (self.input_channels == 3 or self.recurrent or self.pyramid):
            raise ValueError("siamese: expected 6 channels, and no codes, state or pyramid")
        if self.reads_attributes and (
            len(set(self.input_size)) > 1
            or self.units != (1,) * 4
            or self.input_channels != 3
            and not self.siamese
        ):
            raise ValueError(
                "backbone: 'features' expects square images, units (1, 1, 1, 1), and 3 channels or "
                "siamese"
            )
        stride = 2 ** len(self.units)
        if any(length % stride for length in self.input_size):
            raise ValueError(
                f"input_size: expected multiples of {stride} ({len(self.units)} halvings), "
                f"got {self.input_size}"
            )
        if self.pyramid and len(self.units) < 3:
            raise ValueError(f"pyramid: expected at least 3 stages, got {len(self.units)}")

    @property
    def recurrent(self) -> bool:
        """True where a step depends on more than the target and the current image."""
        return self.sees_codes or self.keeps_state

    @property
    def reads_attributes(self) -> bool:
        """True with the backbone of a feature network, and with all that reads attributes there."""
        return self.backbone == "features"

    @property
    def trunk_channels(self) -> int:
        """Return the channels that the trunk sees at once."""
        return 3 if self.shared_trunk or self.siamese else self.input_channels

    def first_state(self, like: Tensor) -> Tensor:
        """Return the states (B, num_ws, head_channels) of the first step: zeros, as `like`."""
        # Not its length, which exports would take for a constant.
        return like.new_zeros(like.shape[0], self.num_ws, self.head_channels)

    @property
    def depth(self) -> int:
        """Halvings from the trunk's last map to a single pixel."""
        return (max(self.input_size) // 2 ** len(self.units) - 1).bit_length()


RESTYLE_FACES = EncoderConfig()
RESTYLE_CARS = EncoderConfig(num_ws=16, backbone="resnet", **RESNET34, input_size=(192, 256))
PSP_FACES = EncoderConfig(input_channels=3, pyramid=True)
E4E_FACES = EncoderConfig(input_channels=3, pyramid=True, head="e4e")

PORTRAITS = EncoderConfig(
    num_ws=10,
    w_dim=128,
    widths=(16, 48, 128),
    units=(2, 3),
    input_size=(64, 64),
    head_channels=64,
)
PORTRAITS_128 = EncoderConfig(
    num_ws=12,
    w_dim=128,
    backbone="features",
    widths=(16, 32, 64, 96, 96),
    units=(1, 1, 1, 1),
    input_size=(128, 128),
    head_channels=32,
    siamese=True,
)

PRESETS = {
    "portraits": PORTRAITS,
    "portraits-128": PORTRAITS_128,
    "portraits-codes": replace(PORTRAITS, sees_codes=True),
    "portraits-shared-trunk": replace(PORTRAITS, sees_codes=True, shared_trunk=True),
    "portraits-attending": replace(PORTRAITS, sees_codes=True, attends=True),
    "portraits-recurrent": replace(PORTRAITS, sees_codes=True, keeps_state=True),
    "faces": RESTYLE_FACES,
    "cars": RESTYLE_CARS,
    "resnet": replace(RESTYLE_CARS, input_size=(256, 256)),
    "pyramid": PSP_FACES,
}
"""Encoders by name. What depends on the generator, and the head, is set where one is built."""
