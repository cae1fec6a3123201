"""Methods of inversion for whole models: what they are made of, minimise and leave behind.

networks = networks_of(model, objective_for(["ws:300"], usual_features(model), model.device))
method = restyle.inversion.names.build("ws:300", networks)
for estimate in method(target, model.start(len(target))):
    ...
"""

import os
from collections.abc import Iterable

import torch
from safetensors import SafetensorError, safe_open

from restyle.domains import PORTRAITS, TOON
from restyle.editing.editor import Editor
from restyle.hub.registry import load_features
from restyle.inversion.names import Networks
from restyle.inversion.optimisation import Objective
from restyle.inversion.pivotal import PivotalTuning, tuned_generator
from restyle.io.checkpoints import CheckpointError, weights_hash
from restyle.losses.weighted import WeightedLosses
from restyle.model import DEFAULT_STEPS, ReStyle

NONE = "none"
"""In the place of a feature network's name: the squared error alone."""

_GENERATOR = "generator_sha256"


def networks_of(model: ReStyle, objective: Objective) -> Networks:
    """A model's parts, for `restyle.inversion.names.build`."""
    return Networks(
        encode=model.encode,
        render=model.generate,
        generator=model.generator,
        crop=model.domain.crop_render,
        objective=objective,
        encoder_steps=1 if model.single_shot else DEFAULT_STEPS,
        most_steps=1 if model.single_shot else None,
    )


def usual_features(model: ReStyle) -> str:
    """The feature network that suits a model's images: the portraits' own, or "none" for others."""
    drawn = model.domain.name in (PORTRAITS.name, TOON.name)
    return (
        "portraits-features" if drawn and model.domain.input_size == PORTRAITS.input_size else NONE
    )


def objective_for(
    methods: Iterable[str],
    features: str,
    device: str | torch.device,
    dtype: torch.dtype = torch.float32,
) -> WeightedLosses:
    """What methods minimise: squared error, and a network's perceptual and identity distance.

    Args:
        methods: As `restyle.inversion.names.build` takes them. Where all of them are the encoder
            alone nothing is minimised, and the network is not loaded.
        features: A bundled feature network's name, a folder, or "none".
        device: Where to compute.
        dtype: The network's precision.

    Raises:
        CheckpointError: The network is not there, or cannot be used.
    """
    parts = {part.partition(":")[0] for method in methods for part in method.split("+")}
    wanted = features != NONE and parts != {"restyle"}
    network = load_features(features).to(device) if wanted else None
    return WeightedLosses(network, dtype=dtype)


def save_tuning(tuning: PivotalTuning, model: ReStyle, path: str | os.PathLike[str]) -> int:
    """Write what pivotal tuning has changed, in half precision, for `tuned_model`.

    Args:
        tuning: After its last step.
        model: Whose generator was tuned.
        path: A name that ends in `.safetensors`.

    Returns:
        The size of the file in bytes.
    """
    return tuning.save(os.fspath(path), {_GENERATOR: weights_hash(model.generator.state_dict())})


def tuned_model(model: ReStyle, path: str | os.PathLike[str]) -> ReStyle:
    """A model with the generator that pivotal tuning has made for one image.

    Its codes are edited along the directions of the generator as it was.

    Args:
        model: The one whose generator was tuned; it stays as it is, and shares its encoder.
        path: What `save_tuning` wrote, such as OUT/generators/NAME.safetensors.

    Raises:
        CheckpointError: Not such a file, or one for another generator.
    """
    try:
        with safe_open(path, "pt") as file:
            found = (file.metadata() or {}).get(_GENERATOR, "no hash")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: expected a tuned generator, got: {error}") from error
    expected = weights_hash(model.generator.state_dict())
    if found != expected:
        raise CheckpointError(
            f"{path}: expected changes of the generator with hash {expected[:12]}, "
            f"got those of {found[:12]}"
        )
    generator = tuned_generator(model.generator, os.fspath(path))
    tuned = ReStyle(generator, model.encoder, model.domain, model.name, model.card, model.start_ws)
    tuned.editor = Editor(generator, expected)
    return tuned
