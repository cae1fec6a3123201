"""Methods by name (`METHODS`), with a number of steps, in a row.

`ws:300` is 300 iterations of W+ optimisation; `restyle:5+ws:100` five steps of the encoder, then
100 iterations from where it came to; `restyle:2+newton:3` two steps of the encoder, then three
of second order; `w+pti` one code for all layers, then pivotal tuning around
it. `projector` is `w` with the generator's noise inputs optimised as well, as StyleGAN2's projector
does: its images are then no longer functions of the codes alone. `auto` in the place of a number
lets each image take as many steps as help it. After @ options may follow, a learning rate
(`ws:1500@0.05`), or `newton:3@inner=8,pull=0.1`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from restyle.domains import PORTRAITS, TOON
from restyle.editing.editor import Editor
from restyle.generators.stylegan2 import StyleGAN2
from restyle.inversion.adaptive import MOST_STEPS as MOST_ENCODER_STEPS
from restyle.inversion.adaptive import refine_until
from restyle.inversion.curvature import Curvature, curvature_of
from restyle.inversion.newton import MOST_STEPS as MOST_NEWTON_STEPS
from restyle.inversion.newton import newton
from restyle.inversion.optimisation import NoiseMaps, Objective, optimise_w, optimise_ws
from restyle.inversion.parsing import Entry, parse, with_auto
from restyle.inversion.pivotal import PivotalTuning, tuned_generator
from restyle.inversion.results import InversionResult
from restyle.inversion.targets import Picture
from restyle.io.checkpoints import weights_hash
from restyle.losses.weighted import WeightedLosses
from restyle.portraits.features import FeatureNetwork
from restyle.refine import Encoder, Estimate, Render, refine

if TYPE_CHECKING:
    from restyle.model import ReStyle

Method = Callable[[Tensor, Estimate], Iterator[Estimate]]

DEFAULT_STEPS = 5  # what the paper recommends for faces; quality saturates soon after

NONE = "none"
"""In the place of a feature network's name: the squared error alone."""

_Model = TypeVar("_Model", bound="ReStyle")


@dataclass(frozen=True)
class Networks:
    """The parts that methods are made of.

    Attributes:
        encode: (B, 6, h, w) to residuals (B, num_ws, D).
        render: (B, num_ws, D) to images (B, 3, H, W) in [-1, 1].
        generator: What `render` renders with.
        crop: What `render` does with the images of `generator.synthesis`.
        objective: What optimisation and tuning minimise.
        encoder_steps: Steps of the encoder if no number is given.
        most_steps: The most that the encoder can take; None for any number.
        folder: Of the model's checkpoint, where its curvature may lie; None if there is none.
        has_gradients: False where the encoder alone can be asked.
    """

    encode: Encoder
    render: Render
    generator: StyleGAN2
    crop: Callable[[Tensor], Tensor]
    objective: Objective
    encoder_steps: int = DEFAULT_STEPS
    most_steps: int | None = None
    folder: Path | None = None
    has_gradients: bool = True


@dataclass(frozen=True)
class Chain:
    """Methods of which each starts from the last estimate of the one before.

    Attributes:
        name: As it was asked for, with all numbers of steps.
        stages: The methods.
        steps: Their numbers of steps; at most so many, where a method stops by itself.
    """

    name: str
    stages: tuple[Method, ...]
    steps: tuple[int, ...]

    def __call__(self, target: Tensor, start: Estimate) -> Iterator[Estimate]:
        """Invert targets (B, 3, h, w) in [-1, 1]; yields the estimate after each step.

        There are as many as `steps` says: a method whose images have stopped repeats the last one.
        """
        last = start
        for method, steps in zip(self.stages, self.steps, strict=True):
            estimates = method(target, last)
            for _ in range(steps):
                last = next(estimates, last)  # the last one again, where every image has stopped
                yield last

    @property
    def tuning(self) -> PivotalTuning | None:
        """The pivotal tuning among the stages, whose `generator` belongs to the last estimate."""
        return next((stage for stage in self.stages if isinstance(stage, PivotalTuning)), None)


def build(text: str, networks: Networks) -> Chain:
    """Make a method from its name.

    Args:
        text: Names of methods with or without `:steps` and `@options`, joined by `+`.
        networks: What they are made of.

    Raises:
        ValueError: An unknown name or option, a number out of its range, more steps than the
            encoder can take, or a method after pivotal tuning, which would render with the untuned
            generator.
    """
    parts = parse(text, METHODS, networks.encoder_steps)
    if "pti" in [part.name for part in parts[:-1]]:
        raise ValueError(f"expected pti as the last of the methods, got {text!r}")
    alone = all(part.name == "restyle" for part in parts)
    if not alone and not networks.has_gradients:
        raise ValueError(f"expected methods of the encoder alone of an export, got {text!r}")
    most = networks.most_steps
    for number, part in enumerate(parts):
        if part.name != "restyle" or most is None:
            continue
        if part.steps is not None and part.steps > most:
            raise ValueError(
                f"expected at most {most} steps of a single-shot encoder, got {text!r}"
            )
        parts[number] = part._replace(steps=part.steps or most)
    return Chain(
        "+".join(map(str, parts)),
        tuple(METHODS[p.name].make(networks, steps=p.steps, **p.options) for p in parts),
        tuple(METHODS[p.name].most if p.steps is None else p.steps for p in parts),
    )


def refined(
    encode: Encoder, render: Render, target: Tensor, start: Estimate, steps: int | None
) -> Iterator[Estimate]:
    """Refine as `refine` does, without gradients; None for as many steps as help each image."""
    if steps is None:
        estimates = (estimate for estimate, _ in refine_until(encode, render, target, start))
    else:
        estimates = refine(encode, render, target, start, steps)
    while True:
        with torch.no_grad():
            estimate = next(estimates, None)
        if estimate is None:
            return
        yield estimate


def _restyle(networks: Networks, steps: int | None) -> Method:
    return partial(refined, networks.encode, networks.render, steps=steps)


def _w(networks: Networks, **options: Any) -> Method:
    generator = networks.generator
    w = generator.sample_w(1000)
    w_std = (w - generator.w_avg).square().sum(dim=1).mean().sqrt().item()
    return partial(optimise_w, networks.render, networks.objective, w_std=w_std, **options)


def _projector(networks: Networks, **options: Any) -> Method:
    synthesis = networks.generator.synthesis
    own = {name: map_ for name, map_ in synthesis.named_buffers() if name.endswith(".noise")}

    def render(ws: Tensor, maps: Sequence[Tensor]) -> Tensor:
        given = dict(zip(own, maps, strict=True))
        return networks.crop(torch.func.functional_call(synthesis, given, (ws,)))

    return _w(networks, noise=NoiseMaps(list(own.values()), render), **options)


def _ws(networks: Networks, **options: Any) -> Method:
    return partial(optimise_ws, networks.render, networks.objective, **options)


def _newton(networks: Networks, steps: int | None, **options: Any) -> Method:
    objective = networks.objective
    if not isinstance(objective, WeightedLosses):
        raise ValueError("newton: expected an objective with residuals, got another one")

    @cache  # hashing both networks for every batch would be for nothing
    def curvature(size: tuple[int, int]) -> Curvature:
        return curvature_of(networks.generator, networks.render, objective, size, networks.folder)

    def refined(target: Tensor, start: Estimate) -> Iterator[Estimate]:
        known = curvature((target.shape[-2], target.shape[-1]))
        return newton(networks.render, objective, target, start, known, steps, **options)

    return refined


def _pti(networks: Networks, **options: Any) -> Method:
    return PivotalTuning(networks.generator, networks.objective, crop=networks.crop, **options)


METHODS = {
    "restyle": Entry(_restyle, None, (), MOST_ENCODER_STEPS),
    "w": Entry(_w, 1000),
    "projector": Entry(_projector, 1000),
    "ws": Entry(_ws, 1000),
    "newton": Entry(_newton, 3, ("inner", "pull"), MOST_NEWTON_STEPS),
    "pti": Entry(_pti, 350),
}
"""Every method by its name; a new one is an entry here."""


def stopping(text: str) -> str:
    """Return a method's name in which what has no number takes as many steps as help each image.

    Raises:
        ValueError: It has no method that can stop by itself and has no number.
    """
    return with_auto(text, METHODS)


def networks_of(model: ReStyle, objective: Objective) -> Networks:
    """Return a model's parts, for `build`."""
    single = model.has_encoder and model.single_shot
    return Networks(
        encode=model.encode,
        render=model.generate,
        generator=model.generator,
        crop=model.domain.crop_render,
        objective=objective,
        encoder_steps=1 if single else DEFAULT_STEPS,
        most_steps=1 if single else None,
        folder=model.folder,
        has_gradients=model.has_gradients,
    )


def usual_features(model: ReStyle) -> str:
    """Return the feature network for a model's images: the portraits' own, else "none"."""
    drawn = model.domain.name in (PORTRAITS.name, TOON.name)
    fits = drawn and model.domain.input_size == PORTRAITS.input_size
    return "portraits-features" if fits else NONE


def person_network(model: ReStyle) -> FeatureNetwork | None:
    """Return what tells the persons of a model's images apart; None where nothing bundled does."""
    name = usual_features(model)
    return None if name == NONE else _frozen(name).to(model.device)


@cache
def _frozen(name: str) -> FeatureNetwork:
    return FeatureNetwork.from_pretrained(name).requires_grad_(False)


def objective_for(
    methods: Iterable[str],
    features: str | tuple[Any, Any],
    device: str | torch.device,
    dtype: torch.dtype = torch.float32,
) -> WeightedLosses:
    """Build what methods minimise: squared error, perceptual and identity distance.

    Args:
        methods: As `build` takes them. Where all of them are the encoder alone nothing is
            minimised, and the network is not loaded.
        features: A bundled feature network's name, a folder, or "none"; or two networks, one with
            `maps` such as LPIPS's, and one with `embed` such as ArcFace's, or None.
        device: Where to compute.
        dtype: The network's precision.

    Raises:
        CheckpointError: The network is not there, or cannot be used.
    """
    parts = {part.partition(":")[0] for method in methods for part in method.split("+")}
    wanted = features != NONE and parts != {"restyle"}
    if not wanted:
        return WeightedLosses(dtype=dtype)
    maps, faces = (
        (FeatureNetwork.from_pretrained(features), None) if isinstance(features, str) else features
    )
    for network in (maps, faces):
        if network is not None:
            network.to(device).eval().requires_grad_(False)
    return WeightedLosses(maps, dtype=dtype, faces=faces)


def invert_by_method(
    model: ReStyle,
    text: str,
    images: Iterable[Picture],
    batch_size: int = 8,
    features: str | tuple[Any, Any] | None = None,
) -> Iterator[InversionResult]:
    """Invert images by a method's name, in batches.

    Args:
        model: Whose networks are used.
        text: As `build` takes it.
        images: As `ReStyle.invert` takes them. Pivotal tuning takes one at a time.
        batch_size: How many go through the networks at once.
        features: As `objective_for` takes it; the network for the model's images if None.

    Yields:
        The result of each batch, with the start, all steps of encoders, and the last one of every
        other part of the method.

    Raises:
        ValueError: There is no such method, or `batch_size` is below 1.
        CheckpointError: The feature network is not there, or cannot be used.
    """
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"expected batch_size of at least 1, got {batch_size!r}")
    objective = objective_for([text], features or usual_features(model), model.device, model.dtype)
    chain = build(text, networks_of(model, objective))
    images = iter(images)
    while batch := list(islice(images, 1 if chain.tuning else batch_size)):
        target = model.prepare(batch)
        kept = [model.start(len(target))]
        for part, method in zip(chain.name.split("+"), chain.stages, strict=True):
            before = kept[-1]
            for estimate in method(target, before):
                if part.startswith("restyle") or kept[-1] is before:
                    kept.append(estimate)
                else:
                    kept[-1] = estimate
        yield InversionResult(target, tuple(kept))


def tuned_model(model: _Model, path: str | os.PathLike[str]) -> _Model:
    """Return a model with the generator that pivotal tuning has made for one image.

    Its codes are edited along the directions of the generator as it was. The model that was tuned
    stays as it is, and shares its encoder. The file is what `PivotalTuning.save` wrote, such as
    OUT/generators/NAME.safetensors.

    Raises:
        CheckpointError: Not such a file, or one for another generator.
    """
    generator = tuned_generator(model.generator, os.fspath(path))
    encoder = model.encoder if model.has_encoder else None
    tuned = type(model)(generator, encoder, model.domain, model.name, model.card, model.start_ws)
    tuned.editor = Editor(generator, weights_hash(model.generator.state_dict()))
    return tuned
