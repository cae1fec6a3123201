"""Identity distance: whether two images show the same person."""

from typing import Protocol

from torch import Tensor


class Embedding(Protocol):
    """A network that knows persons."""

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings (B, E) of unit length of images (B, 3, H, W) in [-1, 1]."""
        ...


def identity(network: Embedding, images: Tensor, targets: Tensor) -> Tensor:
    """One minus the cosine of the embeddings of each image and its target.

    Args:
        network: Gives the embeddings.
        images: (B, 3, h, w), RGB in [-1, 1].
        targets: The targets, as `images`; or their embeddings (B, E), when they are compared more
            than once.

    Returns:
        (B,), from 0 (the same) to 2.
    """
    wanted = network.embed(targets) if targets.ndim == 4 else targets
    return 1 - (network.embed(images) * wanted).sum(dim=1)
