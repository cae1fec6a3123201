"""The networks that trainings use or begin with, found by the names that their options give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from restyle.encoders import Encoder
from restyle.encoders.heads import MapToStyle
from restyle.generators.stylegan2 import StyleGAN2
from restyle.hub.registry import (
    find_file,
    folder_of,
    load_faces,
    load_generator,
    load_maps,
    network_file,
)
from restyle.io.checkpoints import (
    CheckpointError,
    load_config,
    load_folder,
    load_strict,
    without_prefix,
)
from restyle.losses.identity import Embedding
from restyle.losses.perceptual import FeatureMaps
from restyle.nn.backbones import Trunk
from restyle.portraits.features import FeatureNetwork
from restyle.portraits.gaussian import WIDTH
from restyle.training.attribute_pretraining import linear_codes
from restyle.training.checkpoint import read_checkpoint
from restyle.training.config import EncoderTraining

STEM = "trunk.stem.0.weight"
"""The filters of an encoder that see its input."""


class LossNetworks(nn.Module):
    """Networks that compare images; None where a loss has no weight.

    Attributes:
        perceptual: Gives maps.
        identity: Gives embeddings of persons.
        moco: Gives features of anything.
    """

    def __init__(
        self,
        perceptual: FeatureMaps | None = None,
        identity: Embedding | None = None,
        moco: Embedding | None = None,
    ):
        """Take the networks, which are frozen and put into evaluation mode."""
        super().__init__()
        self.perceptual, self.identity, self.moco = perceptual, identity, moco
        self.eval().requires_grad_(False)


def load_networks(config: EncoderTraining) -> LossNetworks:
    """Load the networks of the losses that take part, on the CPU.

    Raises:
        ValueError: A network is not there.
        CheckpointError: A network cannot be used.
    """
    loaded: dict[str, Any] = {}

    def once(name: str, loader: Callable[[str], Any]) -> Any:
        if name not in loaded:
            loaded[name] = loader(name)
        return loaded[name]

    return LossNetworks(
        once(config.losses.perceptual_network, load_maps) if config.losses.perceptual else None,
        once(config.losses.identity_network, load_faces) if config.losses.identity else None,
        once(config.losses.moco_network, load_moco) if config.losses.moco else None,
    )


def load_moco(name: str) -> Embedding:
    """Load MoCo's network from its file."""
    from restyle.importers.moco import read_moco

    return read_moco(network_file(name))


def start_encoder(encoder: Encoder, name: str, generator: StyleGAN2) -> None:
    """Give an encoder the weights that its training begins with.

    Args:
        encoder: Freshly initialised.
        generator: What it is to invert.
        name: The file or the pulled name of a backbone, or a feature network for portraits, whose
            weights the trunk takes over; or a trained model with an equal encoder, all of whose
            weights are taken over. That of a single-shot model does not look at the current image
            in the beginning.

    Raises:
        ValueError: There is nothing of that name, or the trunk has other layers.
        CheckpointError: The file cannot be used.
    """
    if (path := find_file(name)) is None:
        folder = folder_of(name)
        config, tensors = load_folder(folder)
        if config["kind"] == FeatureNetwork.kind:
            network = FeatureNetwork.from_checkpoint(config, tensors, folder)
            start_reading(encoder, network, generator)
            return
        own, shape = encoder.config, config.get("encoder")
        if not isinstance(shape, dict):
            raise CheckpointError(f"{folder}: expected an encoder, got a '{config['kind']}'")
        if (head := shape.get("head", own.head)) != own.head:
            # Their weights have equal shapes, and another meaning.
            raise CheckpointError(f"{folder} (encoder): expected {own.head} heads, got {head}")
        expected, found = (own.num_ws, own.w_dim), (shape.get("num_ws"), shape.get("w_dim"))
        if found != expected:
            raise CheckpointError(
                f"{folder} (encoder): expected one of {expected} codes, as the generator takes, "
                f"got {found}; without --initial (--initial '') the weights are random"
            )
        tensors = dict(without_prefix(tensors, "encoder"))
        if own.siamese:  # the average is the generator's
            tensors["centre"] = encoder.centre
        else:
            tensors.pop("centre", None)
        if shape.get("input_channels") == 3 and own.input_channels == 6:
            if not own.siamese and (filters := tensors.get(STEM)) is not None:
                tensors[STEM] = torch.cat([filters, torch.zeros_like(filters)], dim=1)
        load_strict(encoder, tensors, f"{folder} (encoder)")
        return
    from restyle import importers

    found = importers.read(path)
    trunk = getattr(found, "trunk", found)
    if not isinstance(trunk, Trunk):
        raise CheckpointError(f"{path}: expected a backbone, got a {type(found).__name__}")
    encoder.start_from(trunk)


@torch.no_grad()
def start_reading(encoder: Encoder, network: FeatureNetwork, generator: StyleGAN2) -> None:
    """Let an encoder read what a feature network does; its heads say nothing yet.

    What is read becomes the code that a generator draws it from, where portraits supervised it.

    Raises:
        ValueError: The encoder has another backbone.
    """
    encoder.start_from(network.trunk())
    if encoder.attributes is not None:
        own = encoder.attributes.state_dict()
        encoder.attributes.load_state_dict(
            {n: t for n, t in network.state_dict().items() if n in own}
        )
        if generator.config.z_dim >= WIDTH:
            weight, bias = linear_codes(generator, network)
            encoder.attribute_codes.weight.copy_(weight)
            encoder.attribute_codes.bias.copy_(bias)
    for head in encoder.heads:
        nn.init.zeros_(cast(MapToStyle, head).out_weight)


def had_frozen_norms(name: str) -> bool:
    """Tell whether what an encoder begins with has the batch norms' statistics of use.

    A feature network has them, and an encoder that was trained with those that it has.
    """
    if name and find_file(name) is None:
        if load_config(folder_of(name))["kind"] == FeatureNetwork.kind:
            return True
    return (made_of(name) or {}).get("training", {}).get("freeze_norms", False)


def made_of(name: str) -> dict[str, Any] | None:
    """Read how an initial model was trained from its card; None for a backbone, or without card.

    Returns:
        `images_seen`, `training` (the options), how long it `took` if that is known, and, if it was
        not the first of its trainings, `initial` (the same of the one before).

    Raises:
        ValueError: There is nothing of that name.
        CheckpointError: It is no checkpoint, or has another card.
    """
    if not name or find_file(name) is not None:
        return None
    card = load_config(folder := folder_of(name)).get("card", {})
    if not isinstance(card, dict) or not isinstance(card.get("training", {}), dict):
        raise CheckpointError(
            f"{folder}: expected a card that says how it was trained, got another"
        )
    kept = ("images_seen", "training", "took", "initial")
    made = {key: card[key] for key in kept if card.get(key)}
    return made or None


def load_run_state(folder: Path) -> dict[str, Any]:
    """Read a generator's run folder: the `state_dict` of its trainer.

    Raises:
        CheckpointError: If there is no readable checkpoint.
    """
    return read_checkpoint(Path(folder) / "checkpoint.pt")["state"]


def load_initial(place: Path) -> dict[str, Any]:
    """The networks to start from: those of a run's folder, or a trained generator alone.

    Args:
        place: A run's folder, or whatever else `load_generator` takes.

    Raises:
        CheckpointError: It is neither.
    """
    if (place / "checkpoint.pt").exists():
        return load_run_state(place)
    state = load_generator(place).state_dict()
    return {"generator": state, "ema": state}
