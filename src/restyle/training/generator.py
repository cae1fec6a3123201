"""Training a StyleGAN2 generator against a discriminator.

Non-saturating loss with lazy R1 (Karras et al. 2020, sections 2.1 and 3.1), style mixing, optional
path length regularisation (section 3.2), and an average of the weights. The discriminator's and the
generator's turn of one step share their generated images, which saves one synthesis in three.
A generator of portraits can begin by learning to draw them
(`restyle.training.attribute_pretraining`).
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from restyle.generators.blending import swap_layers
from restyle.generators.stylegan2 import Noise, StyleGAN2, StyleGAN2Config
from restyle.hub.registry import load_generator
from restyle.io.checkpoints import CheckpointError, load_strict, without_prefix
from restyle.io.images import grid, save_image
from restyle.runtime.devices import autocast, training_dtype
from restyle.runtime.graphs import Replayed, set_rate
from restyle.training.attribute_pretraining import AttributePretraining, build_mapping
from restyle.training.config import GeneratorTraining
from restyle.training.data import Batches, Source, open_source
from restyle.training.ema import Ema
from restyle.training.image_adversary import ImageAdversary, r1_penalty
from restyle.training.loaders import load_initial, load_run_state
from restyle.training.optimisers import make_optimiser
from restyle.training.parallel import (
    average_gradients,
    first_alone,
    process_count,
    same_everywhere,
)
from restyle.training.run import Run

MIXING_PROBABILITY = 0.9
PATH_LENGTH_INTERVAL = 4
PATH_LENGTH_DECAY = 0.01
BETAS = (0.0, 0.99)
MAY_CHANGE = """precision snapshot_images lr discriminator_lr r1_gamma ema_images
discriminator_warmup compile supervised_images supervised_weight supervised_lr supervised_pyramid"""


class GeneratorTrainer:
    """The two networks, their optimisers and one training step."""

    def __init__(self, config: GeneratorTraining, device: torch.device):
        """Build freshly initialised networks on a device."""
        self.config = config
        self.device = device
        self.dtype = training_dtype(config.precision, device)
        shape = StyleGAN2Config(
            config.size, config.z_dim, config.w_dim, config.channels, config.mapping_layers
        )
        self.generator = StyleGAN2(shape).to(device)
        if config.initial and not config.train_mapping:
            # A code keeps its meaning, so that the latent spaces of the generator that is started
            # from and of the one that it becomes stay related (Toonify, Pinkney and Adler 2020).
            self.generator.mapping.requires_grad_(False)
        self.adversary = ImageAdversary.of(config, shape.channels, device)
        self.pretraining: AttributePretraining | None = None
        if config.supervised_images or config.supervised_weight:
            self.pretraining = AttributePretraining(config, device)
        self.ema = Ema(self.generator, config.ema_images)
        if config.compile:
            self.generator.synthesis.compile()
            if (teacher := self.pretraining) is not None:
                teacher.loss = torch.compile(teacher.loss)
        self.path_length = torch.zeros((), device=device)
        self.noise: Noise = "fresh" if config.noise else "none"
        self.steps = 0
        groups = (
            [{"params": list(self.generator.parameters()), "lr": config.lr}],
            self.adversary.groups(config.discriminator_lr or config.lr),
        )
        self._replays = device.type == "cuda" and process_count() == 1
        self._graphs: dict[Hashable, Replayed] = {}
        for group in (*groups[0], *groups[1]) if self._replays else ():
            group["lr"] = torch.tensor(group["lr"], device=device)
        options = {"lr": config.lr, "betas": BETAS, "capturable": self._replays}
        kinds = zip((config.optimiser, "adam"), groups, strict=True)
        self.optimisers = [make_optimiser(name, group, **options) for name, group in kinds]

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed training needs."""
        return {
            "generator": self.generator.state_dict(),
            "critic": self.adversary.state_dict(),
            "ema": self.ema.model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "path_length": self.path_length,
            "steps": self.steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.generator.load_state_dict(state["generator"])
        self.adversary.load_state_dict(state["critic"])
        self.ema.model.load_state_dict(state["ema"])
        for optimiser, values in zip(self.optimisers, state["optimisers"], strict=True):
            own = [(group["lr"], group["capturable"]) for group in optimiser.param_groups]
            optimiser.load_state_dict(values)
            # A resumed run may have another rate, and another device.
            for group, (rate, capturable) in zip(optimiser.param_groups, own, strict=True):
                group["lr"], group["capturable"] = rate, capturable
        self.path_length.copy_(state["path_length"])
        self.steps = state["steps"]

    def grow_from(self, state: dict[str, Any]) -> None:
        """Start from networks of half the size; the new blocks keep their fresh values.

        Args:
            state: The `state_dict` of a trainer of half the size with the same widths up to there.

        Raises:
            CheckpointError: If the smaller networks do not fit.
        """
        for network in (self.generator, self.ema.model):
            smaller = state["generator" if network is self.generator else "ema"]
            _overlay(network, smaller, "the smaller generator")
        if self.config.fresh_discriminator:
            return
        shifted = {}
        for name, tensor in without_prefix(state["critic"], "pixels").items():
            head, _, rest = name.partition(".")
            if head == "blocks":
                index, _, rest = rest.partition(".")
                name = f"blocks.{int(index) + 1}.{rest}"
            elif head == "from_rgb":
                name = f"coarse.{rest}"
            if head != "coarse":
                shifted[name] = tensor
        _overlay(self.adversary.pixels, shifted, "the smaller discriminator")

    def begin(self) -> None:
        """Take over the networks that the configuration says to begin with."""
        if self.config.initial:
            self.start_from(load_initial(self.config.initial))
        elif self.config.grow_from:
            self.grow_from(load_run_state(self.config.grow_from))
        fresh = not self.config.initial and not self.config.grow_from
        if self.config.rebuild_mapping or (fresh and self.config.supervised_images):
            build_mapping(self.generator, fresh)
            self.ema.model.load_state_dict(self.generator.state_dict())

    def start_from(self, state: dict[str, Any]) -> None:
        """Start from trained networks of the same shape, to learn other images of the same things.

        Args:
            state: The `state_dict` of the trainer whose networks they are; without a "critic",
                that one stays fresh.

        Raises:
            CheckpointError: If the networks do not fit.
        """
        for network, name in ((self.generator, "generator"), (self.ema.model, "ema")):
            load_strict(network, state[name], f"the initial {name}")
        if "critic" in state and not self.config.fresh_discriminator:
            self.adversary.take(state["critic"], "the initial discriminator")

    def set_progress(self, images: int) -> None:
        """Set what depends on the images seen: rates, momentum, how far a new block is faded in."""
        config = self.config
        fade = min(1.0, images / config.fade_images) if config.grow_from else 1.0
        self.generator.synthesis.fade = self.ema.model.synthesis.fade = fade
        self.adversary.pixels.fade = fade
        (group,) = self.optimisers[0].param_groups
        if images < config.supervised_images:
            left = 1 - images / config.supervised_images
            set_rate(group, config.lr + left * (config.supervised_lr - config.lr))
            group["betas"] = (0.9, 0.99)
        else:
            set_rate(group, config.lr)
            group["betas"] = BETAS

    def sample_ws(self, batch: int) -> Tensor:
        """Draw codes (B, num_ws, w_dim), some of them of two people mixed at a random layer."""
        z = torch.randn(2, batch, self.config.z_dim, device=self.device)
        first, second = self.generator.mapping(z.flatten(0, 1)).chunk(2)
        num_ws = self.generator.num_ws
        crossing = torch.randint(1, num_ws, (batch, 1), device=self.device)
        mixed = torch.rand(batch, 1, device=self.device) < MIXING_PROBABILITY
        rows = torch.arange(num_ws, device=self.device)[None]
        from_second = (mixed & (rows >= crossing)).unsqueeze(-1)
        return torch.where(from_second, second.unsqueeze(1), first.unsqueeze(1))

    def known(self, images: int, count: int) -> int:
        """Return how many of the next `count` images are to be drawn, as their vectors are known.

        Args:
            images: Images seen so far.
            count: This process's share of the batch.
        """
        if images < self.config.supervised_images:
            return count
        return count // 2 if self.config.supervised_weight else 0

    def step(self, real: Tensor, images: int, z: Tensor | None = None) -> dict[str, Tensor]:
        """Train on one batch: both networks, or at first the generator alone.

        Args:
            real: (B, 3, size, size) images of the data, in [-1, 1].
            images: Images seen so far.
            z: (`known`, z_dim) normal vectors of the first of them, which it is to draw as well.

        Returns:
            The losses.
        """
        self.set_progress(images)
        since = images - self.config.supervised_images
        waits = 0 <= since < self.config.discriminator_warmup
        z = real.new_zeros(0, self.config.z_dim) if z is None else z
        supervised = since < 0 and len(z) > 0
        regularised = self.steps % self.config.r1_interval == 0
        lengths = self.config.path_length_weight and self.steps % PATH_LENGTH_INTERVAL == 0
        train = partial(self._train_adversarially, waits, regularised, bool(lengths))
        if supervised:
            train = self._train_supervised
        if self._replays and self.generator.synthesis.fade == 1:
            key = supervised or (waits, regularised, lengths, len(z))
            train = self._graphs.setdefault(key, Replayed(train))
        numbers = dict(train(real, z))
        if not waits:
            self.ema.update(self.generator, self.config.batch, images)
        self.steps += 1
        return numbers

    def _train_supervised(self, real: Tensor, z: Tensor) -> dict[str, Tensor]:
        loss, numbers = self._supervised(self.synthesise(self._codes(z)), real)
        loss.backward()
        self._update(self.generator, self.optimisers[0])
        return numbers

    def _train_adversarially(
        self, waits: bool, regularised: bool, lengths: bool, real: Tensor, z: Tensor
    ) -> dict[str, Tensor]:
        ws = self.sample_ws(len(real) - len(z))
        fake = self.synthesise(torch.cat([self._codes(z), ws]) if len(z) else ws)
        numbers = self._train_adversary(real, fake.detach(), regularised)
        if not waits:
            numbers |= self._train_generator(fake, real[: len(z)], lengths)
        return numbers

    def _codes(self, z: Tensor) -> Tensor:
        return self.generator.broadcast(self.generator.mapping(z))

    def synthesise(self, ws: Tensor) -> Tensor:
        """Render codes (B, num_ws, w_dim) to (B, 3, size, size), in the training's precision."""
        with self._autocast():
            return self.generator.synthesis(ws, self.noise)

    def _supervised(self, image: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        assert self.pretraining is not None
        with self._autocast():
            return self.pretraining.loss(image.float(), target)

    def _train_adversary(self, real: Tensor, fake: Tensor, regularised: bool) -> dict[str, Tensor]:
        self.adversary.requires_grad_(True)
        with self._autocast():
            loss, numbers = self.adversary.discriminate(fake, real)
        loss.backward()
        if regularised:
            penalty = r1_penalty(self.adversary.pixels, real, self._autocast)
            (penalty * (self.config.r1_gamma / 2 * self.config.r1_interval)).backward()
            numbers["r1"] = penalty.detach()
        self._update(self.adversary, self.optimisers[1])
        return numbers

    def _train_generator(self, fake: Tensor, known: Tensor, lengths: bool) -> dict[str, Tensor]:
        self.adversary.requires_grad_(False)
        with self._autocast():
            loss, numbers = self.adversary.fool(fake)
        if len(known):
            drawn, more = self._supervised(fake[: len(known)], known)
            loss, numbers = loss + self.config.supervised_weight * drawn, numbers | more
        loss.backward()
        if lengths:
            penalty, length = self._path_length_penalty(max(1, len(fake) // 2))
            (penalty * (self.config.path_length_weight * PATH_LENGTH_INTERVAL)).backward()
            numbers["path_length"] = length
        self._update(self.generator, self.optimisers[0])
        return numbers

    def _path_length_penalty(self, batch: int) -> tuple[Tensor, Tensor]:
        """Measure how unevenly images change with their codes (Karras et al. 2020, equation 4)."""
        ws = self.sample_ws(batch).requires_grad_()
        images = self.synthesise(ws)
        noise = torch.randn_like(images) / math.sqrt(images.shape[2] * images.shape[3])
        (gradient,) = torch.autograd.grad((images * noise).sum(), ws, create_graph=True)
        lengths = gradient.float().square().sum(dim=2).mean(dim=1).sqrt()
        self.path_length.lerp_(lengths.detach().mean(), PATH_LENGTH_DECAY)
        return (lengths - self.path_length).square().mean(), lengths.detach().mean()

    def _update(self, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        average_gradients(network)
        optimiser.step()
        optimiser.zero_grad()

    def _autocast(self) -> torch.autocast:
        return autocast(self.device, self.dtype)

    @torch.no_grad()
    def sample_grid(self, columns: int = 8, rows: int = 4) -> Image.Image:
        """Show what the averaged generator makes of the same codes every time."""
        model = self.ema.model
        ws = model.broadcast(model.sample_w(columns * rows))
        return grid(model.synthesis(ws, "fixed").cpu(), columns)


def _overlay(network: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    own = network.state_dict()
    wrong = [name for name, t in tensors.items() if name not in own or own[name].shape != t.shape]
    if wrong:
        raise CheckpointError(
            f"{source}: expected the widths of the larger one, got others at {wrong[0]}"
        )
    network.load_state_dict(own | tensors)


def train_generator(config: GeneratorTraining) -> None:
    """Train a generator, or go on with a training that was stopped.

    The run folder gets, beside what every run has, `samples/` (a grid at each checkpoint),
    `snapshots/` (half precision generators at regular counts) and, at the end and at each
    checkpoint, `generator/`: the averaged network as a native checkpoint.

    Raises:
        ValueError: If the batch cannot be shared by the processes, or the data do not fit.
    """
    run = Run(config, config.images, config.batch, may_change=MAY_CHANGE)
    with run:
        with first_alone():
            source = open_source(config.data, config.size, config.style, run=run.folder)
        trainer = GeneratorTrainer(config, run.device)
        run.announce(f"a generator of {config.size} x {config.size}", trainer.dtype)
        if (state := run.load()) is not None:
            trainer.load_state_dict(state)
        else:
            trainer.begin()
        same_everywhere(trainer.generator)
        same_everywhere(trainer.adversary)
        teacher = trainer.pretraining
        batches = Batches(
            source,
            config,
            run.batch,
            run.rank * run.batch,
            config.flip,
            teacher.vectors if teacher else None,
        )
        starts = range(run.images, run.total, config.batch)
        for real, z in batches.ahead(starts, run.device):
            known = trainer.known(run.images, run.batch)
            numbers = trainer.step(real, run.images, z[:known] if known else None)
            before = run.images
            run.step(numbers)
            kept = before // config.snapshot_images, run.images // config.snapshot_images
            if run.is_main and kept[0] < kept[1]:
                export(trainer, config.out / "snapshots" / f"{run.images:08d}", run.images)
            if run.checkpoint(trainer.state_dict):
                _show(trainer, run, source)
        run.save(trainer.state_dict())
        _show(trainer, run, source)
    run.say(f"the generator is in {run.folder / 'generator'}")


def export(trainer: GeneratorTrainer, folder: Path, images: int) -> None:
    """Write the averaged generator, with its average code, as a half precision checkpoint.

    With `keep_coarse` its coarse layers are those of the generator that it was started from.
    """
    generator = trainer.ema.model
    generator.w_avg.copy_(generator.estimate_w_avg())
    if trainer.config.initial and trainer.config.keep_coarse:
        initial = load_generator(trainer.config.initial).to(trainer.device)
        generator = swap_layers(initial, generator, trainer.config.keep_coarse)
    generator.save_pretrained(folder, half=True, facts={"images_seen": images})


def _show(trainer: GeneratorTrainer, run: Run, source: Source) -> None:
    """Draw samples, export the generator, and list broken files; all processes."""
    run.note_broken(source)
    if not run.is_main:
        return
    samples = trainer.sample_grid()
    save_image(samples, run.folder / "samples" / f"{run.images:08d}.png")
    run.log_image("samples", np.asarray(samples))
    export(trainer, run.folder / "generator", run.images)
