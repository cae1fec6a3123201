"""Distances of pixels."""

import torch
import torch.nn.functional as F
from torch import Tensor


def l2(images: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared error (B,), 0 to 4, of images and targets (B, 3, h, w) in [-1, 1].

    Raises:
        ValueError: The shapes differ.
    """
    return difference(images, targets).square().flatten(1).mean(dim=1)


def difference(images: Tensor, targets: Tensor) -> Tensor:
    """Return images minus targets, of the same shape.

    Raises:
        ValueError: The shapes differ.
    """
    if images.shape != targets.shape:
        raise ValueError(
            f"targets: expected shape {tuple(images.shape)}, got {tuple(targets.shape)}"
        )
    return images - targets


def pyramid(images: Tensor, targets: Tensor, levels: int = 4) -> Tensor:
    """Measure the mean absolute error of each image on the levels of a Laplacian pyramid.

    As in Bojanowski et al. 2018, "Optimizing the Latent Space of Generative Networks", section 3.2;
    but fine detail has little amplitude, so each level counts twice the next coarser one.

    Args:
        images: (B, 3, h, w), RGB in [-1, 1], h and w divisible by 2 ** (levels - 1).
        targets: The same shape.
        levels: Octaves, the last of which is what is left.

    Returns:
        (B,), 0 for equal images.
    """
    rest = images - targets  # the pyramid is linear
    total = rest.new_zeros(len(rest))
    for level in range(levels):
        coarse = (
            F.avg_pool2d(rest, 2) if level < levels - 1 else torch.zeros_like(rest[..., :1, :1])
        )
        smooth = F.interpolate(coarse, rest.shape[-2:], mode="bilinear")
        total = total + (rest - smooth).abs().flatten(1).mean(dim=1) * 2.0 ** (levels - 1 - level)
        rest = coarse
    return total
