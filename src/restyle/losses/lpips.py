"""LPIPS: classification networks whose maps are compared as people compare images.

Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric" (CVPR 2018),
version 0.1 of the weights. The distance itself is `restyle.losses.perceptual.perceptual`.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

SHIFT = (-0.030, -0.088, -0.188)  # ImageNet's statistics, for images in [-1, 1]
SCALE = (0.458, 0.448, 0.450)


class Stage(NamedTuple):
    """Layers up to a map that is compared: a max-pooling (0: none), and 3x3 convolutions."""

    pool: int
    channels: tuple[int, ...]
    kernel: int = 3
    stride: int = 1


NETWORKS = {
    # Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014)
    "alex": (
        Stage(0, (64,), kernel=11, stride=4),
        Stage(3, (192,), kernel=5),
        Stage(3, (384,)),
        Stage(0, (256,)),
        Stage(0, (256,)),
    ),
    # Simonyan and Zisserman, "Very Deep Convolutional Networks" (ICLR 2015), configuration D
    "vgg": (
        Stage(0, (64, 64)),
        Stage(2, (128, 128)),
        Stage(2, (256, 256, 256)),
        Stage(2, (512, 512, 512)),
        Stage(2, (512, 512, 512)),
    ),
}


class LPIPS(nn.Module):
    """The convolutions of AlexNet or VGG-16, and what each channel of five maps counts.

    Attributes:
        stages: The layers up to each map.
        calibration: For each map the weights of its channels, (C,), none negative.
    """

    def __init__(self, network: Literal["alex", "vgg"] = "alex"):
        """Build a network with random weights, all of whose channels count alike."""
        super().__init__()
        channels = 3
        self.stages = nn.ModuleList()
        for stage in NETWORKS[network]:
            layers: list[nn.Module] = [nn.MaxPool2d(stage.pool, 2)] if stage.pool else []
            for width in stage.channels:
                padding = 2 if stage.kernel == 11 else stage.kernel // 2
                layers.append(nn.Conv2d(channels, width, stage.kernel, stage.stride, padding))
                layers.append(nn.ReLU())
                channels = width
            self.stages.append(nn.Sequential(*layers))
        self.calibration = nn.ParameterList(
            torch.ones(stage.channels[-1]) for stage in NETWORKS[network]
        )

    def maps(self, images: Tensor) -> list[Tensor]:
        """Compute five maps (B, C, h', w'), from fine to coarse, of images (B, 3, h, w) in [-1, 1].

        Images are RGB and not resized. AlexNet needs 63 pixels or more, VGG-16 16.
        """
        shift, scale = (images.new_tensor(v)[:, None, None] for v in (SHIFT, SCALE))
        x = (images - shift) / scale
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps
