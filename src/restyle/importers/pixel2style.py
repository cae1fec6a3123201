"""Models in the format of pSp, e4e and ReStyle: `{"state_dict", "latent_avg", "opts"}`.

Encoder classes are told apart by `opts`, as the weights of some have equal names; everything else
(sizes, number of codes, channels) is read off the weights themselves.
"""

import argparse
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from restyle.domains import CARS, CHURCHES, FACES, HORSES, TOON, WILD, Domain
from restyle.encoders import Encoder, EncoderConfig
from restyle.importers.keys import Weights, build
from restyle.importers.rosinality import take_generator, with_average
from restyle.importers.trunks import NAMINGS, family_of, take_trunk
from restyle.io.checkpoints import CheckpointError, listed, with_prefix
from restyle.model import ReStyle
from restyle.nn.backbones import Family

CLASSES: dict[str, tuple[Literal["psp", "e4e"], Family, bool]] = {
    "BackboneEncoder": ("psp", "ir_se", False),
    "ResNetBackboneEncoder": ("psp", "resnet", False),
    "ProgressiveBackboneEncoder": ("e4e", "ir_se", False),
    "ResNetProgressiveBackboneEncoder": ("e4e", "resnet", False),
    "GradualStyleEncoder": ("psp", "ir_se", True),
    "ResNetGradualStyleEncoder": ("psp", "resnet", True),
    "Encoder4Editing": ("e4e", "ir_se", True),
    "ResNetEncoder4Editing": ("e4e", "resnet", True),
}
"""Official encoder classes: the head, the trunk's family, and whether there is a pyramid."""

DOMAINS = {  # the official data-set types; a type of the user's own is treated as faces are
    "ffhq_encode": FACES,
    "ffhq_frontalize": FACES,
    "cars_encode": CARS,
    "church_encode": CHURCHES,
    "horse_encode": HORSES,
    "afhq_wild_encode": WILD,
    "toonify": TOON,
}
TRAINING_STATE = {
    "global_step",
    "optimizer",
    "best_val_loss",
    "discriminator_state_dict",
    "discriminator_optimizer_state_dict",
}
TRANSLATIONS = ("ffhq_frontalize", "toonify")
"""Models whose reconstructions are meant to differ from the pictures."""

LATERALS = {"latlayer1": "laterals.0", "latlayer2": "laterals.1"}


def read_model(content: Mapping[str, Any], source: str) -> ReStyle:
    """Build an inversion model from a file's content: ReStyle's, or a single-shot pSp or e4e.

    A generator without an average code gets an estimated one, with a warning.
    """
    unknown = set(content) - TRAINING_STATE - {"state_dict", "latent_avg", "opts"}
    if unknown:
        raise CheckpointError(f"{source}: expected a model, got unexpected: {listed(unknown)}")
    options = _options(content, source)
    weights = Weights(content["state_dict"], source)
    encoder_weights = weights.take_prefix("encoder.")
    generator = take_generator(weights.take_prefix("decoder."))
    weights.finish("an encoder and a decoder")
    average = content.get("latent_avg")
    with_average(generator, average, source)

    dataset = str(options.get("dataset_type", "ffhq_encode"))
    if dataset != listed([dataset]):
        raise CheckpointError(f"{source}: expected a dataset_type, got {listed([dataset])!r}")
    domain = DOMAINS.get(dataset, Domain(dataset))
    kind = str(options.get("encoder_type", "missing"))
    encoder = take_encoder(encoder_weights, kind, domain.input_size)
    start = average if isinstance(average, Tensor) else generator.w_avg
    if not options.get("start_from_latent_avg", True):
        start = torch.zeros_like(start)
    card: dict[str, Any] = {
        "source": Path(source).name,
        "encoder_type": kind,
        "dataset_type": dataset,
    }
    if dataset in TRANSLATIONS:
        card["translates"] = True
    if average is None:
        card["w_avg"] = "estimated from 10,000 samples (seed 0), as the file holds none"
    try:
        start_ws = start.float().expand(generator.num_ws, -1)
        return ReStyle(generator, encoder, domain, Path(source).stem, card, start_ws)
    except ValueError as error:
        raise CheckpointError(f"{source}: {error}") from error


