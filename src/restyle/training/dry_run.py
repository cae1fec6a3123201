"""What a training would do, without doing it: the answer to `--dry-run`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from restyle.training.config import EncoderTraining
from restyle.training.data import HELD_OUT, open_source
from restyle.training.encoder import build_trainer
from restyle.training.encoder_trainer import EncoderTrainer
from restyle.training.options import with_options

_MOMENTS = {"adam": 2, "adamw": 2, "ranger": 3}  # tensors that are kept for each parameter


def dry_run(config: EncoderTraining) -> str:
    """Describe a training in a few lines: data, model, parameters, losses, memory.

    Raises:
        ValueError: Data or a network are not there.
        CheckpointError: A network cannot be used.
    """
    # Tensors without numbers cannot go through compiled networks.
    trainer = build_trainer(with_options(config, compile=False), torch.device("cpu"))
    shape, generator = trainer.encoder.config, trainer.generator
    data, loop = config.data, config.loop
    steps = (data.warmup_images + data.images) // loop.batch
    memory = memory_estimate(trainer, -(-loop.batch // (config.processes * loop.accumulate)))
    rows = {
        "data": _data(config, shape.input_size),
        "generator": f"{config.generator}: {generator.config.size} px, {shape.num_ws} codes of "
        f"{shape.w_dim}, {_millions(generator)} parameters, frozen",
        "encoder": f"{config.encoder}: {shape.backbone}, {shape.head} heads, "
        f"{shape.input_channels} x {shape.input_size[0]} x {shape.input_size[1]}, "
        f"{_millions(trainer.encoder)} parameters, from {config.initial or 'random weights'}",
        "losses": ", ".join(
            f"{name} {weight:g}{_network(config, name)}"
            for name, weight in config.losses.weights.items()
        ),
        "training": f"{data.warmup_images:,} samples with known codes, then {data.images:,} "
        f"images from number {data.skip:,} on: {steps:,} updates by batches of {loop.batch}, "
        f"learning from {trainer.steps} refinement{'s' * (trainer.steps > 1)} each"
        + (", batch norms frozen" if loop.freeze_norms else ""),
        "optimiser": f"{loop.optimiser}, learning rate {loop.lr:g}, {config.precision}",
        "memory": f"about {sum(memory.values()) / 1e9:.2g} GB a process: "
        + ", ".join(f"{name} {n / 1e9:.2g}" for name, n in memory.items()),
        "run folder": str(config.out),
    }
    return "\n".join(f"{name:<12}{text}" for name, text in rows.items())


def memory_estimate(trainer: EncoderTrainer, batch: int) -> dict[str, float]:
    """Estimate the memory of a training step, by going through one without numbers.

    Args:
        trainer: One on the CPU.
        batch: Images that go through the networks at once.

    Returns:
        Bytes: `weights` of all networks, `gradients` and `moments` of the encoder, and
        `activations` that one refinement step keeps for its backward pass. Workspaces of the
        device's libraries come on top.
    """
    parts = [trainer.encoder, trainer.generator, trainer.objective.networks]
    weights = [t for part in parts for t in (*part.parameters(), *part.buffers())]
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    known = {_storage(fake.from_tensor(t)) for t in weights}
    kept: dict[Any, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if _storage(tensor) not in known:
            kept[_storage(tensor)] = tensor
        return tensor

    with fake, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        images = torch.empty(batch, 3, *trainer.encoder.config.input_size)
        next(trainer.learn(images, images, trainer.average(batch)))
    trained = 4 * sum(p.numel() for p in trainer.encoder.parameters())
    return {
        "weights": float(sum(t.numel() * t.element_size() for t in weights)),
        "gradients": float(trained),
        "moments": float(trained * _MOMENTS[trainer.config.loop.optimiser]),
        "activations": float(sum(t.untyped_storage().nbytes() for t in kept.values())),
    }


def _storage(tensor: Tensor) -> Any:
    return tensor.untyped_storage()._cdata


def _data(config: EncoderTraining, size: tuple[int, int]) -> str:
    source = open_source(config.data.data, size, config.data.style, "all", config.data.targets)
    if config.data.data == "portraits":
        return f"portraits drawn as {config.data.style}, as many as are asked for"
    found = f"{config.data.data}: {len(source):,} images"
    found += f" to become those of {config.data.targets}" if config.data.targets else ""
    return f"{found}, one in {HELD_OUT} held out" + (", mirrored at random" * config.data.flip)


def _network(config: EncoderTraining, loss: str) -> str:
    name = getattr(config.losses, f"{loss}_network", "")
    return f" ({name})" if name else ""


def _millions(network: nn.Module) -> str:
    return f"{sum(p.numel() for p in network.parameters()) / 1e6:.2f} M"
