"""The adversary of a generator: a discriminator of pixels, and one of features if asked."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restyle.discriminators.projected import ProjectedDiscriminator
from restyle.discriminators.stylegan2 import Discriminator, DiscriminatorConfig
from restyle.hub.registry import load_maps
from restyle.io.checkpoints import load_strict
from restyle.losses.perceptual import FeatureMaps
from restyle.training.config import GeneratorTraining

Maps = Callable[[Tensor], list[Tensor]]
HEADS_RATE = 0.5
Autocast = Callable[[], AbstractContextManager[object]]


class ImageAdversary(nn.Module):
    """Scores images with all discriminators; the losses are non-saturating ones.

    Attributes:
        pixels: The StyleGAN2 discriminator.
        projected: The one that looks through a frozen network's maps, or None.
    """

    def __init__(self, pixels: Discriminator, maps: Maps | None = None, weight: float = 1.0):
        """Put the discriminators together.

        Args:
            pixels: Judges images.
            maps: Gives a frozen network's feature maps of images in [-1, 1].
            weight: What the loss in those maps counts beside that in pixels.
        """
        super().__init__()
        self.pixels = pixels
        self.maps, self.weight = maps, weight
        self.projected: ProjectedDiscriminator | None = None
        self._real_maps: list[Tensor] = []
        if maps is not None:
            size = pixels.config.size
            shapes = [(m.shape[1], m.shape[2]) for m in maps(torch.zeros(1, 3, size, size))]
            self.projected = ProjectedDiscriminator(shapes)

    @classmethod
    def of(cls, config: GeneratorTraining, channels: tuple[int, ...], device: torch.device) -> Self:
        """Build what a training asks for, freshly initialised, on a device.

        The discriminator has the generator's `channels` if nothing else is asked for.

        Raises:
            CheckpointError: The feature network cannot be loaded.
        """
        channels = tuple(config.discriminator_channels) or channels
        pixels = Discriminator(DiscriminatorConfig(config.size, channels, detail=config.detail))
        features = load_maps(config.feature_network) if config.feature_network else None
        adversary = cls(pixels, coarse_maps(features) if features else None, config.feature_weight)
        if features:
            features.to(device, memory_format=torch.channels_last)  # pyright: ignore
        return adversary.to(device, memory_format=torch.channels_last)  # pyright: ignore

    def groups(self, lr: float) -> list[dict[str, Any]]:
        """Return parameters with learning rates: low for heads, whose slope nothing holds."""
        parts = [(self.pixels, lr), (self.projected, lr * HEADS_RATE)]
        return [{"params": [*part.parameters()], "lr": rate} for part, rate in parts if part]

    def discriminate(self, fake: Tensor, real: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the discriminators' loss on (B, 3, H, W) images, and numbers to look at."""
        fake_score, real_score = self.pixels(fake), self.pixels(real)
        loss = F.softplus(fake_score).mean() + F.softplus(-real_score).mean()
        numbers = {"loss_d": loss.detach(), "real_score": real_score.detach().mean()}
        if self.projected is not None and self.maps is not None:
            with torch.no_grad():
                fake_maps, self._real_maps = self.maps(fake), self.maps(real)
            fakes, reals = self.projected(fake_maps, self._real_maps)
            seen = F.softplus(fakes).mean() + F.softplus(-reals).mean()
            numbers["loss_d_features"] = seen.detach()
            loss = loss + self.weight * seen
        return loss, numbers

    def fool(self, fake: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the generator's loss on the (B, 3, H, W) images just discriminated; numbers."""
        loss = F.softplus(-self.pixels(fake)).mean()
        numbers = {"loss_g": loss.detach()}
        if self.projected is not None and self.maps is not None:
            seen = F.softplus(-self.projected(self.maps(fake), self._real_maps)[0]).mean()
            numbers["loss_g_features"] = seen.detach()
            loss = loss + self.weight * seen
        return loss, numbers

    def take(self, state: dict[str, Any], source: str) -> None:
        """Take over the weights of another training's adversary; heads that it lacks stay fresh.

        Raises:
            CheckpointError: They do not fit.
        """
        parts = {"pixels": self.pixels, "projected": self.projected}
        for name, network in parts.items():
            own = {k[len(name) + 1 :]: v for k, v in state.items() if k.startswith(f"{name}.")}
            if network is not None and own:
                load_strict(network, own, source)


def coarse_maps(features: FeatureMaps) -> Maps:
    """Drop a network's map in full resolution, which is left to the pixels' adversary."""
    return lambda images: features.maps(images)[1:]


def r1_penalty(discriminator: nn.Module, real: Tensor, autocast: Autocast) -> Tensor:
    """Compute the mean squared gradient of the scores at the data (Mescheder et al. 2018, eq. 9).

    Args:
        discriminator: Maps images to scores (B,).
        real: (B, ...) images or codes of the data.
        autocast: Makes the context in which scores are computed.
    """
    real = real.detach().requires_grad_(True)
    with autocast():
        scores = discriminator(real)
    (gradient,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
    return gradient.float().square().flatten(1).sum(dim=1).mean()
