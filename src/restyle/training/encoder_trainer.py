"""One step of training an encoder, by the ReStyle loop itself.

Alaluf et al. 2021, section 3: each batch of targets is refined for several steps, the whole loss is
taken on every step's image and back-propagated at once, and the optimiser steps when all of them
are done. A single-shot encoder (pSp, e4e) is the same training with one step and an encoder that
sees the target alone.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from restyle.domains import Domain
from restyle.encoders import Encoder
from restyle.encoders.heads import MapToStyle
from restyle.generators.stylegan2 import StyleGAN2
from restyle.inversion.curvature import curvature_of
from restyle.io.bundled import bundled_or_path
from restyle.io.checkpoints import weights_hash
from restyle.model import ReStyle
from restyle.refine import pool_to, step
from restyle.runtime.devices import autocast, training_dtype
from restyle.training.config import EncoderTraining
from restyle.training.latent_adversary import LatentAdversary
from restyle.training.loaders import LossNetworks
from restyle.training.objective import Objective
from restyle.training.optimisers import make_optimiser
from restyle.training.parallel import average_gradients, gather, process_count
from restyle.training.warm_up import going_on, warm_up_losses

MOST_STEPS = 10  # that inversion takes
NORM_BATCH = 64

STATE_DISCOUNT = 0.8
"""Weight of a step's loss against that of the next, where a state goes through them (RAFT)."""


