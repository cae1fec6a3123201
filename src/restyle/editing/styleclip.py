"""Edits of codes by text: StyleCLIP's optimiser and mapper, and a step along the gradient.

Source: Patashnik et al., "StyleCLIP: Text-Driven Manipulation of StyleGAN Imagery", ICCV 2021,
sections 4 and 5. What every edit gives is a *step*: codes (B, num_ws, D) to add to those of the
pictures. It is one deviation of the data long, so that a strength means the same for every text.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from restyle.editing.text import TextImage, embed_prompts
from restyle.generators.stylegan2 import StyleGAN2
from restyle.losses.identity import Embedding, identity
from restyle.refine import Render

SAMPLES = 10_000
"""Codes that the covariance of the data is measured over."""


def covariance_of(generator: StyleGAN2, samples: int = SAMPLES) -> Tensor:
    """Measure the covariance (D, D) of a generator's codes."""
    return generator.sample_w(samples).T.cov()


def deviations(steps: Tensor, covariance: Tensor) -> Tensor:
    """Return how long steps (B, num_ws, D) are: (B,), the RMS over the rows.

    A row is as many deviations long as its length has standard deviations, of codes with this
    covariance (D, D), along it.
    """
    squared = steps.square().sum(2)
    variance = torch.einsum("bld,de,ble->bl", steps, covariance, steps)
    along = squared.square() / variance.clamp(min=1e-20)
    return torch.where(squared > 0, along, 0).mean(1).sqrt()


def in_deviations(steps: Tensor, covariance: Tensor) -> Tensor:
    """Scale steps (B, num_ws, D) to a length of one deviation; what is zero stays zero."""
    length = deviations(steps, covariance).clamp(min=1e-12)
    return steps / length.reshape(-1, 1, 1)


def gradient_step(
    render: Render, network: TextImage, ws: Tensor, direction: Tensor, covariance: Tensor
) -> Tensor:
    """Return the step that changes pictures most in the direction of a text: *direct* edits.

    It is the gradient of the similarity, by the metric of the data: of all steps that are equally
    likely, the one along which the similarity rises most.

    Args:
        render: (B, num_ws, D) to (B, 3, H, W) in [-1, 1].
        network: Embeds the pictures.
        ws: (B, num_ws, D) codes.
        direction: (E,) of unit length, as `text_direction` gives it.
        covariance: (D, D) of the generator's codes.
    """
    with torch.enable_grad():
        ws = ws.detach().requires_grad_(True)
        similarity = (network.embed_image(render(ws)) * direction).sum()
        (gradient,) = torch.autograd.grad(similarity, ws)
    return in_deviations(gradient @ covariance, covariance)


@dataclass(frozen=True)
class Optimiser:
    """How the optimiser searches.

    Attributes:
        steps: Of Adam.
        lr: Its learning rate at the beginning, in standard deviations of a code's numbers; it falls
            evenly to zero.
        l2: Weight of the mean squared distance of a row to the one before, in the variance of
            codes.
        identity: Weight of one minus the cosine of the identity embeddings.
    """

    steps: int = 60
    lr: float = 0.02
    l2: float = 1.0
    identity: float = 0.2


def optimised_codes(
    render: Render,
    network: TextImage,
    ws: Tensor,
    text: str,
    covariance: Tensor,
    faces: Embedding | None = None,
    *,
    how: Optimiser = Optimiser(),
) -> Tensor:
    """Return the codes (B, num_ws, D) near by whose pictures a text fits best (section 4).

    Minimises the cosine distance of picture and text, the distance to the codes before, and that of
    the identity.

    Args:
        render: (B, num_ws, D) to (B, 3, H, W) in [-1, 1].
        network: Embeds pictures and the text.
        ws: (B, num_ws, D) codes.
        text: What the pictures shall show.
        covariance: (D, D) of the generator's codes.
        faces: Knows persons; None: the identity does not count.
        how: Steps and weights.
    """
    wanted, start = embed_prompts(network, [text])[0], ws.detach()
    spread = covariance.trace()
    rate = how.lr * float(covariance.diagonal().mean().sqrt())
    with torch.enable_grad():
        step = torch.zeros_like(start, requires_grad=True)
        before = None if faces is None else faces.embed(render(start)).detach()
        adam = torch.optim.Adam([step])
        for done in range(how.steps):
            images = render(start + step)
            loss = 1 - network.embed_image(images) @ wanted
            loss = loss + how.l2 * step.square().sum(2).mean(1) / spread
            if faces is not None and before is not None:
                loss = loss + how.identity * identity(faces, images, before)
            (step.grad,) = torch.autograd.grad(loss.sum(), step)
            adam.param_groups[0]["lr"] = rate * (1 - done / how.steps)
            adam.step()
    return start + step.detach()


def optimised_step(
    render: Render,
    network: TextImage,
    ws: Tensor,
    text: str,
    covariance: Tensor,
    faces: Embedding | None = None,
) -> Tensor:
    """Return the step towards `optimised_codes`, whose arguments it has."""
    found = optimised_codes(render, network, ws, text, covariance, faces)
    return in_deviations(found - ws, covariance)
