"""Encoder bootstrapping: from one domain into a related one by two models, one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from restyle.inversion.results import InversionResult, joined
from restyle.inversion.targets import Picture, as_pictures, resized
from restyle.refine import Estimate, refine

if TYPE_CHECKING:
    from restyle.model import ReStyle


def bootstrap(
    images: Picture | Iterable[Picture],
    source: ReStyle,
    target: ReStyle,
    source_steps: int = 1,
    steps: int = 1,
    batch_size: int = 8,
) -> InversionResult:
    """Translate images into a related domain: start with one model, go on with another.

    The second model continues from the first one's last codes *and image*. Source: the ReStyle
    paper, section 5.4 (encoder bootstrapping).

    Args:
        images: As `ReStyle.invert` takes them, from the source's domain.
        source: Inverts the images.
        target: Shares the source's latent lineage (its generator was fine-tuned from the source's).
        source_steps: Steps of the source; 1 is enough.
        steps: Steps of the target; 1 is enough for the bundled toons.
        batch_size: How many images go through the networks at once.

    Returns:
        The result for the whole batch: the source's start and steps, then the target's.

    Raises:
        ValueError: The models' latent codes differ in shape, or as `ReStyle.invert` raises it.
    """
    check_related(source, target)
    count = target.checked_steps(steps)
    if count == "auto":
        raise ValueError("steps: expected a number for bootstrapping, got 'auto'")
    results = []
    for first in source.batches(as_pictures(images), source_steps, batch_size):
        pooled = resized(first.target, target.domain.input_size).to(target.device)
        last = first.steps[-1]
        with torch.no_grad():
            start = Estimate(
                last.ws.to(target.device), last.image.to(target.device), _remembered(target, pooled)
            )
            rest = tuple(refine(target.encode, target.generate, pooled, start, count))
        results.append(InversionResult(first.target, (*first.steps, *rest)))
    return joined(results)


def _remembered(model: ReStyle, target: Tensor) -> Tensor | None:
    """Return the state of a model that has seen a target (B, 3, h, w) and went on from there.

    Only a siamese encoder's is worth having: what it reads of the target.
    """
    if not model.encoder.config.siamese:
        return None
    return model.encode(torch.cat([target, target], dim=1))[1]


def check_related(source: ReStyle, target: ReStyle) -> None:
    """Check that two models may share a lineage, as far as shapes can tell.

    Raises:
        ValueError: Their latent codes differ in shape.
    """
    codes, found = tuple(source.start_ws.shape), tuple(target.start_ws.shape)
    if codes != found:
        raise ValueError(
            f"expected codes {codes} of '{target.name}', as '{source.name}' has them, got {found}"
        )
