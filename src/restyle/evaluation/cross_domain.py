"""Whether two generators draw the same person of the same code, each in its own style."""

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
from restyle.portraits.cross_domain import surviving_identity

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
