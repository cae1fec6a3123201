"""ReStyle's iterative refinement: the whole method in one loop.

Alaluf, Patashnik and Cohen-Or, "ReStyle: A Residual-Based StyleGAN Encoder via Iterative
Refinement", ICCV 2021 (arXiv 2104.02699), section 3 and equations 2 to 4.

The loop knows no architecture. An *encoder* is any callable from (B, 6, h, w) images, the target
beside the current one, with the codes and a state of its own, to a (B, num_ws, D) residual and its
next state; ReStyle's looks at the images alone. *Render* is any callable from (B, num_ws, D) codes
to (B, 3, H, W) images. Inference, training, stopping and bootstrapping share this one loop.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

Encoder = Callable[[Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor | None]]
Render = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Estimate:
    """The loop's whole state: latent codes and what they look like.

    Attributes:
        ws: (B, num_ws, D) latent codes in W+, one per synthesis layer.
        image: (B, 3, H, W) their render at the generator's own size, RGB in [-1, 1] (not clamped).
        state: (B, ...) what an encoder hands to its next step; None at the start.
    """

    ws: Tensor
    image: Tensor
    state: Tensor | None = None

    def __getitem__(self, keep: slice | Tensor) -> "Estimate":
        """Return the rows of the batch that a slice, an index tensor or a boolean mask keeps."""
        state = None if self.state is None else self.state[keep]
        return Estimate(self.ws[keep], self.image[keep], state)

    def detach(self) -> "Estimate":
        """Return the same values, cut off from the graph that made them."""
        state = None if self.state is None else self.state.detach()
        return Estimate(self.ws.detach(), self.image.detach(), state)


def pool_to(image: Tensor, target: Tensor) -> Tensor:
    """Area-pool images (B, 3, H, W) to the height and width of others, to compare them."""
    return adaptive_avg_pool2d(image, (target.shape[-2], target.shape[-1]))


def average_estimate(w_avg: Tensor, render: Render, batch: int) -> Estimate:
    """Return where ReStyle starts: the average code and the average image, shared by a whole batch.

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


def step(encoder: Encoder, render: Render, target: Tensor, estimate: Estimate) -> Estimate:
    """Take one step: show the encoder target and current image, add its residual, render.

    Codes and image are detached first, so that a training loss reaches the encoder through this
    step alone, as in the paper, and through a state where there is one.

    Args:
        encoder: [target, current image], codes and state to the residual and the next state.
        render: (B, num_ws, D) to (B, 3, H, W) in [-1, 1]; at inference with fixed noise.
        target: (B, 3, h, w) images to invert at the encoder's input size, RGB in [-1, 1].
        estimate: What is corrected, of the same batch.

    Returns:
        The next estimate, its image at the generator's full size.
    """
    current = estimate.detach()
    image = pool_to(current.image, target).to(target.dtype)
    residual, state = encoder(torch.cat([target, image], dim=1), current.ws, estimate.state)
    ws = current.ws + residual
    return Estimate(ws, render(ws), state)


def refine(
    encoder: Encoder, render: Render, target: Tensor, start: Estimate, steps: int
) -> Iterator[Estimate]:
    """Refine latent codes by `step`, again and again, until their render resembles the target.

    Gradients are the consumer's choice: iterate under `torch.no_grad()` for inference, call
    `backward()` on each yield to train, stop consuming to stop early. A second call from the first
    one's last estimate, with another encoder and render, is encoder bootstrapping (section 5.4).

    Args:
        encoder: As in `step`.
        render: As in `step`.
        target: As in `step`.
        start: Where to start: `average_estimate`, or any other estimate of the same batch.
        steps: How many steps to take.

    Yields:
        The estimate after each step, `steps` of them.

    Raises:
        ValueError: The batch of the target and of the start differ.
    """
    if len(target) != len(start.ws):
        raise ValueError(
            f"expected a start for each of the {len(target)} targets, got {len(start.ws)} starts"
        )
    estimate = start
    for _ in range(steps):
        estimate = step(encoder, render, target, estimate)
        yield estimate
