"""CLIP, OpenAI's text-image network, from its published weights (Radford et al., ICML 2021).

The network and the splitting of texts into tokens are transformers'; pictures are prepared here, so
that they can be differentiated.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from restyle.importers.keys import Weights, build
from restyle.io.checkpoints import CheckpointError
from restyle.io.imports import needed

HEAD = 64
"""Width of an attention head in all of OpenAI's vision transformers."""

MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of the red, green and blue, in [0, 1], of the pictures that it was trained on."""


class Clip(nn.Module):
    """CLIP as edits by text use it, frozen and in evaluation mode.

    Attributes:
        network: A `transformers.CLIPModel`.
        tokens: A `tokenizers.Tokenizer`.
        templates: Sentences that a prompt is put into; the embeddings are averaged.
    """

    templates: Sequence[str] = (
        "{}",
        "a photo of {}",
        "a picture of {}",
        "an image of {}",
        "a portrait of {}",
    )
    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, tokens: Any):
        """Take the network and what splits texts into its tokens."""
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.tokens = tokens
        for name, values in (("mean", MEAN), ("deviation", DEVIATION)):
            self.register_buffer(name, torch.tensor(values).reshape(1, 3, 1, 1), persistent=False)

    @property
    def size(self) -> int:
        """Height and width in pixels of what it looks at."""
        return self.network.config.vision_config.image_size  # type: ignore[union-attr, return-value]

    def embed_image(self, images: Tensor) -> Tensor:
        """Compute embeddings (B, E) of unit length of images (B, 3, H, W), RGB in [-1, 1].

        Images of another size are resized bicubically, whatever their aspect.
        """
        x = (images + 1) / 2
        if x.shape[-2:] != (self.size, self.size):
            shape = (self.size, self.size)
            x = F.interpolate(x, shape, mode="bicubic", align_corners=False, antialias=True)
        x = (x - self.mean) / self.deviation
        network: Any = self.network
        return F.normalize(network.visual_projection(network.vision_model(x).pooler_output), dim=1)

    @torch.no_grad()
    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Compute embeddings (N, E) of unit length of texts.

        Raises:
            ValueError: There is no text, or one is empty or too long.
        """
        if not texts or not all(text.strip() for text in texts):
            raise ValueError("text: expected words, got none")
        network: Any = self.network
        most = network.config.text_config.max_position_embeddings
        rows = [self.tokens.encode(text).ids for text in texts]
        if (longest := max(map(len, rows))) > most:
            raise ValueError(f"text: expected at most {most} of CLIP's tokens, got {longest}")
        end = network.config.text_config.eos_token_id
        # What follows a text's end changes nothing: every token sees those before it alone.
        padded = torch.tensor([row + [end] * (longest - len(row)) for row in rows])
        found = network.text_model(input_ids=padded.to(self.mean.device)).pooler_output
        return F.normalize(network.text_projection(found), dim=1)


def read_clip(weights: str | os.PathLike[str], tokenizer: str | os.PathLike[str]) -> Clip:
    """Read a CLIP with a vision transformer of OpenAI's.

    Args:
        weights: `model.safetensors` as transformers names the weights.
        tokenizer: `tokenizer.json`.

    Raises:
        CheckpointError: Missing, unexpected or mis-shaped weights, or no tokenizer.
        ImportError: The extra `text` is not installed.
    """
    with needed("text", "CLIP needs transformers"):
        from tokenizers import Tokenizer
        from transformers import CLIPConfig, CLIPModel
    try:
        tensors = load_file(weights)
    except Exception as error:  # a damaged file fails in as many ways as it can be damaged
        raise CheckpointError(f"{weights}: expected a safetensors file, got: {error}") from error
    try:
        tokens = Tokenizer.from_file(os.fspath(tokenizer))
    except Exception as error:  # the library raises plain ones
        raise CheckpointError(f"{tokenizer}: expected a tokenizer, got: {error}") from error
    table = Weights({name: tensor.float() for name, tensor in kept(tensors).items()}, weights)
    shape = shape_of(table)
    network = build(lambda: CLIPModel(CLIPConfig(**shape)), kept(tensors), weights)
    found, expected = tokens.get_vocab_size(), shape["text_config"]["vocab_size"]
    if found != expected:
        raise CheckpointError(f"{tokenizer}: expected {expected:,} tokens, got {found:,}")
    return Clip(network, tokens)


def kept(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights without the numbers of positions, which older files have."""
    return {name: t for name, t in tensors.items() if not name.endswith(".position_ids")}


def shape_of(weights: Weights) -> dict[str, Any]:
    """Return the configuration of a CLIP's weights, as transformers takes it.

    Raises:
        CheckpointError: They are not those of a CLIP.
    """
    words, text = weights.shape("text_model.embeddings.token_embedding.weight", 2)
    places, _ = weights.shape("text_model.embeddings.position_embedding.weight", 2)
    width, _, patch, _ = weights.shape("vision_model.embeddings.patch_embedding.weight", 4)
    patches, _ = weights.shape("vision_model.embeddings.position_embedding.weight", 2)
    embedding, _ = weights.shape("text_projection.weight", 2)
    side = round((patches - 1) ** 0.5)
    return {
        "projection_dim": embedding,
        "text_config": {
            **_transformer(weights, "text_model", text),
            "vocab_size": words,
            "max_position_embeddings": places,
            "bos_token_id": words - 2,
            "eos_token_id": words - 1,
        },
        "vision_config": {
            **_transformer(weights, "vision_model", width),
            "patch_size": patch,
            "image_size": side * patch,
        },
    }


def _transformer(weights: Weights, part: str, width: int) -> dict[str, int]:
    start = f"{part}.encoder.layers."
    numbers = {n.removeprefix(start).partition(".")[0] for n in weights.names() if start in n}
    inner, _ = weights.shape(f"{start}0.mlp.fc1.weight", 2)
    if width % HEAD:
        raise weights.error(f"a multiple of {HEAD} as the width of {part}", width)
    return {
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": len(numbers),
        "num_attention_heads": width // HEAD,
    }
