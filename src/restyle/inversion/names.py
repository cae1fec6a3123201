"""Methods by name: `restyle`, `w`, `projector`, `ws`, `pti`, with a number of steps, in a row.

`ws:300` is 300 iterations of W+ optimisation; `restyle:5+ws:100` five steps of the encoder, then
100 iterations from where it came to; `w+pti` one code for all layers, then pivotal tuning around
it. `projector` is `w` with the generator's noise inputs optimised as well, as StyleGAN2's projector
does: its images are then no longer functions of the codes alone. After @ a learning rate may
follow: `ws:1500@0.05`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from restyle.inversion.optimisation import NoiseMaps, Objective, optimise_w, optimise_ws
from restyle.inversion.pivotal import PivotalTuning
from restyle.refine import Encoder, Estimate, Render, refine

Method = Callable[[Tensor, Estimate], Iterator[Estimate]]

ITERATIONS = {"w": 1000, "projector": 1000, "ws": 1000, "pti": 350}
"""How many steps the methods without an encoder take if none are given."""


class Part(NamedTuple):
    """One of the methods in a text, as it was asked for.

    Attributes:
        name: `restyle`, `w`, `projector`, `ws` or `pti`.
        steps: How many.
        lr: Adam's learning rate, the method's own if None.
    """

    name: str
    steps: int
    lr: float | None = None

    def __str__(self) -> str:
        """The text of this part, in full."""
        return f"{self.name}:{self.steps}" + ("" if self.lr is None else f"@{self.lr:g}")


@dataclass(frozen=True)
class Networks:
    """What the methods are made of.

    Attributes:
        encode: (B, 6, h, w) to residuals (B, num_ws, D).
        render: (B, num_ws, D) to images (B, 3, H, W) in [-1, 1].
        generator: Has `mapping`, `synthesis`, `w_avg`; what `render` renders with.
        crop: What `render` does with the images of `generator.synthesis`.
        objective: What optimisation and tuning minimise.
        encoder_steps: Steps of the encoder if no number is given.
        most_steps: The most that the encoder can take; None for any number.
    """

    encode: Encoder
    render: Render
    generator: Any
    crop: Callable[[Tensor], Tensor]
    objective: Objective
    encoder_steps: int = 5
    most_steps: int | None = None


@dataclass(frozen=True)
class Chain:
    """Methods of which each starts from the last estimate of the one before.

    Attributes:
        name: As it was asked for, with all numbers of steps.
        stages: The methods.
        steps: Their numbers of steps.
    """

    name: str
    stages: tuple[Method, ...]
    steps: tuple[int, ...]

    def __call__(self, target: Tensor, start: Estimate) -> Iterator[Estimate]:
        """Invert targets (B, 3, h, w) in [-1, 1]; yields the estimate after each step."""
        estimate = start
        for method in self.stages:
            for reached in method(target, estimate):
                yield reached
            estimate = reached

    @property
    def tuning(self) -> PivotalTuning | None:
        """The pivotal tuning among the stages, whose `generator` belongs to the last estimate."""
        return next((stage for stage in self.stages if isinstance(stage, PivotalTuning)), None)


def build(text: str, networks: Networks) -> Chain:
    """Make a method from its name.

    Args:
        text: Names of methods with or without `:steps` and `@rate`, joined by `+`.
        networks: What they are made of.

    Raises:
        ValueError: An unknown name, no positive number of steps or learning rate, more steps than
            the encoder can take, or a method after pivotal tuning, which would render with the
            untuned generator.
    """
    parts = [_parsed(part, networks) for part in text.split("+")]
    if "pti" in [part.name for part in parts[:-1]]:
        raise ValueError(f"expected pti as the last of the methods, got {text!r}")
    return Chain(
        "+".join(map(str, parts)),
        tuple(_stage(part, networks) for part in parts),
        tuple(part.steps for part in parts),
    )


def _parsed(text: str, networks: Networks) -> Part:
    method, at, rate = text.partition("@")
    name, _, number = method.partition(":")
    defaults = {"restyle": networks.encoder_steps, **ITERATIONS}
    if name not in defaults:
        raise ValueError(f"expected a method of {', '.join(defaults)}, got {name!r}")
    try:
        steps = int(number or defaults[name])
    except ValueError:
        steps = 0
    if steps < 1:
        raise ValueError(f"expected {name}:STEPS with a positive number, got {text!r}")
    most = networks.most_steps
    if name == "restyle" and most is not None and steps > most:
        raise ValueError(f"expected at most {most} steps of a single-shot encoder, got {text!r}")
    return Part(name, steps, _rate(text, name, rate) if at else None)


def _rate(text: str, name: str, rate: str) -> float:
    if name == "restyle":
        raise ValueError(f"expected no learning rate of an encoder, got {text!r}")
    try:
        lr = float(rate)
    except ValueError:
        lr = math.nan
    if not 0 < lr < math.inf:
        raise ValueError(
            f"expected {name}:STEPS@RATE with a positive learning rate, such as {name}@0.05, "
            f"got {text!r}"
        )
    return lr


def _stage(part: Part, networks: Networks) -> Method:
    if part.name == "restyle":
        return partial(_refined, networks, part.steps)
    options: dict[str, Any] = {"steps": part.steps}
    if part.lr is not None:
        options["lr"] = part.lr
    if part.name == "pti":
        return PivotalTuning(networks.generator, networks.objective, crop=networks.crop, **options)
    if part.name == "ws":
        return partial(optimise_ws, networks.render, networks.objective, **options)
    options["w_std"] = _w_std(networks.generator)
    if part.name == "projector":
        options["noise"] = _noise(networks)
    return partial(optimise_w, networks.render, networks.objective, **options)


def _refined(networks: Networks, steps: int, target: Tensor, start: Estimate) -> Iterator[Estimate]:
    estimates = refine(networks.encode, networks.render, target, start, steps)
    for _ in range(steps):
        with torch.no_grad():
            estimate = next(estimates)
        yield estimate


def _noise(networks: Networks) -> NoiseMaps:
    """The generator's own noise maps, and how it renders with others."""
    synthesis = networks.generator.synthesis
    own = {name: map_ for name, map_ in synthesis.named_buffers() if name.endswith(".noise")}

    def render(ws: Tensor, maps: Sequence[Tensor]) -> Tensor:
        given = dict(zip(own, maps, strict=True))
        return networks.crop(torch.func.functional_call(synthesis, given, (ws,)))

    return NoiseMaps(list(own.values()), render)


@torch.no_grad()
def _w_std(generator: Any, samples: int = 1000) -> float:
    """Root mean square distance of random codes to the average one."""
    return (generator.sample_w(samples) - generator.w_avg).square().sum(dim=1).mean().sqrt().item()
