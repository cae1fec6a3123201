"""ReStyle's iterative refinement: the whole method in one loop.

Alaluf, Patashnik and Cohen-Or, "ReStyle: A Residual-Based StyleGAN Encoder via Iterative
Refinement", ICCV 2021 (arXiv 2104.02699), section 3 and equations 2 to 4.

The loop knows no architecture. An *encoder* is any callable from a (B, 6, h, w) tensor, the target
beside the current image, to a (B, num_ws, D) residual. *Render* is any callable from (B, num_ws, D)
latent codes to (B, 3, H, W) images. Inference, training, early stopping and encoder bootstrapping
all consume `refine`; nothing else in the package contains a second loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

Encoder = Callable[[Tensor], Tensor]
Render = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Estimate:
    """The loop's whole state: latent codes and what they look like.

    Attributes:
        ws: (B, num_ws, D) latent codes in W+, one per synthesis layer.
        image: (B, 3, H, W) their render at the generator's own size, RGB in [-1, 1] (not clamped).
    """

    ws: Tensor
    image: Tensor

    def __getitem__(self, keep: slice | Tensor) -> Estimate:
        """The rows of the batch that a slice, an index tensor or a boolean mask keeps."""
        return Estimate(self.ws[keep], self.image[keep])

    def detach(self) -> Estimate:
        """The same values, cut off from the graph that made them."""
        return Estimate(self.ws.detach(), self.image.detach())


def pooled(image: Tensor, target: Tensor) -> Tensor:
    """Area-pool images (B, 3, H, W) to the height and width of others, to compare them."""
    return adaptive_avg_pool2d(image, (target.shape[-2], target.shape[-1]))


def average_estimate(w_avg: Tensor, render: Render, batch: int) -> Estimate:
    """Where ReStyle starts: the average code and the average image, shared by a whole batch.

    Args:
        w_avg: (num_ws, D) average latent code, repeated to every layer.
        render: Synthesis, (1, num_ws, D) to (1, 3, H, W) in [-1, 1].
        batch: How many targets will be refined from this start.

    Returns:
        An estimate whose (B, num_ws, D) codes and (B, 3, H, W) images are views of one row.
    """
    ws = w_avg.unsqueeze(0)
    image = render(ws)
    return Estimate(ws.expand(batch, -1, -1), image.expand(batch, -1, -1, -1))


def refine(
    encoder: Encoder, render: Render, target: Tensor, start: Estimate, steps: int
) -> Iterator[Estimate]:
    """Refine latent codes step by step until their render resembles the target.

    Each step shows the encoder the target beside the current image, adds the residual that it
    predicts to the current codes, and renders. The incoming estimate is detached at every step, so
    that a training loss on one estimate reaches the encoder through that step alone, as in the
    paper. Gradients are the consumer's choice: iterate under `torch.no_grad()` for inference, call
    `backward()` on each yield to train, stop consuming to stop early. A second call that starts
    from the first one's last estimate with another encoder and render is encoder bootstrapping
    (section 5.4).

    Args:
        encoder: (B, 6, h, w) to (B, num_ws, D): the residual for [target, current image].
        render: (B, num_ws, D) to (B, 3, H, W) in [-1, 1]; at inference with fixed noise.
        target: (B, 3, h, w) images to invert at the encoder's input size, RGB in [-1, 1].
        start: Where to start: `average_estimate`, or any other estimate of the same batch.
        steps: How many steps to take.

    Yields:
        The estimate after each step, `steps` of them, with images at the generator's full size.

    Raises:
        ValueError: If the batch of the target and of the start differ.
    """
    if len(target) != len(start.ws):
        raise ValueError(
            f"expected a start for each of the {len(target)} targets, found {len(start.ws)} starts"
        )
    estimate = start
    for _ in range(steps):
        current = estimate.detach()
        image = pooled(current.image, target).to(target.dtype)
        residual = encoder(torch.cat([target, image], dim=1))
        ws = current.ws + residual
        estimate = Estimate(ws, render(ws))
        yield estimate