def take_encoder(weights: Weights, encoder_type: str, input_size: tuple[int, int]) -> Encoder:
    """Take an encoder of an official class, a key of `CLASSES`, from weights without their prefix.

    Its input has `input_size` (height, width) in pixels.
    """
    if encoder_type not in CLASSES:
        raise weights.error(f"an encoder_type of {', '.join(CLASSES)}", listed([encoder_type]))
    head, family, pyramid = CLASSES[encoder_type]
    found = family_of(weights)
    if found != family:
        raise weights.error(f"the weights of {encoder_type} ({family})", f"others ({found})")
    input_channels = weights.shape(f"{NAMINGS[family].first}.weight", 4)[1]
    widths, units, trunk = take_trunk(weights, family)
    tensors = with_prefix(trunk, "trunk") | (weights.rename(LATERALS) if pyramid else {})
    heads, (num_ws, w_dim, head_channels) = _take_heads(weights)
    weights.finish(f"an encoder ({encoder_type})")

    def make() -> Encoder:
        trunk = EncoderConfig(num_ws, w_dim, family, widths, units, input_size, input_channels)
        return Encoder(replace(trunk, head=head, head_channels=head_channels, pyramid=pyramid))

    return build(make, tensors | heads, weights.source)


def _take_heads(weights: Weights) -> tuple[dict[str, Tensor], tuple[int, int, int]]:
    """Stack the map-to-style blocks of equal depth.

    Returns:
        The heads' weights under our names, and number of codes, their width, channels.
    """
    depths: list[int] = []  # of each block, in convolutions
    while f"styles.{len(depths)}.linear.weight" in weights:
        pattern = re.compile(rf"styles\.{len(depths)}\.convs\.\d+\.weight")
        depths.append(sum(bool(pattern.fullmatch(name)) for name in weights.names()))
    if not depths:
        weights.take("styles.0.linear.weight")  # says what is missing
    w_dim, channels = weights.shape("styles.0.linear.weight", 2)
    tensors = {}
    for level, depth in enumerate(sorted(set(depths))):
        blocks = [i for i, d in enumerate(depths) if d == depth]
        for name, tensor in _stack(weights, blocks, depth).items():
            tensors[f"heads.{level}.{name}"] = tensor
    return tensors, (len(depths), w_dim, channels)


def _stack(weights: Weights, blocks: list[int], depth: int) -> dict[str, Tensor]:
    """Take several blocks of equal depth, in the shapes of `MapToStyle`."""

    def take(name: str, ndim: int) -> Tensor:
        return weights.take_stack([f"styles.{block}.{name}" for block in blocks], ndim)

    tensors = {
        "first.weight": take("convs.0.weight", 4).flatten(0, 1),
        "first.bias": take("convs.0.bias", 1).flatten(),
        "out_weight": take("linear.weight", 2).transpose(1, 2),
        "out_bias": take("linear.bias", 1)[:, None],
    }
    for i in range(1, depth):
        kernels = take(f"convs.{2 * i}.weight", 4)  # (blocks, out, in, 3, 3)
        tensors[f"weights.{i - 1}"] = kernels.permute(0, 3, 4, 2, 1).flatten(1, 3)
        tensors[f"biases.{i - 1}"] = take(f"convs.{2 * i}.bias", 1)[:, None]
    return tensors


def _options(content: Mapping[str, Any], source: str) -> dict[str, Any]:
    options = content.get("opts")
    if isinstance(options, argparse.Namespace):
        options = vars(options)
    if not isinstance(options, Mapping):
        raise CheckpointError(f"{source}: expected opts, got {type(options).__name__}")
    return dict(options)
