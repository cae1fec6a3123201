"""Whether two generators draw the same person of the same code, each in its own style."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from restyle.evaluation.data import as_images, unseen_portraits
from restyle.evaluation.records import claim, markdown
from restyle.generators.stylegan2 import StyleGAN2
from restyle.hub.registry import load_features, load_generator
from restyle.io.files import write_json
from restyle.io.images import grid, save_image
from restyle.portraits.cross_domain import surviving_identity
from restyle.portraits.features import FeatureNetwork

BATCH = 50
SHOWN = 10


@dataclass(frozen=True)
class CrossingEvaluation:
    """What is compared.

    Attributes:
        source: The generator whose mapping network gives the codes.
        target: The other one.
        samples: Codes, and people that the renderer draws in both styles.
        judge: The feature network that judges, a bundled name or a folder.
        seed: Of the codes.
    """

    source: str = "portraits"
    target: str = "portraits-toon"
    samples: int = 1_000
    judge: str = "portraits-judge"
    seed: int = 0


def evaluate_crossing(config: CrossingEvaluation, out: Path) -> dict[str, dict[str, float]]:
    """Measure how much of people's identity attributes survives the crossing.

    Args:
        config: What is compared.
        out: Gets `results.json`, and `crossing.png`: people of one style above the same codes in
            the other.

    Returns:
        By attribute's name, and for their `mean`: `survives`, the share that does, and `drawn`, the
        same of people that the renderer itself draws in both styles, which is the most to be had.

    Raises:
        ValueError: There is no such model, or its codes have another shape.
        CheckpointError: Weights cannot be used.
    """
    claim(out, {"config": vars(config)})
    judge = load_features(config.judge)
    source, target = load_generator(config.source), load_generator(config.target)
    shapes = [(g.num_ws, g.config.w_dim) for g in (source, target)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"expected two generators of the same codes, got (num_ws, w_dim) {shapes[0]} for "
            f"{config.source} and {shapes[1]} for {config.target}"
        )
    ws = source.broadcast(source.sample_w(config.samples, config.seed))
    people = [_render(generator, ws) for generator in (source, target)]
    save_image(grid(torch.cat([p[:SHOWN] for p in people]), SHOWN), out / "crossing.png")
    size = (source.config.size, source.config.size)
    drawn = [
        as_images(unseen_portraits(style, size).images(range(config.samples)))
        for style in ("portraits", "toon")
    ]
    survives, most = (surviving_identity(_Batched(judge), *pair) for pair in (people, drawn))
    results = {name: {"survives": survives[name], "drawn": most[name]} for name in survives}
    write_json(out / "results.json", results)
    return results


def describe(results: dict[str, dict[str, float]]) -> str:
    """The results as a table."""
    rows = [
        (name, f"{found['survives']:.2f}", f"{found['drawn']:.2f}")
        for name, found in results.items()
    ]
    return markdown(("identity attribute", "same code", "drawn by the renderer"), rows)


class _Batched:
    """A judge that looks at few images at once."""

    def __init__(self, judge: FeatureNetwork):
        self._judge = judge

    def attributes(self, images: Tensor) -> dict[str, Tensor]:
        parts = [self._judge.attributes(part) for part in images.split(BATCH)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


@torch.no_grad()
def _render(generator: StyleGAN2, ws: Tensor) -> Tensor:
    return torch.cat([generator.synthesis(part).clamp(-1, 1) for part in ws.split(BATCH)])
