"""Reading the attributes of a portrait from a trunk's maps and from a closer look at the face."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restyle.nn.backbones import convolution
from restyle.portraits.attributes import class_names, continuous_names
from restyle.portraits.keypoints import COUNT, EYES, MOUTH, NOSE

POINTS = COUNT + 7  # the last seven find their own use
LOOK = 8  # values that are read at every point
SIGHT = 64  # values that one glimpse gives
GLIMPSE_SIDE = 24  # samples along a glimpse
GLIMPSE_REACH = 0.28  # from its middle to its edge, where a picture is 2 wide


CLASSES = [len(names) for names in class_names.values()]


@dataclass(frozen=True)
class FeatureConfig:
    """The size of a feature network.

    Attributes:
        size: Height and width in pixels that the trunk sees; a multiple of 16.
        widths: Channels of the five levels, from full resolution to a sixteenth.
        hidden: Width of the layer behind the trunk.
        embedding: Length of the identity embedding.
    """

    size: int = 128
    widths: tuple[int, ...] = (16, 40, 64, 96, 96)
    hidden: int = 192
    embedding: int = 96


class Pointer(nn.Module):
    """Looks at places of the face: where each is, and what is there.

    Every point is the mean place of an attention map over the second level (spatial soft-argmax,
    Finn et al. 2016, "Deep Spatial Autoencoders"); the first `COUNT` points are trained to be those
    of `face_points`, the others are free.
    """

    grid: Tensor

    def __init__(self, config: FeatureConfig):
        super().__init__()
        width = config.widths[1]
        self.laterals = nn.ModuleList([nn.Conv2d(w, width, 1) for w in config.widths[1:4]])
        self.merge = convolution(width, width, 3, 1)
        self.attention = nn.Conv2d(width, POINTS, 1)
        self.look = nn.Conv2d(width, LOOK, 1)
        side = config.size // 2
        places = (torch.arange(side) + 0.5) * (2 / side) - 1
        y, x = torch.meshgrid(places, places, indexing="ij")
        self.register_buffer("grid", torch.stack([x, y], dim=-1).flatten(0, 1), persistent=False)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Find places (B, POINTS, 2), x and y in [-1, 1], and what is there (B, POINTS, LOOK).

        The trunk's maps are given from half of the resolution on.
        """
        x = self.laterals[2](maps[2])
        for level in (1, 0):
            x = F.interpolate(x, scale_factor=2.0) + self.laterals[level](maps[level])
        x = F.relu(self.merge(F.relu(x)))
        attention = self.attention(x).flatten(2).float().softmax(dim=2)
        seen = self.look(x).flatten(2).float()
        with torch.autocast(x.device.type, enabled=False):
            return attention @ self.grid, attention @ seen.transpose(1, 2)


class Glimpses(nn.Module):
    """Looks closely at both eyes, nose and mouth: upright patches of the picture around them.

    What the trunk passes on is too coarse for a gaze or a lip, which are a pixel or two wide. The
    places come from the pointer and get no gradient (glimpses as in Mnih et al. 2014, "Recurrent
    Models of Visual Attention", placed by supervised points instead of learned by reward).
    """

    def __init__(self):
        super().__init__()
        self.eye, self.nose, self.mouth = _sight(), _sight(), _sight()

    def forward(self, images: Tensor, points: Tensor) -> Tensor:
        """Map images (B, 3, h, w) and points of the face (B, COUNT, 2) to (B, 4 * SIGHT)."""
        points = points.detach()
        left, right = (points[:, eye].mean(1) for eye in EYES)
        across = F.normalize(right - left, dim=1)
        places = (left, right, points[:, NOSE].mean(1), points[:, MOUTH].mean(1))
        first, second, nose, mouth = (upright_patches(images, at, across) for at in places)
        eyes = torch.cat([first, second.flip(3)])
        seen = [*self.eye(eyes).unflatten(0, (2, -1)), self.nose(nose), self.mouth(mouth)]
        return torch.cat([part.float() for part in seen], dim=1)


def upright_patches(images: Tensor, middle: Tensor, across: Tensor) -> Tensor:
    """Cut patches that stand upright in a face out of pictures (B, 3, h, w), bilinearly.

    `middle` (B, 2) are their middles, x and y in [-1, 1]; `across` (B, 2), of length 1, points from
    a face's left to its right. They are (B, 3, GLIMPSE_SIDE, GLIMPSE_SIDE).
    """
    down = torch.stack([-across[:, 1], across[:, 0]], dim=1)
    axes = torch.stack([across, down], dim=2) * GLIMPSE_REACH
    grid = F.affine_grid(
        torch.cat([axes, middle.unsqueeze(2)], dim=2),
        [images.shape[0], 3, GLIMPSE_SIDE, GLIMPSE_SIDE],  # len() would be a constant in an export
        align_corners=False,
    )
    # Places in less than float32 are pixels off.
    patches = F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
    return patches.to(images.dtype)


class AttributeHeads(nn.Module):
    """What reads attributes: points, glimpses, and a hidden layer under all that is read.

    Attributes:
        entries: Numbers that `read` gives.
    """

    def __init__(self, config: FeatureConfig):
        super().__init__()
        last = config.widths[-1] * (config.size // 16) ** 2
        found = last + POINTS * (2 + LOOK) + 4 * SIGHT
        self.hidden = nn.Sequential(
            nn.BatchNorm1d(found),
            nn.Linear(found, config.hidden, bias=False),
            nn.BatchNorm1d(config.hidden),
            nn.ReLU(),
        )
        # After what a file's size bounds, as places of too large an image fill the memory.
        self.pointer, self.glimpses = Pointer(config), Glimpses()
        self.values = nn.Linear(config.hidden, len(continuous_names))
        self.logits = nn.Linear(config.hidden, sum(CLASSES))
        self.entries = len(continuous_names) + sum(CLASSES)

    def observe_maps(self, images: Tensor, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Compute all that the hidden layer reads.

        Args:
            images: (B, 3, h, w) in [-1, 1], at the trunk's own size.
            maps: The trunk's, from half of the resolution on.

        Returns:
            It, (B, F) float32, and the points (B, POINTS, 2) that were looked at.
        """
        points, seen = self.pointer(maps)
        close = self.glimpses(images, points)
        parts = (maps[-1].flatten(1), points.flatten(1), seen.flatten(1), close)
        return torch.cat([part.float() for part in parts], dim=1), points

    def read(self, images: Tensor, maps: list[Tensor]) -> Tensor:
        """Read standardised values, then the probabilities of all classes: (B, entries) float32.

        Images and maps are those of `observe_maps`.
        """
        found, _ = self.observe_maps(images, maps)
        with torch.autocast(images.device.type, enabled=False):
            hidden = self.hidden(found)
            chances = [part.softmax(1) for part in self.logits(hidden).split(CLASSES, dim=1)]
            return torch.cat([self.values(hidden), *chances], dim=1)


def _sight() -> nn.Sequential:
    """Build what reads one kind of glimpse: (B, 3, GLIMPSE_SIDE, GLIMPSE_SIDE) to (B, SIGHT)."""
    layers: list[nn.Module] = []
    for inputs, outputs, stride in ((3, 24, 1), (24, 32, 2), (32, 48, 2), (48, 48, 1)):
        layers += [convolution(inputs, outputs, 3, stride), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(48 * (GLIMPSE_SIDE // 4) ** 2, SIGHT))