class EncoderTrainer:
    """An encoder, the frozen networks around it, and one training step.

    Attributes:
        encoder: What is trained.
        objective: What for.
        steps: Refinement steps on each batch.
    """

    def __init__(
        self,
        config: EncoderTraining,
        generator: StyleGAN2,
        encoder: Encoder,
        domain: Domain,
        networks: LossNetworks,
        device: torch.device,
    ):
        """Put the networks, all on the CPU, together on a device."""
        self.config, self.device, self.domain = config, device, domain
        self._inverts = weights_hash(generator.state_dict())
        if device.type == "cuda" and process_count() > 1:
            encoder = nn.SyncBatchNorm.convert_sync_batchnorm(encoder)  # pyright: ignore
        self.dtype = training_dtype(config.precision, device)
        self.restyle = ReStyle(generator, encoder, domain, config.out.name)
        self.restyle.to(device, self.dtype)
        self.generator, self.encoder = generator, encoder.requires_grad_(True)
        if config.loop.compile:  # not the encoder: that takes minutes, and little of a step less
            generator.synthesis.compile()
        adversary = None
        if config.losses.adversarial:
            adversary = LatentAdversary(generator.config.w_dim, device, config.adversary)
        loop = config.loop
        self.objective = Objective(
            config.losses.weights,
            networks.to(device),
            self.restyle.start_ws,
            adversary,
        )
        self.optimiser = make_optimiser(loop.optimiser, self.encoder.parameters(), loop.lr)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.dtype == torch.float16)
        self.steps = 1 if config.single_shot else loop.steps
        """Refinement steps between two updates."""
        self.validation_steps = 1 if config.single_shot else loop.validation_steps or loop.steps
        """Refinement steps of a validation."""
        self.began: dict[str, Any] | None = None
        """The training of the model that it began as, whose name may mean another one later."""
        self._norms = [m for m in self.encoder.modules() if isinstance(m, _BatchNorm)]
        self._learn()

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a resumed training needs; all processes."""
        adversary = self.objective.adversary
        return {
            "encoder": self.encoder.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "began": self.began,
            "inverts": self._inverts,
            "adversary": adversary and adversary.state_dict(),
            "pools": gather(adversary and adversary.pool.codes.cpu()),
            # On a CPU each process has statistics of its own images.
            "norms": gather([norm.state_dict() for norm in self._norms]),
        }

    def load_state_dict(self, state: dict[str, Any], rank: int = 0) -> None:
        """Take over what `state_dict` gave.

        With another number of processes than before, each starts with an empty pool and with the
        batch norms' statistics of the first one.

        Raises:
            ValueError: The encoder was trained to invert another generator.
        """
        if state.get("inverts", self._inverts) != self._inverts:
            raise ValueError(
                f"generator: '{self.config.generator}' has other weights than when this training "
                "began; give it back, or choose another run folder"
            )
        self.encoder.load_state_dict(state["encoder"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        if len(norms := state.get("norms", ())) == process_count():
            for norm, own in zip(self._norms, norms[rank], strict=True):
                norm.load_state_dict(own)
        self.began = state.get("began", self.began)
        adversary = self.objective.adversary
        if adversary is not None:
            adversary.load_state_dict(state["adversary"])
            if len(state["pools"]) == process_count():
                adversary.pool.codes = state["pools"][rank].to(self.device)

    def stage_at(self, images: int) -> int:
        """Count e4e's deltas that are on after a number of images (Tov et al., section 4.2)."""
        config, all_of_them = self.config, self.generator.num_ws - 1
        if config.head != "e4e" or not config.loop.progressive_interval:
            return all_of_them
        steps = images // config.loop.batch - config.loop.progressive_start
        return min(max(0, steps // config.loop.progressive_interval + 1), all_of_them)

    def set_progress(self, images: int) -> None:
        """Set what depends on the images seen: e4e's stage, and the learning rate.

        The rate is constant, then falls to zero over the last images.
        """
        self.encoder.stage = self.stage_at(images)
        total = self.config.data.warmup_images + self.config.data.images
        left = (total - images) / max(1.0, self.config.loop.decay * total)
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.loop.lr * min(1.0, left)

    def find_curvature(self) -> None:
        """Find the curvature of the objective, by which codes are compared.

        That in the generator's folder, or one that is estimated once and kept.
        """
        place = self.generator, self.restyle.generate, self.objective.of_methods(self.dtype)
        folder = bundled_or_path(self.config.generator)
        found = curvature_of(*place, self.encoder.config.input_size, folder)
        self.objective.curvature = found.to(self.restyle.start_ws)

    @torch.no_grad()
    def codes_of_drawings(self, vectors: Tensor) -> Tensor:
        """Map the vectors (B, z_dim) that portraits are drawn from to codes (B, num_ws, w_dim)."""
        return self.generator.broadcast(self.generator.mapping(vectors))

    def warm_up(self, source: Tensor, ws: Tensor, depths: Sequence[int]) -> dict[str, Tensor]:
        """Update once, on images (B, 3, h, w) whose codes (B, num_ws, w_dim) are known.

        Args:
            source: What the encoder sees.
            ws: The codes.
            depths: How many steps each image of a part takes, as `depths_of` gives them.

        Raises:
            ValueError: `find_curvature` was not called.
        """
        if (curvature := self.objective.curvature) is None:
            raise ValueError("expected a curvature to compare codes by: call find_curvature first")
        total, count = torch.zeros((), device=self.device), self.config.loop.accumulate
        for part in zip(source.chunk(count), ws.chunk(count), strict=True):
            loss = torch.stack([*warm_up_losses(self.restyle, curvature, *part, depths)]).sum()
            self.scaler.scale(loss / count).backward()  # at once, as it may go through a state
            total += loss.detach()
        self._update()
        return {"loss_w": total * len(depths) / (count * sum(depths))}

    def train_batch(
        self,
        source: Tensor,
        target: Tensor,
        depths: Sequence[int] | None = None,
        taught: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Update once, by some steps on every image, all of which are learned from.

        Args:
            source: (B, 3, h, w) what the encoder sees, in [-1, 1], at its input size.
            target: What the result shall look like, as `source`; usually the same.
            depths: How many steps each image of a part takes, as `depths_of` gives them; `steps` if
                None.
            taught: (B, num_ws, w_dim) a teacher's codes of the images.

        Returns:
            The losses: the mean over the steps, and the squared error of the first and the last
            one that all images take.
        """
        count = self.config.loop.accumulate
        numbers: list[dict[str, Tensor]] = []
        first, last, codes = [], [], []
        codes_of = (None,) * count if taught is None else taught.chunk(count)
        parts = source.chunk(count), target.chunk(count), codes_of
        for images, wanted, known in zip(*parts, strict=True):
            depths = depths or [self.steps] * len(images)
            steps = list(self.learn(images, wanted, depths, known))
            numbers += [losses for _, losses in steps]
            codes += [reached for reached, _ in steps]
            first.append(steps[0][1]["l2"])
            last.append(steps[self.steps - 1][1]["l2"])
        self._update()
        sizes = torch.tensor([len(reached) for reached in codes], device=self.device)
        shares = sizes / sizes.sum()
        totals = {n: (torch.stack([one[n] for one in numbers]) * shares).sum() for n in numbers[0]}
        totals["mse_first"] = torch.stack(first).mean()
        totals["mse_last"] = torch.stack(last).mean()
        if (adversary := self.objective.adversary) is not None:
            fake = torch.cat(codes)
            totals |= adversary.step(self._mapped(len(fake)), fake)
        return totals

    @torch.no_grad()
    def recalibrate_batch_norms(self, source: Tensor) -> None:
        """Estimate the batch norms' statistics anew, over all steps of the refinement of images.

        Precise statistics (Wu & Johnson 2021, *Rethinking "Batch" in BatchNorm*, section 3), in
        place of a running mean of the last few batches.

        Args:
            source: (N, 3, h, w), as the encoder sees it.
        """
        pairs, steps = [], max(1, self.validation_steps - 1)
        for part in source.split(NORM_BATCH):
            found = self.restyle.invert(part, steps, batch_size=len(part)).steps
            images = [found[i % self.validation_steps].image[i] for i in range(len(part))]
            pairs.append(torch.cat([part, pool_to(torch.stack(images), part)], dim=1))
        momenta = [norm.momentum for norm in self._norms]
        for norm in self._norms:
            norm.reset_running_stats()
            norm.momentum = None  # all batches count alike
            norm.train()
        with self.autocast():
            for pair in pairs:
                self.encoder(pair[:, : self.encoder.config.input_channels])
        for norm, momentum in zip(self._norms, momenta, strict=True):
            norm.momentum = momentum
        self._learn()

    def depths_of(self, images: int, count: int) -> list[int]:
        """Draw how many steps each of a part's images takes, after so many images; the most first.

        In the warm-up the share of those that go on grows from nothing, as what an encoder does to
        its own mistakes makes them larger at first. All processes and all resumed runs draw the
        same.
        """
        warmed = min(1.0, images / max(1, self.config.data.warmup_images))
        share = 0.0 if self.config.single_shot else self.config.loop.rollout * warmed
        further = np.random.default_rng((self.config.seed, images, 2)).geometric(1 - share, count)
        return sorted((min(self.steps + int(n) - 1, MOST_STEPS) for n in further), reverse=True)

    def learn(
        self,
        source: Tensor,
        target: Tensor,
        depths: Sequence[int],
        taught: Tensor | None = None,
    ) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        """Refine part of a batch, and add to the gradients at every step; codes and losses.

        Args:
            source: (B, 3, h, w), as `train_batch` takes it.
            target: As there.
            depths: As there.
            taught: (B, num_ws, w_dim) a teacher's codes.
        """
        with self.autocast():
            wanted = self.objective.extract(target, taught)
        estimate = self.restyle.start(len(source))
        together = torch.zeros((), device=source.device)
        for number, count in enumerate(going_on(depths)):
            before = source[:count], estimate[:count]
            estimate = step(self.restyle.encode, self.restyle.generate, *before)
            image = pool_to(estimate.image, source)
            with self.autocast():
                losses = self.objective.losses(
                    image, estimate.ws, wanted[:count], self.encoder.stage
                )
            share = count / len(source)  # an image's step counts alike, wherever it is
            loss = losses["loss"] * share / self.config.loop.accumulate
            if estimate.state is None:
                self.scaler.scale(loss).backward()
            else:
                together = together + STATE_DISCOUNT ** (depths[0] - 1 - number) * loss
            yield estimate.ws.detach(), {n: value.detach() for n, value in losses.items()}
        if together.requires_grad:  # what a state carries goes back through all steps
            self.scaler.scale(together).backward()

    def model(self) -> ReStyle:
        """Return the generator and a copy of the encoder as they are now, as a model.

        Deltas that are not switched on yet are zero in the copy.
        """
        # Copied, not built anew, as random weights would take numbers from the training's stream.
        encoder = copy.deepcopy(self.encoder)
        encoder.stage = encoder.config.num_ws - 1
        heads = [head for head in encoder.heads if isinstance(head, MapToStyle)]
        off = torch.arange(encoder.config.num_ws) > self.encoder.stage
        for head, rows in zip(heads, off.split([head.count for head in heads]), strict=True):
            head.out_weight.data[rows] = 0
            head.out_bias.data[rows] = 0
        model = ReStyle(self.generator, encoder, self.domain, self.config.out.name)
        return model.to(self.device, self.dtype)

    def autocast(self) -> torch.autocast:
        """Return the precision of the networks, as a context."""
        return autocast(self.device, self.dtype)

    def _learn(self) -> None:
        self.encoder.train()
        if self.config.loop.freeze_norms:
            for norm in self._norms:
                norm.eval()

    def _mapped(self, count: int) -> Tensor:
        return self.generator.sample_w(count, int(torch.randint(2**62, ())))

    def _update(self) -> None:
        # Once for all backward passes of a step: those before need no synchronisation.
        average_gradients(self.encoder)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad()
