"""What networks see in images, computed once for everything that compares them."""

from typing import Any, NamedTuple

from torch import Tensor


class Extracted(NamedTuple):
    """What was seen in B images.

    Attributes:
        maps: For `restyle.losses.perceptual`; empty if no network gave any.
        embedding: A tensor (B, E) for `restyle.losses.identity`; None if no network gave any.
    """

    maps: list[Tensor]
    embedding: Any


def extract(images: Tensor, perceptual: Any = None, identity: Any = None) -> Extracted:
    """Look at images (B, 3, h, w) in [-1, 1] with one network or two.

    Args:
        images: What is looked at.
        perceptual: Gives `maps`, if any are wanted.
        identity: Gives `embed`, if an embedding is wanted. If it is the same network, and this has
            a `extract` for both, there is one pass through it.
    """
    if perceptual is not None and perceptual is identity and hasattr(perceptual, "extract"):
        return Extracted(*perceptual.extract(images))
    return Extracted(
        perceptual.maps(images) if perceptual is not None else [],
        identity.embed(images) if identity is not None else None,
    )
