"""A feature network whose readings are known."""

import numpy as np
import torch

from restyle.evaluation.edit_sweep import Sweep
from restyle.portraits.attributes import class_names, continuous_names
from restyle.portraits.features import FeatureConfig, FeatureNetwork
from tests.tiny import SIZE

CLASSES = sum(map(len, class_names.values()))


class Pixels(FeatureNetwork):
    """Reads attributes as linear functions of 16-pixel images, so that the truth is known."""

    def __init__(self, seed: int = 0, noise: float = 0.0):
        torch.manual_seed(11)
        super().__init__(FeatureConfig(16, (4, 4, 4, 4, 4), 8, 6))
        count = 3 * SIZE * SIZE
        rng = torch.Generator().manual_seed(7)
        look = torch.randn(count, len(continuous_names) + CLASSES + 6, generator=rng)
        if noise:
            look += noise * torch.randn(look.shape, generator=torch.Generator().manual_seed(seed))
        self.look = look / count**0.5
        self.eval().requires_grad_(False)

    def heads(self, images):
        seen = images.flatten(1) @ self.look
        values, logits, embedding = seen.split([len(continuous_names), CLASSES, 6], dim=1)
        unit = torch.nn.functional.normalize(embedding, dim=1)
        return {"values": values, "logits": logits, "embedding": unit}


def linear_sweep(slopes, strengths=(-2, -1, 0, 1, 2)):
    """N pictures whose first attribute changes by `slopes` a strength, the second by half of it."""
    s, k = np.array(strengths, float), np.array(slopes, float)
    own = s[:, None] * k[None]
    readings = np.stack([own + 5, own / 2, np.zeros_like(own)], axis=-1)
    return Sweep(s, readings, 1 - 0.1 * np.abs(own), 0, np.ones(readings.shape, bool))
