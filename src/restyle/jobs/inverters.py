"""Ways to invert targets: the model's own steps, or a method by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from restyle.hub.registry import loss_networks
from restyle.inversion.methods import NONE, Chain, build, networks_of, objective_for, usual_features
from restyle.inversion.pivotal import PivotalTuning
from restyle.inversion.results import InversionResult
from restyle.jobs.manifest import Item
from restyle.model import ReStyle, Steps

STRIP_STEPS = 6
"""The most steps of a method that are shown and kept, beside the start."""

_LONG = 20  # steps from which on a method has a progress bar of its own

Outputs = dict[str, str]
Extra = Callable[[InversionResult, Item, Path], tuple[Outputs, dict[str, Any]]]
"""Writes below the output folder what there is besides: its paths, and facts for the manifest."""


def nothing_more(result: InversionResult, item: Item, out: Path) -> tuple[Outputs, dict[str, Any]]:
    """Return no further outputs and facts."""
    return {}, {}


@dataclass(frozen=True)
class Inverter:
    """One way to invert targets.

    Attributes:
        invert: Takes targets (B, 3, h, w).
        settings: What the results depend on, as manifests and latents files say it.
        labels: Of the steps that the strip shows, which are the result's last ones; the average and
            the numbers of all steps if there are none.
        encoded: What the encoder alone makes of the targets, (B, 3, H, W); None if there is none.
        extra: Further outputs of one image.
        alone: Invert images one at a time.
    """

    invert: Callable[[Tensor], InversionResult]
    settings: dict[str, Any]
    labels: Sequence[str] = ()
    encoded: Callable[[InversionResult], Tensor] | None = attrgetter("image")
    extra: Extra = nothing_more
    alone: bool = False


def by_steps(model: ReStyle, steps: Steps, preview: int | None, batch_size: int) -> Inverter:
    """Return the model's own way, a number of steps, or "auto" for as many as help each image.

    Raises:
        ValueError: The model cannot take so many steps, or render such previews.
    """
    steps = model.checked_steps(steps)
    model.checked_preview(preview, steps)
    return Inverter(
        lambda targets: model.invert(targets, steps, batch_size, preview),
        {"steps": steps, "preview": preview},
        extra=_steps_used if steps == "auto" else nothing_more,
    )


def _steps_used(result: InversionResult, item: Item, out: Path) -> tuple[Outputs, dict[str, Any]]:
    return {}, {"steps_used": int(result.steps_used[0])}


def by_method(model: ReStyle, text: str, features: str | None) -> Inverter:
    """Return a method by name.

    Args:
        model: The model.
        text: As `restyle.inversion.methods.build` takes it.
        features: The networks of the objective as `restyle.hub.registry.loss_networks` takes them,
            or "none"; the one for the model's images if None.

    Raises:
        ValueError: There is no such method.
        CheckpointError: The feature network is not there, or cannot be used.
    """
    features = features or usual_features(model)
    objective = objective_for([text], loss_networks(features), model.device, model.dtype)
    chain = build(text, networks_of(model, objective))
    labels = strip_steps(chain)
    settings = {
        "method": chain.name,
        "iterations": sum(chain.steps),
        "shown": list(labels),
        "features": features if objective.features is not None else NONE,
    }
    return Inverter(
        partial(_follow, chain, model, set(labels)),
        settings,
        list(labels.values()),
        (lambda result: model.invert(result.target).image) if model.has_encoder else None,
        partial(_save_tuned, chain.tuning) if chain.tuning else nothing_more,
        alone=chain.tuning is not None,  # each image is given a generator of its own
    )


def strip_steps(chain: Chain) -> dict[int, str]:
    """Return the steps of a method that are shown and kept, with labels; 0 is the start.

    Of the last of its parts a few, farther and farther apart; of the others the last one each.
    """
    labels, before = {0: "average"}, 0
    *first, last = zip(chain.name.split("+"), chain.steps, strict=True)
    for part, steps in first:
        before += steps
        labels[before] = f"{part.partition(':')[0]} {steps}"
    name, steps = last[0].partition(":")[0], last[1]
    for step in spread(steps):
        labels[before + step] = f"{name} {step}"
    return labels


def spread(last: int, most: int = STRIP_STEPS) -> list[int]:
    """Return whole numbers from 1 to `last`, all of them or `most`, about evenly on a log axis."""
    if last <= most:
        return list(range(1, last + 1))
    return sorted({round(last ** (i / (most - 1))) for i in range(most)})


def _follow(chain: Chain, model: ReStyle, shown: set[int], targets: Tensor) -> InversionResult:
    """Invert a batch, and keep the estimates that are shown."""
    targets = targets.to(model.device)
    start = model.start(len(targets))
    kept, total = [start], sum(chain.steps)
    hidden = None if total >= _LONG else True
    with tqdm(total=total, unit="step", desc=chain.name, leave=False, disable=hidden) as progress:
        for number, estimate in enumerate(chain(targets, start), start=1):
            if number in shown:
                kept.append(estimate)
            progress.update()
    return InversionResult(targets, tuple(kept))


def _save_tuned(
    tuning: PivotalTuning, result: InversionResult, item: Item, out: Path
) -> tuple[Outputs, dict[str, Any]]:
    path = f"generators/{item.name}.safetensors"
    return {"generator": path}, {"generator_bytes": tuning.save(out / path)}
