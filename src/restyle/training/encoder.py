"""Training an encoder to invert a frozen generator, by the ReStyle loop itself.

Alaluf et al. 2021, section 3: each batch of targets is refined for several steps, the whole loss is
taken on every step's image and back-propagated at once, and the optimiser steps when all of them
are done. A single-shot encoder (pSp, e4e) is the same training with one step and an encoder that
sees the target alone.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from restyle.domains import DOMAINS
from restyle.encoders import PRESETS, Encoder
from restyle.generators.stylegan2 import StyleGAN2
from restyle.images import grid, save_image, strip
from restyle.losses.identity import identity
from restyle.losses.perceptual import perceptual
from restyle.losses.pixels import l2
from restyle.model import ReStyle
from restyle.refine import Estimate, refine
from restyle.registry import load_features, load_generator
from restyle.training.config import EncoderTraining, as_record
from restyle.training.data import draw, load, open_source
from restyle.training.parallel import average_gradients, same_everywhere
from restyle.training.run import Run


class EncoderTrainer:
    """An encoder, the frozen networks around it, and one training step."""

    def __init__(self, config: EncoderTraining, device: torch.device):
        """Load the generator and build a freshly initialised encoder for it."""
        self.config = config
        self.device = device
        generator = load_generator(config.generator)
        self.generator: StyleGAN2 = generator.to(device, memory_format=torch.channels_last)
        shape = dataclasses.replace(
            PRESETS[config.preset],
            num_ws=generator.num_ws,
            w_dim=generator.config.w_dim,
            input_channels=3 if config.single_shot else 6,
            head=config.head,
        )
        self.encoder = Encoder(shape).to(device, memory_format=torch.channels_last)
        self.domain = dataclasses.replace(DOMAINS[config.domain], input_size=shape.input_size)
        self.features = None
        if config.perceptual or config.identity:
            self.features = load_features(config.features).to(device)
        self.optimiser = torch.optim.Adam(self.encoder.parameters(), lr=config.lr, fused=True)
        self.steps = 1 if config.single_shot else config.steps
        self.last: tuple[Tensor, Estimate] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed training needs."""
        last = None
        if self.last is not None:
            target, estimate = self.last
            last = {"target": target, "ws": estimate.ws, "image": estimate.image}
        return {
            "encoder": self.encoder.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "last": last,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.encoder.load_state_dict(state["encoder"])
        self.optimiser.load_state_dict(state["optimiser"])
        if (last := state["last"]) is not None:
            last = {name: tensor.to(self.device) for name, tensor in last.items()}
            self.last = last["target"], Estimate(last["ws"], last["image"])

    def encode(self, pair: Tensor) -> Tensor:
        """Predict residuals (B, num_ws, w_dim) from (B, 6, h, w): the target, then the image."""
        seen = pair[:, : self.encoder.config.input_channels]
        with self._autocast():
            return self.encoder(seen.contiguous(memory_format=torch.channels_last))

    def render(self, ws: Tensor) -> Tensor:
        """Render codes (B, num_ws, w_dim) to (B, 3, H, W) in [-1, 1], float32."""
        with self._autocast():
            image = self.generator.synthesis(ws, "fixed")
        return self.domain.crop_render(image.float())

    @property
    def start_ws(self) -> Tensor:
        """The codes (num_ws, w_dim) that refinement starts from."""
        return self.generator.broadcast(self.generator.w_avg[None])[0]

    def set_progress(self, images: int) -> None:
        """Set the learning rate: constant, then falling to zero over the last images."""
        total = self.config.warmup_images + self.config.images
        left = (total - images) / max(1.0, self.config.decay * self.config.images)
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.lr * min(1.0, left)

    def warm_up(self, batch: int) -> dict[str, Tensor]:
        """Train on samples of the generator, whose codes are known.

        The current estimate of half of them is the average, as in the first step of the loop; for
        the others it is part of the way to the target, and a little off, as in the later ones.
        """
        with torch.no_grad():
            ws, other = self._samples(2 * batch).chunk(2)
            start = self.start_ws
            nearness = torch.rand(batch, 1, 1, device=self.device)
            current = start + nearness * (ws - start) + 0.2 * (other - start)
            at_start = torch.arange(batch, device=self.device).view(-1, 1, 1) < batch // 2
            current = torch.where(at_start, start, current)
            target, image = self.render(torch.cat([ws, current])).chunk(2)
            pair = torch.cat([self._pooled(target), self._pooled(image)], dim=1)
            wanted = ws - (start if self.config.single_shot else current)
            scale = (ws - start).square().mean()
        loss = (self.encode(pair) - wanted).square().mean() / scale
        loss.backward()
        self._update()
        return {"loss_w": loss.detach()}

    def step(self, target: Tensor, start: Estimate) -> dict[str, Tensor]:
        """Refine a batch from a start, learning from every step.

        Args:
            target: (B, 3, h, w) in [-1, 1], at the encoder's input size.
            start: Where the refinement starts.

        Returns:
            The losses: the mean over the steps, and the squared error of the first and the last.
        """
        wanted = self._wanted(target)
        totals: dict[str, Tensor] = {}
        errors = []
        for estimate in refine(self.encode, self.render, target, start, self.steps):
            losses = self.objective(self._pooled(estimate.image), target, wanted)
            losses["loss"].backward()
            errors.append(losses["l2"].detach())
            for name, value in losses.items():
                totals[name] = totals.get(name, 0) + value.detach() / self.steps
            self.last = target, estimate.detach()
        self._update()
        return {**totals, "mse_first": errors[0], "mse_last": errors[-1]}

    def objective(self, image: Tensor, target: Tensor, wanted: dict[str, Any]) -> dict[str, Tensor]:
        """The whole loss and its parts, means over the batch.

        Args:
            image: (B, 3, h, w) the render at the target's size.
            target: (B, 3, h, w).
            wanted: The target's feature maps and embedding, as far as they are compared.
        """
        config = self.config
        losses = {"l2": l2(image, target).mean()}
        loss = config.l2 * losses["l2"]
        with self._autocast():
            if config.perceptual:
                losses["perceptual"] = perceptual(self.features, image, wanted["maps"]).mean()
                loss = loss + config.perceptual * losses["perceptual"]
            if config.identity:
                losses["identity"] = identity(self.features, image, wanted["embedding"]).mean()
                loss = loss + config.identity * losses["identity"]
        return {"loss": loss, **losses}

    def train_batch(self, target: Tensor, continued: bool) -> dict[str, Tensor]:
        """One step on new targets from the average, or on the last ones from where they are."""
        if continued and self.last is not None:
            return self.step(*self.last)
        with torch.no_grad():
            ws = self.start_ws[None]
            image = self.render(ws)
        start = Estimate(ws.expand(len(target), -1, -1), image.expand(len(target), -1, -1, -1))
        return self.step(target, start)

    def model(self) -> ReStyle:
        """The generator and a copy of the encoder as they are now, as a model."""
        encoder = Encoder(self.encoder.config)
        encoder.load_state_dict(self.encoder.state_dict())
        model = ReStyle(self.generator, encoder.to(self.device), self.domain, self.config.out.name)
        return model.to(self.device, "bfloat16" if self.config.precision == "bf16" else "float32")

    @torch.no_grad()
    def _wanted(self, target: Tensor) -> dict[str, Any]:
        wanted: dict[str, Any] = {}
        with self._autocast():
            if self.config.perceptual:
                wanted["maps"] = self.features.maps(target)
            if self.config.identity:
                wanted["embedding"] = self.features.embed(target)
        return wanted

    def _samples(self, count: int) -> Tensor:
        z = torch.randn(2, count, self.generator.config.z_dim, device=self.device)
        first, second = self.generator.mapping(z.flatten(0, 1)).chunk(2)
        from_second = torch.rand(count, self.generator.num_ws, 1, device=self.device) < 0.25
        return torch.where(from_second, second.unsqueeze(1), first.unsqueeze(1))

    def _pooled(self, image: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(image, self.encoder.config.input_size)

    def _update(self) -> None:
        average_gradients(self.encoder)
        self.optimiser.step()
        self.optimiser.zero_grad()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.config.precision == "bf16"
        )


def train_encoder(config: EncoderTraining) -> None:
    """Train an encoder, or go on with a training that was stopped.

    The run folder gets, beside what every run has, `model/` (the model as a native checkpoint, at
    every checkpoint) and `samples/` (strips of validation images).

    Raises:
        ValueError: If the batch cannot be shared by the processes.
        CheckpointError: If the generator or the feature network cannot be used.
    """
    run = Run(
        config.out,
        config,
        images=config.warmup_images + config.images,
        seed=config.seed,
        device=config.device,
        checkpoint_minutes=config.checkpoint_minutes,
        may_change=("images", "processes", "device", "checkpoint_minutes", "validation_images"),
    )
    if config.batch % run.processes:
        raise ValueError(
            f"batch: expected a multiple of the {run.processes} processes, found {config.batch}"
        )
    batch = config.batch // run.processes
    with run:
        trainer = EncoderTrainer(config, run.device)
        size = trainer.encoder.config.input_size
        source = open_source(config.data, size, config.style, split="train")
        validation = open_source(config.data, size, config.style, split="val")
        if (state := run.load()) is not None:
            trainer.load_state_dict(state)
        same_everywhere(trainer.encoder)
        while run.unfinished:
            trainer.set_progress(run.images)
            if run.images < config.warmup_images:
                numbers = trainer.warm_up(batch)
            else:
                continued = bool(run.rng.random() < config.continuation) and trainer.steps > 1
                target = draw(
                    source, run.images + run.rank * batch, batch, config.seed, config.flip
                )
                numbers = trainer.train_batch(target.to(run.device), continued)
            run.step(batch, numbers)
            if run.checkpoint(trainer.state_dict) and run.is_main:
                _show(trainer, run, validation)
        run.save(trainer.state_dict())
        if run.is_main:
            _show(trainer, run, validation)


def _show(trainer: EncoderTrainer, run: Run, validation: Any) -> None:
    """Validate, draw strips, and export the model."""
    config = trainer.config
    model = trainer.model()
    steps = trainer.steps
    count = min(config.validation_images, len(validation))
    errors = torch.zeros(steps)
    strips = []
    for first in range(0, count, config.batch):
        indices = range(first, min(count, first + config.batch))
        result = model.invert(load(validation, indices), steps)
        for step, estimate in enumerate(result.steps[1:]):
            image = F.adaptive_avg_pool2d(estimate.image, result.target.shape[-2:])
            errors[step] += l2(image, result.target).sum().cpu()
        if not strips:
            labels = ["target", "average", *(f"step {step + 1}" for step in range(steps))]
            strips = [
                strip([one.target[0], *(e.image[0] for e in one.steps)], labels)
                for one in result.split()[:8]
            ]
    run.log({f"val_mse_{step + 1}": float(e / count) for step, e in enumerate(errors)})
    save_image(grid(strips, columns=1), run.folder / "samples" / f"{run.images:08d}.png")
    model.card = {"images_seen": run.images, "training": as_record(config)}
    model.save_pretrained(run.folder / "model", half=True)
