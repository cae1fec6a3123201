"""Pictures and words in one space: what edits by text need of a network."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor


class TextImage(Protocol):
    """A network that knows which words fit a picture, such as CLIP.

    Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
        ICML 2021.
    """

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Compute embeddings (N, E) of unit length.

        Raises:
            ValueError: There is no text, one is empty, or has words that the network does not know.
        """
        ...

    def embed_image(self, images: Tensor) -> Tensor:
        """Compute embeddings (B, E) of unit length of images (B, 3, H, W), RGB in [-1, 1].

        They can be differentiated.
        """
        ...
