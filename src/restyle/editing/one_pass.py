"""Text edits in one pass: from a change of embeddings to a step of codes, for any text.

The idea is that of Lyu et al., "DeltaEdit: Exploring Text-free Training for Text-Driven Image
Manipulation", CVPR 2023: pictures and texts share one space, so that what is learned from the
difference of two pictures' embeddings serves for the difference of two texts'.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from restyle.io.pretrained import PretrainedNetwork


@dataclass(frozen=True)
class OnePassConfig:
    """The size of a network, and what it was trained for.

    Attributes:
        num_ws: Rows of the generator's codes.
        w_dim: Their width.
        embedding: Length of the text-image network's embeddings.
        hidden: Width of the layers between.
        generator_sha256: Hash of the generator's weights.
        text_sha256: Hash of the text-image network's weights.
    """

    num_ws: int
    w_dim: int
    embedding: int
    hidden: int = 256
    generator_sha256: str = ""
    text_sha256: str = ""


class OnePass(nn.Module, PretrainedNetwork):
    """Predicts which step of the codes makes a change of the embedding.

    Styles are affine in the codes, so that the step is one in style space too; as one of codes it
    can be kept, edited further and filmed as any other.

    Attributes:
        config: Its size.
        mean: (E,) of the embeddings of samples.
        covariance: (E, E) of them.
        spread: (num_ws, D), standard deviations of codes, in which steps are predicted.
    """

    kind, about, config_class = "one-pass", "a network of one-pass edits", OnePassConfig
    mean: Tensor
    covariance: Tensor
    spread: Tensor

    def __init__(self, config: OnePassConfig):
        super().__init__()
        self.config = config
        size, hidden = config.embedding, config.hidden
        self.change = nn.Linear(size, hidden, bias=False)
        self.layers = nn.Sequential(
            nn.Linear(hidden + size, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.Sigmoid(),
        )
        self.step = nn.Linear(hidden, config.num_ws * config.w_dim, bias=False)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("covariance", torch.eye(size))
        self.register_buffer("spread", torch.ones(config.num_ws, config.w_dim))

    def forward(self, change: Tensor, embedding: Tensor) -> Tensor:
        """Predict steps.

        A step is linear in the change but for gates, which see the change and the picture: a face
        with glasses needs another step to lose them than one that has none.

        Args:
            change: (B, E), wanted in the embedding, in units of the embeddings' deviation.
            embedding: (B, E), of the pictures, in the same units around their mean.

        Returns:
            (B, num_ws, D), in deviations of the codes.
        """
        x = self.change(change)
        x = x * 2 * self.layers(torch.cat([x, embedding], dim=1))
        return self.step(x).unflatten(1, (self.config.num_ws, self.config.w_dim))

    @property
    def unit(self) -> Tensor:
        """Root mean square deviation of the embeddings' numbers."""
        return self.covariance.diagonal().mean().sqrt()

    def step_for(self, change: Tensor, embedding: Tensor) -> Tensor:
        """Return the steps (B, num_ws, D) that move pictures one deviation along a change.

        Args:
            change: (E,) of unit length; one deviation is that of samples' embeddings along it.
            embedding: (B, E) of the pictures.
        """
        deviation = (change @ self.covariance @ change).clamp_min(1e-12).sqrt()
        wanted = (change * deviation / self.unit).expand(len(embedding), -1)
        return self(wanted, (embedding - self.mean) / self.unit) * self.spread
