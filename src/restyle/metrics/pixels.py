"""Quality of single images that needs no trained network."""

import torch
import torch.nn.functional as F
from torch import Tensor

from restyle.io.imports import needed

MS_SSIM_SIDE = 256
"""Smaller images are enlarged to this height and width for MS-SSIM, as the official code does."""


def psnr(images: Tensor, targets: Tensor) -> Tensor:
    """Measure the peak signal-to-noise ratio in decibels; the peak is 2, the width of [-1, 1].

    Args:
        images: (B, 3, h, w), RGB; clipped to [-1, 1], as a file would be.
        targets: The same shape, in [-1, 1].

    Returns:
        (B,); at most 100, which equal images get.
    """
    error = (images.clamp(-1, 1) - targets).square().flatten(1).mean(dim=1)
    return 10 * (4 / error.clamp(min=4e-10)).log10()


def ms_ssim(images: Tensor, targets: Tensor) -> Tensor:
    """Measure multi-scale structural similarity (Wang et al. 2003), on 256 pixels or more.

    Smaller images are enlarged bilinearly first, since five scales need 161 pixels at least. That
    makes values of small images comparable with each other, not with those of large ones.

    Args:
        images: (B, 3, h, w), RGB; clipped to [-1, 1].
        targets: The same shape, in [-1, 1].

    Returns:
        (B,), 1 for equal images.

    Raises:
        ImportError: pytorch-msssim is missing (`pip install 'restyle[evaluate]'`).
    """
    with needed("evaluate", "MS-SSIM needs pytorch-msssim"):
        from pytorch_msssim import ms_ssim as measure

    pair = [_enlarged(x.clamp(-1, 1)) + 1 for x in (images, targets)]
    # On CPUs its filters run several times faster in this layout; the values are the same.
    pair = [x.contiguous(memory_format=torch.channels_last) for x in pair]
    return measure(*pair, data_range=2.0, size_average=False)


def _enlarged(images: Tensor) -> Tensor:
    height, width = (max(side, MS_SSIM_SIDE) for side in images.shape[-2:])
    if (height, width) == tuple(images.shape[-2:]):
        return images
    return F.interpolate(images, (height, width), mode="bilinear", align_corners=False)
