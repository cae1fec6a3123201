"""The plain distance of pixels."""

from torch import Tensor


def l2(images: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error of each image.

    Args:
        images: (B, 3, h, w), RGB in [-1, 1].
        targets: The same shape.

    Returns:
        (B,), from 0 to 4.

    Raises:
        ValueError: The shapes differ.
    """
    if images.shape != targets.shape:
        raise ValueError(
            f"targets: expected shape {tuple(images.shape)}, received {tuple(targets.shape)}"
        )
    return (images - targets).square().flatten(1).mean(dim=1)
