"""Networks that find faces and tell them apart, in the sizes of the published weights.

The cascade of Zhang et al. ("Joint Face Detection and Alignment Using Multitask Cascaded
Convolutional Networks", SPL 2016) proposes boxes, refines them and finds five landmarks; the IR-101
of Huang et al. ("CurricularFace", CVPR 2020) embeds aligned faces. Both together are the identity
score that ReStyle's paper reports.
"""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from restyle.nn.backbones import ArcFace, IRSEUnit, Trunk

IR_101_WIDTHS = (64, 64, 128, 256, 512)
IR_101_UNITS = (3, 13, 30, 3)


class Layer(NamedTuple):
    """A convolution without padding, and the window of the max-pooling after it (0: none)."""

    channels: int
    kernel: int
    window: int


class CascadeNetwork(nn.Module):
    """One network of the cascade: convolutions, perhaps a fully connected layer, and the outputs.

    Attributes:
        features: Convolutions, activations and poolings.
        hidden: The fully connected layer; None for a network that slides over images of any size.
        outputs: One layer for each output; the first one scores "no face" and "face".
    """

    def __init__(
        self, layers: Sequence[Layer], hidden: tuple[int, int] | None, outputs: Sequence[int]
    ):
        """Build a network.

        Args:
            layers: The convolutions.
            hidden: Inputs and outputs of the fully connected layer, None for none.
            outputs: Channels of each output, the two scores first.
        """
        super().__init__()
        features: list[nn.Module] = []
        channels = 3
        for layer in layers:
            features.append(nn.Conv2d(channels, layer.channels, layer.kernel))
            features.append(nn.PReLU(layer.channels))
            if layer.window:
                features.append(nn.MaxPool2d(layer.window, stride=2, ceil_mode=True))
            channels = layer.channels
        self.features = nn.Sequential(*features)
        self.hidden = hidden and nn.Sequential(nn.Linear(*hidden), nn.PReLU(hidden[1]))
        self.outputs = nn.ModuleList(
            nn.Linear(hidden[1], n) if hidden else nn.Conv2d(channels, n, 1) for n in outputs
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Look at images, (B, 3, H, W), RGB in [-1, 1].

        Returns:
            The outputs but the first (box offsets, then landmarks), and last the scores after a
            softmax over the last axis: the classes, but for the sliding network the image's width.
            The second is a slip of the published code that the published scores depend on.
        """
        x = self.features(images)
        if self.hidden is not None:
            x = self.hidden(x.transpose(2, 3).flatten(1))  # the weights count columns first
        scores, *others = (output(x) for output in self.outputs)
        return *others, scores.softmax(dim=-1)


def proposal_network() -> CascadeNetwork:
    """Build the first, a 12-pixel window in steps of two pixels: maps of offsets and scores."""
    return CascadeNetwork([Layer(10, 3, 2), Layer(16, 3, 0), Layer(32, 3, 0)], None, (2, 4))


def refinement_network() -> CascadeNetwork:
    """Build the second network, for 24 x 24 pixels: (B, 4) offsets and (B, 2) scores."""
    layers = [Layer(28, 3, 3), Layer(48, 3, 3), Layer(64, 2, 0)]
    return CascadeNetwork(layers, (64 * 3 * 3, 128), (2, 4))


def landmark_network() -> CascadeNetwork:
    """Build the third, for 48 x 48 pixels: (B, 4) offsets, (B, 10) landmarks, (B, 2) scores.

    Landmarks are five x, then five y, as parts of the box: eyes, nose and mouth corners.
    """
    layers = [Layer(32, 3, 3), Layer(64, 3, 3), Layer(64, 3, 2), Layer(128, 2, 0)]
    return CascadeNetwork(layers, (128 * 3 * 3, 256), (2, 4, 10))


def ir_101(
    widths: Sequence[int] = IR_101_WIDTHS,
    units: Sequence[int] = IR_101_UNITS,
    dimensions: int = 512,
) -> ArcFace:
    """Build CurricularFace's network: ArcFace's 49 units without squeeze-and-excitation.

    Args:
        widths: Channels of the stem, then of each stage.
        units: How many units each stage has.
        dimensions: Length of the embedding.
    """
    trunk = Trunk("ir_se", 3, widths, units)
    for unit in trunk.modules():
        if isinstance(unit, IRSEUnit):
            unit.register_module("gate", nn.Identity())
    return ArcFace(trunk, dimensions)
