"""Training StyleCLIP's mapper: a network for one text, on samples of a generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from restyle.editing.edits import GROUPS
from restyle.editing.mapper import Mapper, MapperConfig
from restyle.editing.styleclip import covariance_of, deviations
from restyle.editing.text import embed_prompts
from restyle.generators.stylegan2 import StyleGAN2
from restyle.hub.registry import load_faces, load_generator, load_text
from restyle.io.checkpoints import weights_hash
from restyle.losses.identity import identity
from restyle.training.parallel import average_gradients, same_everywhere
from restyle.training.run import Run
from restyle.training.text_config import MapperTraining

SEEDS = 2**31
"""Samples of the training have a seed below this one."""

MEASURED = 256
"""Samples that the mean length of the steps is measured over."""


def train_mapper(config: MapperTraining) -> Path:
    """Train a mapper; repeating the call resumes it.

    Returns:
        The folder of the mapper, `mapper` in that of the run.

    Raises:
        ValueError: The text is empty or has unknown words, there is no such network, or the folder
            holds a run with another configuration.
        CheckpointError: A network cannot be used.
        SystemExit: With status 130, after saving, when interrupted.
    """
    network = load_text(config.text_network)
    with torch.no_grad():
        wanted = embed_prompts(network, [config.text])[0]
    generator, faces = load_generator(config.generator), load_faces(config.identity_network)
    run = Run(config, config.images, config.batch)
    with run:
        run.announce(f"a mapper for '{config.text}'", torch.float32)
        sha256 = weights_hash(generator.state_dict())
        shape = generator.num_ws, generator.config.w_dim
        mapper = Mapper(MapperConfig(*shape, config.text, sha256)).to(run.device)
        for part in (generator, network, faces):
            part.to(run.device)  # type: ignore[attr-defined]
        covariance, wanted = covariance_of(generator), wanted.to(run.device)
        optimiser = torch.optim.Adam(mapper.parameters(), lr=config.lr)
        if (state := run.load()) is not None:
            mapper.load_state_dict(state["mapper"])
            optimiser.load_state_dict(state["optimiser"])
        same_everywhere(mapper)

        def current() -> dict[str, Any]:
            return {"mapper": mapper.state_dict(), "optimiser": optimiser.state_dict()}

        while run.unfinished:
            ws = crossed_samples(generator, run.batch, int(run.rng.integers(SEEDS)))
            with torch.no_grad():
                before = faces.embed(generator.synthesis(ws))
            step = mapper(ws)
            images = generator.synthesis(ws + step)
            text = (1 - network.embed_image(images) @ wanted).mean()
            length = (step.square().sum(2).mean(1) / covariance.trace()).mean()
            kept = identity(faces, images, before).mean()
            loss = text + config.l2 * length + config.identity * kept
            optimiser.param_groups[0]["lr"] = config.lr * (1 - run.images / config.images)
            optimiser.zero_grad()
            loss.backward()
            average_gradients(mapper)
            optimiser.step()
            run.step({"loss": loss, "text": text, "length": length, "identity": kept})
            run.checkpoint(current)
        with torch.no_grad():
            steps = mapper(crossed_samples(generator, MEASURED, SEEDS))
            mapper.length.copy_(deviations(steps, covariance).mean().clamp(min=1e-6))
        run.save(current())
        folder = Path(config.out) / "mapper"
        if run.is_main:
            mapper.save_pretrained(folder)
        return folder


def crossed_samples(generator: StyleGAN2, count: int, seed: int) -> Tensor:
    """Sample codes (count, num_ws, D), each group of layers from a sample of its own.

    Inversions are in W+, and their rows do not belong together either.
    """
    parts = generator.sample_w(len(GROUPS) * count, seed).chunk(len(GROUPS))
    ws = generator.broadcast(parts[0]).clone()
    for part, ends in zip(parts, GROUPS.values(), strict=True):
        ws[:, slice(*ends)] = part.unsqueeze(1)
    return ws
