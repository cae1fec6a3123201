"""Targets of an inversion: paths, PIL images, arrays and tensors, made one kind of tensor."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional

from restyle.io.images import read_image, to_tensor
from restyle.runtime.options import Fit

Picture = str | os.PathLike[str] | Image.Image | np.ndarray | Tensor
"""One image: a path, a PIL image, an array (H, W, 3) uint8, or a tensor (3, H, W) in [-1, 1]."""


def as_pictures(images: Picture | Iterable[Picture]) -> Iterable[Picture]:
    """See one picture, or a batch in one tensor, as a sequence of pictures.

    Raises:
        ValueError: A tensor that has neither three nor four dimensions.
    """
    if isinstance(images, str | os.PathLike | Image.Image):
        return [images]
    if isinstance(images, Tensor):
        if images.ndim not in (3, 4):
            raise ValueError(f"expected a tensor (B, 3, H, W), got {tuple(images.shape)}")
        return images[None] if images.ndim == 3 else images
    if isinstance(images, np.ndarray):
        return [images] if images.ndim == 3 else list(images)
    return images


def to_target(image: Picture, size: tuple[int, int], fit: Fit = "stretch") -> Tensor:
    """Make one picture the target (3, h, w) of an inversion, RGB in [-1, 1].

    Args:
        image: The picture.
        size: The encoder's input height and width, which it is resized to.
        fit: Whether that stretches it, its middle is cropped, or white bars are added first;
            tensors are stretched.

    Raises:
        ImageError: A file is not a readable image.
        ValueError: A tensor or an array of another shape, type or range, or an unknown `fit`.
    """
    if fit not in get_args(Fit):
        raise ValueError(f"fit: expected one of {', '.join(get_args(Fit))}, got {fit!r}")
    if isinstance(image, np.ndarray):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(
                f"expected an array (H, W, 3) of uint8, got {tuple(image.shape)} {image.dtype}"
            )
        image = Image.fromarray(image)
    if isinstance(image, Tensor):
        return resized(_checked_tensor(image)[None], size)[0]
    if not isinstance(image, Image.Image):
        image = read_image(Path(image))
    return to_tensor(fitted(image.convert("RGB"), size, fit), size)


def is_stretched(image: Image.Image, size: tuple[int, int]) -> bool:
    """Tell whether a resize moves an edge of a picture by a pixel or more."""
    (height, width), (w, h) = size, image.size
    return abs(w * height - h * width) >= max(w, h)


def fitted(image: Image.Image, size: tuple[int, int], fit: Fit) -> Image.Image:
    """Crop a picture to a height and width, or put it between white bars; or leave it as it is."""
    height, width = size
    if fit == "crop":
        return ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    if fit == "stretch":
        return image
    scale = min(width / image.width, height / image.height)  # Pillow's `pad` fails on long ones
    w, h = (max(1, round(side * scale)) for side in image.size)
    whole = Image.new(image.mode, (width, height), "white")
    inner = image.resize((w, h), Image.Resampling.BILINEAR)
    whole.paste(inner, ((width - w) // 2, (height - h) // 2))
    return whole


def framed(shape: tuple[int, int], size: tuple[int, int], fit: Fit) -> tuple[float, float]:
    """Return the width and height, in a picture's own pixels, of what `fitted` makes of it.

    Args:
        shape: Width and height of the picture, whose middle stays where it is.
        size: Height and width that it is fitted to.
        fit: How.
    """
    (width, height), aspect = shape, size[1] / size[0]
    if fit == "stretch":
        return width, height
    which = min if fit == "crop" else max
    return which(width, height * aspect), which(height, width / aspect)


def _checked_tensor(image: Tensor) -> Tensor:
    fits = image.ndim == 3 and image.shape[0] == 3 and image.numel()
    if not fits or not image.is_floating_point():
        raise ValueError(
            f"expected a floating-point tensor (3, H, W), got {tuple(image.shape)} {image.dtype}"
        )
    largest = image.abs().max().item()
    if not largest < 10:  # renders leave [-1, 1] a little; pixel values up to 255 are a mistake
        raise ValueError(f"expected values in [-1, 1], got magnitudes up to {largest:g}")
    return image.detach().float()


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (B, 3, H, W) to height and width, bilinearly and without aliasing."""
    if images.shape[-2:] == size:
        return images
    return functional.interpolate(images, size, mode="bilinear", antialias=True)
