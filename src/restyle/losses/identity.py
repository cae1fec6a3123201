"""Identity distance: whether two images show the same person."""

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor, nn

FACE_ROWS = (35 / 256, 223 / 256)  # where an aligned face begins and ends in its picture
FACE_COLUMNS = (32 / 256, 220 / 256)


class Embedding(Protocol):
    """A network that knows persons."""

    def embed(self, images: Tensor) -> Tensor:
        """Compute embeddings (B, E) of unit length of images (B, 3, H, W) in [-1, 1]."""
        ...


class AlignedFaces(nn.Module):
    """A network for cropped faces, as one for whole aligned pictures.

    The face is cut out of the picture as pSp does (Richardson et al., CVPR 2021): 188 of 256
    pixels, the same share at any other size.
    """

    def __init__(self, network: Embedding, size: int = 112):
        """Take a network such as ArcFace's, and the height and width that it looks at."""
        super().__init__()
        self.network, self.size = network, size

    def embed(self, images: Tensor) -> Tensor:
        """Compute embeddings (B, E) of unit length of aligned pictures (B, 3, H, W) in [-1, 1]."""
        height, width = images.shape[-2:]
        top, bottom = (round(share * height) for share in FACE_ROWS)
        left, right = (round(share * width) for share in FACE_COLUMNS)
        face = images[..., top:bottom, left:right]
        return self.network.embed(F.adaptive_avg_pool2d(face, self.size))


def identity(network: Embedding, images: Tensor, targets: Tensor) -> Tensor:
    """Return one minus the cosine of the embeddings of images and targets: (B,), 0 (the same) to 2.

    Both are (B, 3, h, w), RGB in [-1, 1], or embeddings (B, E) if compared more than once.
    """
    seen, wanted = (network.embed(one) if one.ndim == 4 else one for one in (images, targets))
    return 1 - (seen * wanted).sum(dim=1)
