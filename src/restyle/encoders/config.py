"""The shape of an encoder, and presets of the published models and of our own."""

from dataclasses import dataclass, replace
from typing import Literal

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
        siamese: Whether one network of three channels reads a code from the target and one from the
            current image (Bromley et al. 1993), and the residual is how they differ: what it reads
            wrong in both falls out. The target is read once, in the first step, which goes to its
            code. Not part of the published encoders.
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
        if self.siamese and (self.input_channels == 3 or self.pyramid):
            raise ValueError("siamese: expected 6 channels and no pyramid")
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
    def reads_attributes(self) -> bool:
        """True with the backbone of a feature network, and with all that reads attributes there."""
        return self.backbone == "features"

    @property
    def trunk_channels(self) -> int:
        """Return the channels that the trunk sees at once."""
        return 3 if self.siamese else self.input_channels

    @property
    def depth(self) -> int:
        """Halvings from the trunk's last map to a single pixel."""
        return (max(self.input_size) // 2 ** len(self.units) - 1).bit_length()


RESTYLE_FACES = EncoderConfig()
RESTYLE_CARS = EncoderConfig(num_ws=16, backbone="resnet", **RESNET34, input_size=(192, 256))
PSP_FACES = EncoderConfig(input_channels=3, pyramid=True)
E4E_FACES = EncoderConfig(input_channels=3, pyramid=True, head="e4e")

PORTRAITS = EncoderConfig(
    num_ws=12,
    w_dim=128,
    backbone="features",
    widths=(16, 32, 64, 96, 96),
    units=(1, 1, 1, 1),
    input_size=(128, 128),
    head_channels=32,
    siamese=True,
)

# ReStyle's own, made small.
PORTRAITS_PLAIN = EncoderConfig(
    num_ws=12,
    w_dim=128,
    backbone="ir_se_strided",  # half of what as wide a map at 128 px costs
    widths=(16, 32, 48, 128),
    units=(1, 2, 3),
    input_size=(128, 128),
    head_channels=64,
)

PRESETS = {
    "portraits": PORTRAITS,
    "portraits-plain": PORTRAITS_PLAIN,
    "faces": RESTYLE_FACES,
    "cars": RESTYLE_CARS,
    "resnet": replace(RESTYLE_CARS, input_size=(256, 256)),
    "pyramid": PSP_FACES,
}
"""Encoders by name. What depends on the generator, and the head, is set where one is built."""
