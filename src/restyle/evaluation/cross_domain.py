"""Persons that keep their identity from one generator to another, for the same code."""

import torch
from torch import Tensor

from restyle.evaluation.data import unseen_portraits
from restyle.evaluation.records import claim_folder
from restyle.evaluation.report import Report, Section
from restyle.evaluation.settings import CrossDomainEvaluation, determining
from restyle.generators.stylegan2 import StyleGAN2
from restyle.hub.registry import load_features, load_generator
from restyle.io.images import from_uint8, grid, save_image
from restyle.io.tables import Column, Table
from restyle.portraits.attributes import class_names, identity_names
from restyle.portraits.features import FeatureNetwork

BATCH = 50
PICTURED = 10
SEED = 0


def evaluate_cross_domain(config: CrossDomainEvaluation) -> Report:
    """Measure how much of people's identity attributes survives the change of generator.

    Writes `crossing.png` too: people of one style above the same codes in the other. The results
    say by attribute's name, and for their `mean`: `survives`, the share that does, and `drawn`, the
    same of people that the renderer itself draws in both styles, which is the most to be had.

    Raises:
        ValueError: There is no such model, or its codes have another shape.
        CheckpointError: Weights cannot be used.
    """
    claim_folder(config.out, determining(config))
    judge = load_features(config.judge)
    source, target = load_generator(config.source), load_generator(config.target)
    shapes = [(g.num_ws, g.config.w_dim) for g in (source, target)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"expected two generators of the same codes, got (num_ws, w_dim) {shapes[0]} for "
            f"{config.source} and {shapes[1]} for {config.target}"
        )
    ws = source.broadcast(source.sample_w(config.samples, SEED))
    people = [_render(generator, ws) for generator in (source, target)]
    picture = config.out / "crossing.png"
    save_image(grid(torch.cat([p[:PICTURED] for p in people]), PICTURED), picture)
    size = (source.config.size, source.config.size)
    drawn = [
        from_uint8(unseen_portraits(style, size).images(range(config.samples)))
        for style in ("portraits", "toon")
    ]
    survives, most = (surviving_identity(judge, *pair) for pair in (people, drawn))
    results = {name: {"survives": survives[name], "drawn": most[name]} for name in survives}
    columns = [Column("same code", ".2f"), Column("drawn by the renderer", ".2f")]
    rows = [[name, *found.values()] for name, found in results.items()]
    section = Section(
        tables=[Table(["identity attribute", *columns], rows)],
        figures=[(picture, f"{config.source} above {config.target}.")],
    )
    return Report("The same code in two generators", results, [section]).write(config.out)


@torch.no_grad()
def _render(generator: StyleGAN2, ws: Tensor) -> Tensor:
    return torch.cat([generator.synthesis(part).clamp(-1, 1) for part in ws.split(BATCH)])


def surviving_identity(judge: FeatureNetwork, first: Tensor, second: Tensor) -> dict[str, float]:
    """Compare the identity attributes of the same people in two styles.

    A style may shift an attribute for everybody (toons have larger eyes) without any person being
    lost. So what counts is whether one picture tells the other: for an attribute with values the
    squared correlation over the people, for one with classes their agreement beyond chance (Cohen's
    kappa). Pictures of two styles that are drawn of the same people give the most that can be had.

    Args:
        judge: Measures attributes in both styles.
        first: (N, 3, h, w) in [-1, 1], pictures of N people in one style.
        second: The same people in the other style, such as renders of the same codes.

    Returns:
        By name of an identity attribute the share that survives, from 0 to 1; `mean` of all.

    Raises:
        ValueError: The pictures are not of as many people, or of fewer than two.
    """
    if len(first) != len(second) or len(first) < 2:
        raise ValueError(
            f"expected two or more people in both styles, got {len(first)} and {len(second)}"
        )
    with torch.no_grad():
        a, b = _read(judge, first), _read(judge, second)
    shares = {
        name: _agreement(a[name], b[name]) if name in class_names else _explained(a[name], b[name])
        for name in identity_names
    }
    return {**shares, "mean": sum(shares.values()) / len(shares)}


def _read(judge: FeatureNetwork, images: Tensor) -> dict[str, Tensor]:
    parts = [judge.attributes(part) for part in images.split(BATCH)]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _explained(a: Tensor, b: Tensor) -> float:
    """Squared correlation; 0 where one of them does not vary, or they go against each other."""
    a, b = (x.double() - x.double().mean() for x in (a, b))
    spread = (a.norm() * b.norm()).item()
    return max(0.0, (a @ b).item() / spread) ** 2 if spread > 1e-12 else 0.0


def _agreement(a: Tensor, b: Tensor) -> float:
    """Cohen's kappa of the most likely classes, at least 0."""
    classes = a.shape[1]
    a, b = a.argmax(dim=1), b.argmax(dim=1)
    agree = (a == b).double().mean().item()
    shares = [torch.bincount(x, minlength=classes).double() / len(x) for x in (a, b)]
    chance = (shares[0] @ shares[1]).item()
    return max(0.0, (agree - chance) / (1 - chance)) if chance < 1 - 1e-12 else 0.0
