"""Training an encoder: the networks of a configuration, the loop, validation and exports."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from restyle.domains import DOMAINS
from restyle.encoders import PRESETS, Encoder
from restyle.hub.registry import load_generator
from restyle.io.checkpoints import CONFIG, load_config
from restyle.io.images import from_uint8, grid, save_image
from restyle.portraits import Portraits
from restyle.portraits.gaussian import WIDTH
from restyle.runtime.timing import peak_memory
from restyle.training.attribute_pretraining import vectors_of
from restyle.training.cards import took
from restyle.training.config import EncoderTraining
from restyle.training.data import Batches, Source, draw, indices_at, open_source
from restyle.training.encoder_trainer import EncoderTrainer
from restyle.training.loaders import had_frozen_norms, load_networks, made_of, start_encoder
from restyle.training.options import as_record
from restyle.training.parallel import (
    any_process,
    average_numbers,
    first_alone,
    same_everywhere,
)
from restyle.training.run import Run
from restyle.training.teacher import be_taught, codes_of
from restyle.training.validation import validate
from restyle.training.warm_up import mixed_samples

FOR_NORMS = 512  # images; more change the statistics of batch norms by less than a batch does


def build_trainer(config: EncoderTraining, device: torch.device) -> EncoderTrainer:
    """Load the frozen networks, and build the encoder with the weights that it begins with.

    Raises:
        ValueError: A network or a preset is not there.
        CheckpointError: A network cannot be used.
    """
    for name, known in (("encoder", PRESETS), ("domain", DOMAINS)):
        if getattr(config, name) not in known:
            raise ValueError(
                f"{name}: expected one of {', '.join(known)}, got {getattr(config, name)!r}"
            )
    generator = load_generator(config.generator)
    if config.data.warmup_drawings and generator.config.z_dim < WIDTH:
        raise ValueError(
            f"warmup_drawings: expected a generator that was supervised by attributes, of z_dim "
            f"{WIDTH} or more, got {generator.config.z_dim}"
        )
    shape = dataclasses.replace(
        PRESETS[config.encoder],
        num_ws=generator.num_ws,
        w_dim=generator.config.w_dim,
        input_channels=3 if config.single_shot else 6,
        siamese=PRESETS[config.encoder].siamese and not config.single_shot,
        head=config.head,
    )
    encoder = Encoder(shape)
    if config.initial:
        start_encoder(encoder, config.initial, generator)
    if shape.siamese:
        encoder.centre.copy_(generator.w_avg)
    domain = dataclasses.replace(DOMAINS[config.domain], input_size=shape.input_size)
    trainer = EncoderTrainer(config, generator, encoder, domain, load_networks(config), device)
    trainer.began = made_of(config.initial)
    return trainer


def train_encoder(config: EncoderTraining) -> None:
    """Train an encoder, or go on with a training that was stopped.

    The run folder gets, beside what every run has, `model/` (the model as a native checkpoint, at
    every checkpoint), `best/` (the one with the lowest validation loss), `samples/` (strips of
    validation images) and, if there are any, `broken.json` (files that could not be read).

    Raises:
        ValueError: If the batch cannot be shared by the processes.
        CheckpointError: If the generator or another network cannot be used.
        OSError: If the disk is full; the last checkpoint stays.
    """
    images = config.data.warmup_images + config.data.images
    loop, may_change = config.loop, "validation_images compile"
    run = Run(config, images, loop.batch, loop.accumulate, may_change)
    with run:
        trainer = build_trainer(config, run.device)
        run.announce(f"an encoder for {config.generator}", trainer.dtype)
        size, data = trainer.encoder.config.input_size, config.data
        with first_alone():
            train, held_out = (
                open_source(data.data, size, data.style, split, data.targets, run.folder)
                for split in ("train", "val")
            )
        if (state := run.load()) is not None:
            trainer.load_state_dict(state, run.rank)
        else:
            if loop.freeze_norms and not had_frozen_norms(config.initial):
                positions = range(data.skip, data.skip + FOR_NORMS)
                images = from_uint8(draw(train, positions, config.seed, data.flip))
                trainer.recalibrate_batch_norms(images[:, :3].to(run.device))
            same_everywhere(trainer.encoder)
        if config.losses.distillation or run.images < data.warmup_images:
            with first_alone():  # the others then find it in the cache
                trainer.find_curvature()
        taught = None
        if config.losses.distillation and not config.data.warmup_drawings:
            train, taught = be_taught(trainer, run, train)
        _loop(trainer, run, train, taught, lambda: _show(trainer, run, train, held_out))
    run.say(
        f"the model is in {run.folder / 'best'} (of the lowest validation loss) "
        f"and {run.folder / 'model'} (the last one)"
    )


def _loop(
    trainer: EncoderTrainer,
    run: Run,
    source: Source,
    taught: Tensor | None,
    show: Callable[[], None],
) -> None:
    config = trainer.config
    first = run.rank * run.batch + (config.data.skip if taught is None else 0)  # left out already

    def codes_at(positions: Sequence[int]) -> Tensor:
        return codes_of(cast(Tensor, taught), indices_at(source, positions, config.seed))

    def vectors_at(positions: Sequence[int]) -> Tensor:
        portraits, width = cast(Portraits, source), trainer.generator.config.z_dim
        return vectors_of(portraits, width, indices_at(source, positions, config.seed))

    warm_up, drawn = config.data.warmup_images, config.data.warmup_drawings
    beside = vectors_at if drawn else None if taught is None else codes_at
    data = Batches(source, config, run.batch, first, config.data.flip, beside)
    batches: Iterator[tuple[Tensor, Tensor]] | None = None
    while run.unfinished:
        trainer.set_progress(run.images)
        depths = trainer.depths_of(run.images, run.batch // config.loop.accumulate)
        if run.images < warm_up and not drawn:
            numbers = trainer.warm_up(*mixed_samples(trainer.restyle, run.batch), depths)
        else:
            starts = range(run.images, run.total, config.loop.batch)
            batches = batches or data.ahead(starts, run.device)
            images, codes = next(batches)
            if drawn:
                codes = trainer.codes_of_drawings(codes)
            if run.images < warm_up:
                numbers = trainer.warm_up(images, codes, depths)
            else:
                codes = codes if config.losses.distillation else None
                numbers = trainer.train_batch(images[:, :3], images[:, -3:], depths, codes)
        run.step(average_numbers(numbers))
        if run.checkpoint(trainer.state_dict):
            show()
    run.save(trainer.state_dict())
    exported = _card(run.folder / "model").get("images_seen")
    if any(any_process(run.is_main and exported != run.images)):
        show()


def _show(trainer: EncoderTrainer, run: Run, train: Source, held_out: Source) -> None:
    """Validate, draw strips, and export the model; all processes."""
    numbers, strips = validate(trainer, held_out, run.rank, run.processes)
    run.note_broken(train, held_out)
    if not run.is_main:
        return
    run.log({**numbers, "memory_gb": peak_memory(run.device) / 1e9})
    sheet = grid(strips, columns=1)
    save_image(sheet, run.folder / "samples" / f"{run.images:08d}.png")
    run.log_image("samples", np.asarray(sheet))
    model = trainer.model()
    model.card = {
        "images_seen": run.images,
        "validation": numbers,
        "training": as_record(trainer.config),
        "took": took(run),
    }
    if trainer.config.data.targets:
        model.card["translates"] = True
    if trainer.began:
        model.card["initial"] = trainer.began
    model.save_pretrained(run.folder / "model", half=True)
    best = _card(run.folder / "best")
    if not best or numbers["val_loss"] < best["validation"]["val_loss"]:
        model.save_pretrained(run.folder / "best", half=True)


def _card(folder: Path) -> dict[str, Any]:
    """The card of an exported model; empty where there is none, or half of one."""
    return load_config(folder)["card"] if (folder / CONFIG).exists() else {}
