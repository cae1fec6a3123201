"""Inversion by an encoder's steps: how many there may be, and what comes of them."""

from typing import Literal

import torch
from torch import Tensor

from restyle.domains import Domain
from restyle.generators.stylegan2 import StyleGAN2Config
from restyle.inversion.adaptive import refine_until
from restyle.inversion.methods import DEFAULT_STEPS
from restyle.inversion.parsing import MOST_STEPS
from restyle.inversion.results import InversionResult
from restyle.refine import Encoder, Estimate, Render, refine

Steps = int | Literal["auto"] | None


def checked_steps(steps: Steps, single_shot: bool) -> int | Literal["auto"]:
    """Return the number of steps to take: the given one, or 5, or 1 if single-shot.

    Raises:
        ValueError: Below 1, or more than one step of a single-shot encoder.
    """
    if steps is None or (steps == "auto" and single_shot):
        return 1 if single_shot else DEFAULT_STEPS
    if steps == "auto":
        return "auto"
    if not isinstance(steps, int) or not 1 <= steps <= MOST_STEPS:
        raise ValueError(f"expected steps of at least 1, or 'auto', got {steps}")
    if single_shot and steps > 1:
        raise ValueError(f"expected steps=1 for a single-shot encoder, got {steps}")
    return steps


def check_preview(
    resolution: int | None, steps: Steps, domain: Domain, config: StyleGAN2Config
) -> None:
    """Refuse a resolution that the steps before the last one cannot be rendered at.

    Raises:
        ValueError: No power of two from the encoder's input to the generator's size, or "auto".
    """
    if resolution is None:
        return
    smallest, size = max(domain.input_size), config.size
    if not smallest <= resolution <= size or resolution & (resolution - 1):
        raise ValueError(
            f"expected a preview of a power of two from {smallest} to {size}, got {resolution}"
        )
    if steps == "auto":
        raise ValueError("expected a number of steps with a preview, got 'auto'")


@torch.no_grad()
def take_steps(
    encoder: Encoder,
    render: Render,
    rough: Render,
    target: Tensor,
    start: Estimate,
    steps: int | Literal["auto"],
) -> InversionResult:
    """Invert a batch by so many steps, or by as many as each image needs; return all of them.

    Args:
        encoder: As `refine` takes it.
        render: What the last step, or each of "auto", is rendered with.
        rough: What the steps before the last one are rendered with.
        target: (B, 3, h, w) in [-1, 1].
        start: Of the whole batch.
        steps: As `checked_steps` gives them.
    """
    if steps == "auto":
        found = list(refine_until(encoder, render, target, start))
        steps_used = torch.stack([took for _, took in found]).sum(dim=0)
        return InversionResult(target, (start, *(one for one, _ in found)), steps_used)
    inner = (start, *refine(encoder, rough, target, start, steps - 1))
    last = refine(encoder, render, target, inner[-1], 1)
    return InversionResult(target, (*inner, *last))
