"""Features of images, computed once for everything that compares them."""

from typing import Any, NamedTuple

from torch import Tensor


class Extracted(NamedTuple):
    """Features of B images.

    Attributes:
        maps: For `restyle.losses.perceptual`; empty if no network gave any.
        embedding: A tensor (B, E) for `restyle.losses.identity`; None if no network gave any.
    """

    maps: list[Tensor]
    embedding: Any


def extract(images: Tensor, perceptual: Any = None, identity: Any = None) -> Extracted:
    """Give images (B, 3, h, w) in [-1, 1] to one network or two.

    `perceptual` gives maps and `identity` an embedding, if they are wanted. If both are the same
    network, and it has an `extract` for both, there is one pass through it.
    """
    if perceptual is not None and perceptual is identity and hasattr(perceptual, "extract"):
        return Extracted(*perceptual.extract(images))
    return Extracted(
        perceptual.maps(images) if perceptual is not None else [],
        identity.embed(images) if identity is not None else None,
    )
