"""Energy of images by frequency: how much fine detail they hold."""

import torch
from torch import Tensor

GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601


def radial_power(images: Tensor) -> Tensor:
    """Return the mean power of each image's grey values by radius in the frequency plane.

    The mean is taken off and a Hann window laid over the image, so that its borders are no edge.
    Source: the radial profile of Durall et al. 2020, "Watch Your Up-Convolution: CNN Based
    Generative Deep Neural Networks Are Failing to Reproduce Spectral Distributions", section 3.

    Args:
        images: (B, 3, side, side), RGB, or differences of such.

    Returns:
        (B, side // 2 + 1): entry r is the mean over frequencies whose distance from zero is nearest
        to r cycles an image.

    Raises:
        ValueError: The images are not square, or not RGB.
    """
    if images.ndim != 4 or images.shape[1] != 3 or images.shape[2] != images.shape[3]:
        raise ValueError(f"images: expected shape (B, 3, side, side), got {tuple(images.shape)}")
    side = images.shape[-1]
    grey = torch.einsum("bchw,c->bhw", images.float(), images.new_tensor(GREY).float())
    window = torch.hann_window(side, periodic=False, device=images.device)
    grey = (grey - grey.mean(dim=(1, 2), keepdim=True)) * window[:, None] * window
    power = torch.fft.fft2(grey, norm="ortho").abs().square()  # (B, side, side)
    cycles = torch.fft.fftfreq(side, 1 / side, device=images.device)
    radius = torch.hypot(cycles[:, None], cycles).round().long().flatten()
    rings = power.new_zeros(len(images), int(radius.max()) + 1)
    rings.index_add_(1, radius, power.flatten(1))
    return (rings / radius.bincount())[:, : side // 2 + 1]  # corners belong to no whole ring


def octave_energy(power: Tensor, octave: int = 0) -> Tensor:
    """Return the energy in one octave of frequency, counted from the finest.

    Args:
        power: (..., side // 2 + 1), mean power by radius; see `radial_power`.
        octave: 0 for radii above side / 4, to side / 2; 1 for the octave below; and so on.

    Returns:
        (...): the sum of the power over the octave's radii.

    Raises:
        ValueError: There is no such octave.
    """
    top = (power.shape[-1] - 1) >> octave
    if octave < 0 or top < 2:
        raise ValueError(
            f"octave: expected one of those up to {power.shape[-1] - 1} cycles, got {octave}"
        )
    return power[..., top // 2 + 1 : top + 1].sum(dim=-1)
