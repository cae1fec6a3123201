"""Pictures and words in one space: what edits by text need of a network, and prompts in it."""

from collections.abc import Sequence
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

NEUTRAL = "a person"
"""What a text is compared with, if nothing else is said."""


class TextImage(Protocol):
    """A network that knows which words fit a picture, such as CLIP.

    Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
        ICML 2021.
    """

    @property
    def templates(self) -> Sequence[str]:
        """Sentences, with `{}` in the place of a prompt, that prompts are put into."""
        ...

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


def embed_prompts(network: TextImage, texts: Sequence[str]) -> Tensor:
    """Embed texts, each as the mean over the network's templates: (N, E) of unit length.

    Source: Radford et al. 2021, section 3.1.4.

    Raises:
        ValueError: As `embed_text`.
    """
    if not texts or not all(text.strip() for text in texts):
        raise ValueError("text: expected words, got none")
    prompts = [template.format(text) for text in texts for template in network.templates]
    embedded = network.embed_text(prompts).unflatten(0, (len(texts), len(network.templates)))
    return F.normalize(embedded.mean(1), dim=1)


def text_direction(network: TextImage, text: str, neutral: str = NEUTRAL) -> Tensor:
    """Return where embeddings go from a neutral text to another: (E,) of unit length.

    Source: Patashnik et al., "StyleCLIP: Text-Driven Manipulation of StyleGAN Imagery", ICCV 2021,
        section 6.1.

    Raises:
        ValueError: A text is empty, has unknown words, or both say the same.
    """
    wanted, from_here = embed_prompts(network, [text, neutral])
    step = wanted - from_here
    if step.norm() < 1e-4:
        raise ValueError(f"text: expected another one than the neutral '{neutral}', got '{text}'")
    return F.normalize(step, dim=0)
