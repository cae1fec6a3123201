"""Effects of the channels of style space: how much each changes what a network sees.

The paper of StyleCLIP (Patashnik et al., ICCV 2021, section 6.2) renders two pictures for each
channel and sample. Here as many backward passes for each sample as the network has outputs give the
same mean change, to first order, of all channels at once: a portrait generator has 2,096 of them,
and an embedding 128 numbers.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from restyle.generators.stylegan2 import StyleGAN2

Look = Callable[[Tensor], Tensor]
"""Images (B, 3, H, W) in [-1, 1] to what is seen of them (B, F), differentiably."""

MOST_PIXELS = 16 * 64 * 64
"""In a batch of pictures, which memory bounds."""


def sampled_styles(generator: StyleGAN2, samples: int, seed: int = 0) -> Iterator[Tensor]:
    """Yield the styles (B, S) of samples, as many at once as memory allows."""
    batch = max(1, MOST_PIXELS // generator.config.size**2)
    for w in generator.sample_w(samples, seed).split(batch):
        yield torch.cat(generator.synthesis.styles(generator.broadcast(w)), dim=1).detach()


def effects_at(
    styles: Tensor, deviation: Tensor, render: Callable[[Tensor], Tensor], look: Look
) -> Tensor:
    """Return how much one deviation of each channel changes what is seen.

    Args:
        styles: (B, S), of the pictures in which it is measured.
        deviation: (S,), of each channel.
        render: (B, S) to (B, 3, H, W).
        look: Sees F numbers of each picture.

    Returns:
        (S, F), the mean over the pictures.
    """
    with torch.enable_grad():
        styles = styles.detach().requires_grad_(True)
        seen = look(render(styles))
        columns = []
        for column in range(seen.shape[1]):
            more = column + 1 < seen.shape[1]
            (slope,) = torch.autograd.grad(seen[:, column].sum(), styles, retain_graph=more)
            columns.append(slope.mean(dim=0))
    return deviation[:, None] * torch.stack(columns, dim=1)
