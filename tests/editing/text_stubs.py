"""A text-image network whose truth is known: it sees colours, and knows three words."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WORDS = {"a person": (1.0, 1.0, 1.0), "red": (2.0, 1.0, 1.0), "dark": (-1.0, -1.0, -1.0)}


class Colours(nn.Module):
    """Embeds pictures by their mean colour, after what all pictures have in common."""

    templates = ("{}",)

    def __init__(self):
        super().__init__()
        self.register_buffer("common", torch.tensor(3.0))

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        if unknown := [text for text in texts if text not in WORDS]:
            raise ValueError(f"the text has words that the network does not know: {unknown[0]}")
        return F.normalize(torch.tensor([(*WORDS[text], 3.0) for text in texts]), dim=1)

    def embed_image(self, images: Tensor) -> Tensor:
        colours = images.mean(dim=(2, 3))
        common = self.common.expand(len(images), 1)
        return F.normalize(torch.cat([colours, common], dim=1), dim=1)
