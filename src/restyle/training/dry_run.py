"""The description of a training that is not run: the answer to `--dry-run`."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from restyle.generators.stylegan2 import StyleGAN2
from restyle.runtime.devices import autocast
from restyle.training.config import EncoderTraining, GeneratorTraining
from restyle.training.data import HELD_OUT, Source, open_source
from restyle.training.encoder import build_trainer
from restyle.training.encoder_trainer import EncoderTrainer
from restyle.training.generator import GeneratorTrainer
from restyle.training.options import with_options

_MOMENTS = {"adam": 2, "adamw": 2, "ranger": 3, "muon": 1}
"""Tensors that are kept for each parameter."""


def dry_run(config: EncoderTraining | GeneratorTraining) -> str:
    """Describe a training in a few lines: data, networks, parameters, losses, memory.

    Raises:
        ValueError: Data or a network are not there.
        CheckpointError: A network cannot be used.
    """
    describe = _encoder_rows if isinstance(config, EncoderTraining) else _generator_rows
    rows = {**describe(config), "run folder": str(config.out)}  # pyright: ignore
    return "\n".join(f"{name:<12}{text}" for name, text in rows.items())


def _encoder_rows(config: EncoderTraining) -> dict[str, str]:
    # Tensors without numbers cannot go through compiled networks.
    trainer = build_trainer(with_options(config, compile=False), torch.device("cpu"))
    shape, generator = trainer.encoder.config, trainer.generator
    data, loop = config.data, config.loop
    steps = (data.warmup_images + data.images) // loop.batch
    source = open_source(data.data, shape.input_size, data.style, "all", data.targets)
    found = _data(data.data, data.style, source)
    if data.data != "portraits":
        found += f" to become those of {data.targets}" if data.targets else ""
        found += f", one in {HELD_OUT} held out" + (", mirrored at random" * data.flip)
    return {
        "data": found,
        "generator": f"{config.generator}: {_shape(generator)}, frozen",
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
        "memory": _gigabytes(
            memory_estimate(trainer, -(-loop.batch // (config.processes * loop.accumulate)))
        ),
    }


def _generator_rows(config: GeneratorTraining) -> dict[str, str]:
    trainer = GeneratorTrainer(replace(config, compile=False), torch.device("cpu"))
    origin = config.initial or config.grow_from
    if origin:
        trainer.begin()
    source = open_source(config.data, config.size, config.style)
    known = min(config.images, config.supervised_images)
    features = f", one through {config.feature_network}" if config.feature_network else ""
    return {
        "data": _data(config.data, config.style, source) + ", mirrored at random" * config.flip,
        "generator": f"{_shape(trainer.generator)}, from {origin or 'random weights'}",
        "against": f"discriminators of {_millions(trainer.adversary)} parameters{features}",
        "training": f"{config.images:,} images, the first {known:,} to be drawn: "
        f"{config.images // config.batch:,} updates by batches of {config.batch}",
        "optimiser": f"{config.optimiser}, learning rates {config.lr:g} and "
        f"{config.discriminator_lr or config.lr:g}, {config.precision}",
        "memory": _gigabytes(generator_memory(trainer, config.batch // config.processes)),
    }


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
    trainer.restyle.start(batch)  # the average is rendered once

    def step() -> None:
        images = torch.empty(batch, 3, *trainer.encoder.config.input_size)
        next(trainer.learn(images, images, [1] * batch))

    frozen = [trainer.generator, trainer.objective.networks]
    moments = _MOMENTS[trainer.config.loop.optimiser]
    return _memory([trainer.encoder], frozen, moments, step)


def generator_memory(trainer: GeneratorTrainer, batch: int) -> dict[str, float]:
    """Estimate the memory of a training step of a generator, as `memory_estimate` does.

    Args:
        trainer: One on the CPU.
        batch: Images that go through the networks at once.
    """

    def step() -> None:
        with autocast(trainer.device, trainer.dtype):
            fake = trainer.synthesise(trainer.sample_ws(batch))
            trainer.adversary.discriminate(fake, torch.empty_like(fake))

    trained = [trainer.generator, trainer.adversary]
    return _memory(trained, [trainer.ema.model], _MOMENTS["adam"], step)


def _memory(
    trained: list[nn.Module], frozen: list[nn.Module], moments: int, step: Callable[[], None]
) -> dict[str, float]:
    weights = [t for part in trained + frozen for t in (*part.parameters(), *part.buffers())]
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    known = {_storage(fake.from_tensor(t)) for t in weights}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if _storage(tensor) not in known:
            kept[_storage(tensor)] = tensor
        return tensor

    with fake, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        step()
    learning = 4 * sum(p.numel() for part in trained for p in part.parameters())
    return {
        "weights": float(sum(t.numel() * t.element_size() for t in weights)),
        "gradients": float(learning),
        "moments": float(learning * moments),
        "activations": float(sum(t.untyped_storage().nbytes() for t in kept.values())),
    }


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _data(data: str, style: str, source: Source) -> str:
    if data == "portraits":
        return f"portraits drawn as {style}, as many as are asked for"
    return f"{data}: {len(source):,} images"


def _shape(generator: StyleGAN2) -> str:
    shape = generator.config
    codes = f"{shape.num_ws} codes of {shape.w_dim}"
    return f"{shape.size} px, {codes}, {_millions(generator)} parameters"


def _gigabytes(memory: dict[str, float]) -> str:
    parts = ", ".join(f"{name} {n / 1e9:.2g}" for name, n in memory.items())
    return f"about {sum(memory.values()) / 1e9:.2g} GB a process: {parts}"


def _network(config: EncoderTraining, loss: str) -> str:
    name = getattr(config.losses, f"{loss}_network", "")
    return f" ({name})" if name else ""


def _millions(network: nn.Module) -> str:
    return f"{sum(p.numel() for p in network.parameters()) / 1e6:.2f} M"
