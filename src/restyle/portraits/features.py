"""A feature network for portraits: perceptual distance, identity and attributes from one trunk.

It stands in for LPIPS and for face recognition where those weights cannot be had. Any network with
`maps` and `embed` can take its place, such as the real ones.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restyle.io.checkpoints import CheckpointError, load_strict
from restyle.io.pretrained import Pretrained
from restyle.nn.backbones import convolution
from restyle.portraits.attributes import SCHEMA, class_names, continuous_names, sample
from restyle.portraits.keypoints import COUNT, EYES, MOUTH, NOSE

POINTS = COUNT + 7  # the last seven find their own use
LOOK = 8  # values that are read at every point
SIGHT = 64  # values that one glimpse gives
GLIMPSE_SIDE = 24  # samples along a glimpse
GLIMPSE_REACH = 0.28  # from its middle to its edge, where a picture is 2 wide


@dataclass(frozen=True)
class FeatureConfig:
    """The size of a feature network.

    Attributes:
        size: Height and width in pixels that the trunk sees; a multiple of 16.
        widths: Channels of the five levels, from full resolution to a sixteenth.
        hidden: Width of the layer behind the trunk.
        embedding: Length of the identity embedding.
    """

    size: int = 64
    widths: tuple[int, int, int, int, int] = (16, 40, 64, 96, 96)
    hidden: int = 192
    embedding: int = 96


class Residual(nn.Module):
    """A residual unit of two 3x3 convolutions at one resolution."""

    def __init__(self, width: int):
        super().__init__()
        self.first = convolution(width, width, 3, 1)
        self.second = convolution(width, width, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        return F.relu(x + self.second(F.relu(self.first(x))))


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
        """Find places (B, POINTS, 2) in the trunk's maps, x and y in [-1, 1], and what is there.

        The latter is (B, POINTS, LOOK).
        """
        x = self.laterals[2](maps[3])
        for level in (1, 0):
            x = F.interpolate(x, scale_factor=2.0) + self.laterals[level](maps[1 + level])
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
        seen = [*self.eye(eyes).chunk(2), self.nose(nose), self.mouth(mouth)]
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
        [len(images), 3, GLIMPSE_SIDE, GLIMPSE_SIDE],
        align_corners=False,
    )
    return F.grid_sample(images, grid.to(images.dtype), padding_mode="border", align_corners=False)


class FeatureNetwork(nn.Module, Pretrained):
    """A small convolutional network on images in [-1, 1], RGB, of any size.

    Images are area-pooled, or enlarged bilinearly, to the trunk's own size.
    """

    kind = "features"
    mean: Tensor
    scale: Tensor

    def __init__(self, config: FeatureConfig = FeatureConfig()):
        """Build an untrained network of the size that `config` says.

        Raises:
            ValueError: `config.size` is not a positive multiple of 16.
        """
        super().__init__()
        if config.size < 16 or config.size % 16:
            raise ValueError(f"size: expected a multiple of 16, got {config.size}")
        self.config = config
        self.levels = nn.ModuleList([convolution(3, config.widths[0], 3, 1)])
        for narrow, wide in zip(config.widths, config.widths[1:], strict=False):
            level = nn.Sequential(convolution(narrow, wide, 3, 2), nn.ReLU(), Residual(wide))
            self.levels.append(level)
        last = config.widths[-1] * (config.size // 16) ** 2
        self.pointer = Pointer(config)
        self.glimpses = Glimpses()
        found = last + POINTS * (2 + LOOK) + 4 * SIGHT
        self.hidden = nn.Sequential(
            nn.BatchNorm1d(found),
            nn.Linear(found, config.hidden, bias=False),
            nn.BatchNorm1d(config.hidden),
            nn.ReLU(),
        )
        self.identity = nn.Linear(config.hidden, config.embedding)
        self.values = nn.Linear(config.hidden, len(continuous_names))
        self.logits = nn.Linear(config.hidden, sum(map(len, class_names.values())))
        self.register_buffer("mean", torch.zeros(len(continuous_names)))
        self.register_buffer("scale", torch.ones(len(continuous_names)))
        people = torch.stack([torch.from_numpy(sample(p).to_vector()) for p in range(1000)])
        self.mean.copy_(people.mean(0))
        self.scale.copy_(people.std(0))

    @classmethod
    def from_checkpoint(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], source: object
    ) -> Self:
        """Build a trained network, frozen and in evaluation mode.

        Raises:
            CheckpointError: It was trained on other attributes, or the weights do not fit.
        """
        if config["attributes"] != list(SCHEMA):
            differing = sorted(set(SCHEMA).symmetric_difference(config["attributes"]))
            raise CheckpointError(
                f"{source}: expected a feature network for the attributes of this version, got "
                f"another list of them (first differences: {differing[:3]})"
            )
        shape = {**config["network"], "widths": tuple(config["network"]["widths"])}
        network = cls(FeatureConfig(**shape))
        load_strict(network, tensors, str(source))
        return network.eval().requires_grad_(False)

    def checkpoint_config(self) -> dict[str, Any]:
        """Return the network's shape and the attributes that it measures."""
        return {"network": asdict(self.config), "attributes": list(SCHEMA)}

    def maps(self, images: Tensor) -> list[Tensor]:
        """Compute five feature maps of images (B, 3, h, w) in [-1, 1].

        They are (B, C, s, s), s from the trunk's size down to its sixteenth.
        """
        x = _resize(images, self.config.size)
        maps = []
        for level in self.levels:
            x = level(x)
            if not maps:
                x = F.relu(x)
            maps.append(x)
        return maps

    def embed(self, images: Tensor) -> Tensor:
        """Compute identity embeddings (B, E) of images (B, 3, h, w) in [-1, 1].

        They have unit length; the cosine of two says how alike the persons are.
        """
        return self.heads(images)["embedding"]

    def extract(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Compute `maps` and `embed` of images (B, 3, h, w) in [-1, 1] in one pass."""
        maps = self.maps(images)
        return maps, self._embedding(self.features(images, maps))

    def attributes(self, images: Tensor) -> dict[str, Tensor]:
        """Measure the attributes of images (B, 3, h, w) in [-1, 1].

        Returns:
            By attribute's name: values (B,) in the attribute's own unit, or the logits (B, K) of
            its classes, in the schema's order.
        """
        heads = self.heads(images)
        vector = heads["values"] * self.scale + self.mean  # scaled to [-1, 1]
        result = {}
        for column, name in enumerate(continuous_names):
            low, high = SCHEMA[name].low, SCHEMA[name].high  # pyright: ignore
            result[name] = (low + high) / 2 + (high - low) / 2 * vector[:, column]
        logits = heads["logits"].split([len(names) for names in class_names.values()], dim=1)
        result.update(zip(class_names, logits, strict=True))
        return result

    def features(self, images: Tensor, maps: list[Tensor] | None = None) -> Tensor:
        """Compute one vector (B, hidden) an image, from which the heads read everything.

        Images are (B, 3, h, w) in [-1, 1]; their `maps` are computed unless they are given. Fréchet
        distances, precision and recall compare such vectors.
        """
        found, _ = self.observe(images, maps)
        with torch.autocast(images.device.type, enabled=False):
            return self.hidden(found)

    def heads(self, images: Tensor) -> dict[str, Tensor]:
        """Compute everything that is trained at once from images (B, 3, h, w) in [-1, 1].

        Returns:
            `embedding` (B, E) of unit length, `values` (B, C) standardised as `standardise` does,
            `logits` (B, sum of classes), `points` (B, COUNT, 2) as `face_points`; float32.
        """
        found, points = self.observe(images)
        return {**self.heads_of(found), "points": points[:, :COUNT]}

    def observe(self, images: Tensor, maps: list[Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Compute all that the hidden layer reads from images (B, 3, h, w) in [-1, 1].

        Returns:
            It, (B, F) float32, and the points (B, POINTS, 2) that were looked at.
        """
        maps = maps or self.maps(images)
        points, seen = self.pointer(maps)
        close = self.glimpses(_resize(images, self.config.size), points)
        parts = (maps[-1].flatten(1), points.flatten(1), seen.flatten(1), close)
        return torch.cat([part.float() for part in parts], dim=1), points

    def heads_of(self, found: Tensor) -> dict[str, Tensor]:
        """Compute what `heads` does, but for the points, from what `observe` found."""
        with torch.autocast(found.device.type, enabled=False):
            features = self.hidden(found)
            return {
                "embedding": self._embedding(features),
                "values": self.values(features),
                "logits": self.logits(features),
            }

    def standardise(self, vectors: Tensor) -> Tensor:
        """Scale `Attributes.to_vector` (B, C) to mean 0 and variance 1 over the portraits."""
        return (vectors - self.mean) / self.scale

    def _embedding(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            return F.normalize(self.identity(features), dim=1)


def _sight() -> nn.Sequential:
    """Build what reads one kind of glimpse: (B, 3, GLIMPSE_SIDE, GLIMPSE_SIDE) to (B, SIGHT)."""
    layers: list[nn.Module] = []
    for inputs, outputs, stride in ((3, 24, 1), (24, 32, 2), (32, 48, 2), (48, 48, 1)):
        layers += [convolution(inputs, outputs, 3, stride), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(48 * (GLIMPSE_SIDE // 4) ** 2, SIGHT))


def _resize(images: Tensor, size: int) -> Tensor:
    if images.shape[-2:] == (size, size):
        return images
    if min(images.shape[-2:]) >= size:
        return F.adaptive_avg_pool2d(images, size)
    return F.interpolate(images, (size, size), mode="bilinear", align_corners=False, antialias=True)
