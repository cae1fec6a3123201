"""A text-image network for portraits: their pictures and their captions in one space.

It is what CLIP is (Radford et al., ICML 2021), for pictures that are drawn and for the words that
captions of them have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restyle.io.checkpoints import CheckpointError, listed, load_strict
from restyle.io.pretrained import Pretrained
from restyle.portraits.captions import split, vocabulary
from restyle.portraits.features import FeatureConfig, FeatureNetwork

UNKNOWN = "the text has words that the network does not know: {}; it knows {}"
MOST_WORDS = 400


@dataclass(frozen=True)
class TextConfig:
    """The size of a text-image network.

    Attributes:
        image: That of the image side, whose `embedding` both sides have.
        width: Of a word.
        reach: Words that a convolution over words sees, an odd number.
        layers: Convolutions over words.
    """

    image: FeatureConfig = FeatureConfig(64, (16, 32, 64, 96, 96), hidden=120, embedding=128)
    width: int = 64
    reach: int = 5
    layers: int = 2


class Words(nn.Module):
    """The text side: convolutions over words, whose sum is projected.

    What a word means depends on its neighbours (*brown hair*, *no beard*), and a text says what its
    phrases say together, in whatever order.
    """

    def __init__(self, config: TextConfig, count: int):
        """Build it for `count` words; word 0 is none."""
        super().__init__()
        width = config.width
        self.embedding = nn.Embedding(count + 1, width, padding_idx=0)
        self.layers = nn.ModuleList(
            nn.Conv1d(width, width, config.reach, padding="same") for _ in range(config.layers)
        )
        self.project = nn.Linear(width, config.image.embedding)

    def forward(self, numbers: Tensor) -> Tensor:
        """Map numbers of words (N, L), zeros behind the last, to (N, E) of unit length."""
        there = (numbers > 0).unsqueeze(1)
        x = self.embedding(numbers).transpose(1, 2)  # (N, width, L)
        for layer in self.layers:
            x = (x + F.relu(layer(x))) * there
        total = x.sum(2) / there.sum(2).sqrt()
        return F.normalize(self.project(total), dim=1)


class TextNetwork(nn.Module, Pretrained):
    """Embeds portraits, and texts in the words of their captions.

    Attributes:
        image: The image side, a feature network; what it calls identity is the embedding.
        words: The text side.
        known: The words that it knows, sorted.
        log_scale: Logarithm of what cosines are multiplied by in training.
        templates: Sentences that a prompt is put into; the embeddings are averaged.
    """

    kind = "text"
    templates: Sequence[str] = ("{}", "a portrait of {}", "a photo of {}", "a picture of {}")

    def __init__(self, config: TextConfig = TextConfig(), known: Sequence[str] | None = None):
        """Build an untrained network for words, those of today's captions if None.

        Raises:
            ValueError: An even reach, or a size that the image side cannot have.
        """
        super().__init__()
        if config.reach % 2 == 0:
            raise ValueError(f"reach: expected an odd number, got {config.reach}")
        self.config = config
        self.known = vocabulary() if known is None else list(known)
        self._numbers = {word: number for number, word in enumerate(self.known, 1)}
        self.image = FeatureNetwork(config.image)
        self.words = Words(config, len(self.known))
        self.log_scale = nn.Parameter(torch.tensor(3.0))

    @classmethod
    def from_checkpoint(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], source: object
    ) -> Self:
        """Build a trained network, frozen and in evaluation mode.

        Raises:
            CheckpointError: It is another network, or the weights do not fit.
        """
        if config["kind"] != cls.kind:
            raise CheckpointError(
                f"{source}: expected a text-image network, got a '{config['kind']}'"
            )
        shape = dict(config["network"])
        image = shape.pop("image")
        image = FeatureConfig(**{**image, "widths": tuple(image["widths"])})
        network = cls(TextConfig(image, **shape), [str(word) for word in config["words"]])
        load_strict(network, tensors, str(source))
        return network.eval().requires_grad_(False)

    def checkpoint_config(self) -> dict[str, Any]:
        """Return the network's shape and the words that it knows."""
        return {"network": asdict(self.config), "words": self.known}

    def embed_image(self, images: Tensor) -> Tensor:
        """Compute embeddings (B, E) of unit length of images (B, 3, H, W), RGB in [-1, 1]."""
        return self.image.embed(images)

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Compute embeddings (N, E) of unit length of texts.

        Raises:
            ValueError: There is no text, one is empty, or has words that the network does not know.
        """
        return self.words(self.numbers(texts).to(self.log_scale.device))

    def numbers(self, texts: Sequence[str]) -> Tensor:
        """Number the words of texts: (N, L) int64, zeros behind the last word of each.

        Raises:
            ValueError: As for `embed_text`.
        """
        rows = [split(text) for text in texts]
        if not rows or not all(rows):
            raise ValueError("text: expected words, got none")
        strange = sorted({word for row in rows for word in row} - self._numbers.keys())
        if strange:
            raise ValueError(UNKNOWN.format(listed(strange), ", ".join(self.known)))
        longest = max(map(len, rows))
        if longest > MOST_WORDS:
            raise ValueError(f"text: expected at most {MOST_WORDS} words, got {longest}")
        padded = [[self._numbers[w] for w in row] + [0] * (longest - len(row)) for row in rows]
        return torch.tensor(padded)
