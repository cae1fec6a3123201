"""MoCo's features: what an image shows, learned without labels, for domains other than faces.

The similarity loss of Tov et al., "Designing an Encoder for StyleGAN Image Manipulation" (SIGGRAPH
2021), section 5: one minus the cosine of the features of a ResNet-50 that Chen et al., "Improved
Baselines with Momentum Contrastive Learning" (2020), trained. The distance itself is
`restyle.losses.identity.identity`.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from restyle.nn.backbones import Trunk

SIZE = 224  # what the network was trained on
RESNET50_UNITS = (3, 4, 6, 3)


class MoCo(nn.Module):
    """A residual network of bottlenecks up to its mean over all places."""

    def __init__(self, units: Sequence[int] = RESNET50_UNITS, width: int = 64):
        """Build a network with random weights; by default MoCo's ResNet-50."""
        super().__init__()
        widths = (width, *(4 * width * 2**level for level in range(len(units))))
        self.layers = Trunk("bottleneck", 3, widths, units)
        self.layers.stem[2] = nn.ReLU()

    def embed(self, images: Tensor) -> Tensor:
        """Compute features (B, 2048) of unit length from images (B, 3, h, w), RGB in [-1, 1].

        As in e4e, images are resized by repeating or leaving out pixels, and ImageNet's statistics
        are not used.
        """
        x = F.interpolate(images, (SIZE, SIZE), mode="nearest")
        x = F.max_pool2d(self.layers.stem(x), 3, 2, padding=1)
        for stage in self.layers.stages:
            x = stage(x)
        return F.normalize(x.float().mean(dim=(2, 3)), dim=1)
