"""A feature network for portraits: perceptual distance, identity and attributes from one trunk.

It stands in for LPIPS and for face recognition where those weights cannot be had. Any network with
`maps` and `embed` can take its place, such as the real ones.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restyle.io.checkpoints import CheckpointError, load_strict, with_prefix
from restyle.io.pretrained import Pretrained
from restyle.nn.backbones import Halving, Trunk, convolution
from restyle.portraits.attributes import SCHEMA, class_names, continuous_names, sample
from restyle.portraits.keypoints import COUNT
from restyle.portraits.reading import CLASSES, AttributeHeads, FeatureConfig

SMALL = FeatureConfig()


class FeatureNetwork(AttributeHeads, Pretrained):
    """A small convolutional network on images in [-1, 1], RGB, of any size.

    Images are area-pooled, or enlarged bilinearly, to the trunk's own size.
    """

    kind = "features"
    mean: Tensor
    scale: Tensor

    def __init__(self, config: FeatureConfig = SMALL):
        """Build an untrained network of the size that `config` says.

        Raises:
            ValueError: `config.size` is not a positive multiple of 16.
        """
        if config.size < 16 or config.size % 16:
            raise ValueError(f"size: expected a multiple of 16, got {config.size}")
        super().__init__(config)
        self.config = config
        self.levels = nn.ModuleList([convolution(3, config.widths[0], 3, 1)])
        for narrow, wide in zip(config.widths, config.widths[1:], strict=False):
            self.levels.append(Halving(narrow, wide, 2))
        self.identity = nn.Linear(config.hidden, config.embedding)
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

    def trunk(self) -> Trunk:
        """Return a copy of the levels, as encoders of the backbone "features" begin with."""
        trunk = Trunk("features", 3, self.config.widths, [1] * (len(self.levels) - 1))
        stem, *units = (level.state_dict() for level in self.levels)
        trunk.stem.load_state_dict(stem)
        for stage, unit in zip(trunk.stages, units, strict=True):
            stage.load_state_dict(with_prefix(unit, "0"))
        return trunk

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
        logits = heads["logits"].split(CLASSES, dim=1)
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
        return self.observe_maps(_resize(images, self.config.size), maps[1:])

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


def _resize(images: Tensor, size: int) -> Tensor:
    if images.shape[-2:] == (size, size):
        return images
    if min(images.shape[-2:]) >= size:
        return F.adaptive_avg_pool2d(images, size)
    return F.interpolate(images, (size, size), mode="bilinear", align_corners=False, antialias=True)
