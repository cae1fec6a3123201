"""ReStyle: a generator, the encoder that inverts it, and the domain that they were made for."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Literal

import torch
from torch import Tensor

from restyle.checkpoints import (
    CheckpointError,
    load_folder,
    load_strict,
    save_folder,
    weights_hash,
    with_prefix,
    without_prefix,
)
from restyle.devices import resolve_device, resolve_dtype
from restyle.domains import Domain
from restyle.encoders import Encoder, EncoderConfig
from restyle.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from restyle.refine import Estimate, average_estimate, refine
from restyle.stopping import refine_until
from restyle.targets import Picture, as_pictures, to_target

KIND = "restyle"
DEFAULT_STEPS = 5  # what the paper recommends for faces; quality saturates soon after

Steps = int | Literal["auto"] | None


@dataclass(frozen=True)
class InversionResult:
    """What an inversion found for a batch of B images.

    Attributes:
        target: What was inverted, (B, 3, h, w), RGB in [-1, 1], at the encoder's input size.
        steps: The start (the average image, t = 0) and the estimate after each step. Images that
            stopped early repeat the best estimate that they had.
        steps_used: How many steps each image took, (B,) int64; all of them if None is given.
    """

    target: Tensor
    steps: tuple[Estimate, ...]
    steps_used: Tensor = None  # pyright: ignore - filled in below

    def __post_init__(self) -> None:
        """Without early stopping, every image took every step."""
        if self.steps_used is None:
            used = torch.full((len(self.target),), len(self.steps) - 1, device=self.target.device)
            object.__setattr__(self, "steps_used", used)

    @property
    def ws(self) -> Tensor:
        """The last step's latent codes in W+, (B, num_ws, D)."""
        return self.steps[-1].ws

    @property
    def image(self) -> Tensor:
        """The last step's reconstruction, (B, 3, H, W), RGB in [-1, 1]."""
        return self.steps[-1].image

    def split(self) -> list["InversionResult"]:
        """The same results, one for each image of the batch, with the steps that it took."""
        return [
            InversionResult(
                self.target[i : i + 1], tuple(e[i : i + 1] for e in self.steps[: n + 1])
            )
            for i, n in enumerate(self.steps_used.tolist())
        ]


class ReStyle:
    """Inverts images into a generator's W+ space, a residual at a time.

    Source: Alaluf, Patashnik, Cohen-Or, "ReStyle: A Residual-Based StyleGAN Encoder via Iterative
    Refinement", ICCV 2021. An encoder with three input channels sees the target alone and takes one
    step, as the single-shot encoders before ReStyle do.

    Attributes:
        generator: Frozen, in evaluation mode.
        encoder: Frozen, in evaluation mode.
        domain: What the images show, and how they are cropped and sized.
        name: What the model is called.
        card: Facts about the weights (training data, images seen, licence), saved with them.
        start_ws: The codes (num_ws, D) that every inversion starts from.
        dtype: The precision of the convolutions; latent codes and images are float32 throughout.
    """

    def __init__(
        self,
        generator: StyleGAN2,
        encoder: Encoder,
        domain: Domain,
        name: str,
        card: Mapping[str, Any] | None = None,
        start_ws: Tensor | None = None,
    ) -> None:
        """Take both networks, which are frozen and put into evaluation mode.

        Foreign encoders bring a `start_ws` of their own; it is the generator's average if None.

        Raises:
            ValueError: The encoder does not predict the codes that the generator takes, or does not
                look at images of the domain's size.
        """
        codes = (generator.num_ws, generator.config.w_dim)
        predicted = (encoder.config.num_ws, encoder.config.w_dim)
        if predicted != codes:
            raise ValueError(f"expected an encoder of {codes} codes, found one of {predicted}")
        if encoder.config.input_size != domain.input_size:
            raise ValueError(
                f"expected an encoder for the domain's (height, width) {domain.input_size}, "
                f"found one for {encoder.config.input_size}"
            )
        self.generator = generator.eval().requires_grad_(False)
        self.encoder = encoder.eval().requires_grad_(False)
        self.domain = domain
        self.name = name
        self.card = dict(card or {})
        self.dtype = torch.float32
        if start_ws is None:
            start_ws = generator.broadcast(generator.w_avg[None])[0]
        if tuple(start_ws.shape) != codes:
            raise ValueError(f"expected start_ws of shape {codes}, found {tuple(start_ws.shape)}")
        self.start_ws = start_ws.detach().clone()
        self._average: Estimate | None = None

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.generator.w_avg.device

    @property
    def single_shot(self) -> bool:
        """Whether the encoder sees the target alone, so that there is nothing to refine."""
        return self.encoder.config.input_channels == 3

    @property
    def average(self) -> Estimate:
        """The start of every inversion, a batch of one: the average latent code and its render."""
        if self._average is None:
            with torch.no_grad():
                self._average = average_estimate(self.start_ws, self.generate, 1)
        return self._average

    def to(
        self, device: str | torch.device | None = None, dtype: str | torch.dtype | None = None
    ) -> "ReStyle":
        """Move the model, or change the precision that it computes in.

        Args:
            device: `"auto"`, `"cpu"`, `"cuda"`, `"mps"` or a torch device; unchanged if None.
            dtype: float32, bfloat16 or float16, as a name or a torch dtype; unchanged if None. The
                weights stay float32; lower precision is by automatic mixed precision.

        Returns:
            The model itself.

        Raises:
            ValueError: The device is not there, or the dtype is none of these.
        """
        if device is not None:
            device = resolve_device(device)
            self.generator.to(device)
            self.encoder.to(device)
            self.start_ws = self.start_ws.to(device)
        if dtype is not None:
            self.dtype = resolve_dtype(dtype)
        self._average = None
        return self

    def invert(
        self, images: Picture | Iterable[Picture], steps: Steps = None, batch_size: int = 8
    ) -> InversionResult:
        """Find latent codes whose renders look like the images.

        Args:
            images: A path, a PIL image, several of them, or a tensor (3, H, W) or (B, 3, H, W),
                RGB in [-1, 1]. Each is resized to the encoder's input size, whatever its aspect.
            steps: How often the estimate is refined; 5 if None, and 1 for a single-shot encoder;
                "auto" until an image's steps change little (`restyle.stopping`), at most 10 times.
            batch_size: How many images go through the networks at once.

        Returns:
            The result for the whole batch, in the order of the images. It carries no gradients, and
            may be used in a differentiable loss.

        Raises:
            ValueError: `steps` or `batch_size` below 1, more than one single-shot step,
                no images, or a tensor of another shape or range.
            ImageError: A file is not a readable image.
        """
        return joined(list(self.batches(as_pictures(images), steps, batch_size)))

    def invert_iter(
        self, images: Iterable[Picture], steps: Steps = None, batch_size: int = 8
    ) -> Iterator[InversionResult]:
        """Invert any number of images, holding one batch of them in memory.

        Args:
            images: Paths, PIL images or (3, H, W) tensors; read as they are needed.
            steps: As in `invert`.
            batch_size: As in `invert`.

        Yields:
            The result for each image, a batch of one, in order.

        Raises:
            ValueError: As `invert` does, when the first result is asked for.
            ImageError: A file is not a readable image.
        """
        for result in self.batches(images, steps, batch_size):
            yield from result.split()

    def batches(
        self, images: Iterable[Picture], steps: Steps = None, batch_size: int = 8
    ) -> Iterator[InversionResult]:
        """As `invert_iter`, but yield the results of whole batches."""
        steps = self.checked_steps(steps)
        if batch_size < 1:
            raise ValueError(f"expected batch_size of at least 1, found {batch_size}")
        images = iter(images)
        while batch := list(islice(images, batch_size)):
            target = self.prepare(batch)
            start = self.start(len(target))
            with torch.no_grad():
                if steps == "auto":
                    found = list(refine_until(self.encode, self.generate, target, start))
                    estimates = (start, *(estimate for estimate, _ in found))
                    used = torch.stack([took for _, took in found]).sum(dim=0)
                else:
                    estimates = (start, *refine(self.encode, self.generate, target, start, steps))
                    used = None
            yield InversionResult(target, estimates, used)

    def checked_steps(self, steps: Steps = None) -> int | Literal["auto"]:
        """The number of steps to take: the given one, or 5, or 1 for a single-shot encoder.

        Raises:
            ValueError: Below 1, or more than one step of a single-shot encoder.
        """
        if steps is None or (steps == "auto" and self.single_shot):
            return 1 if self.single_shot else DEFAULT_STEPS
        if steps == "auto":
            return "auto"
        if not isinstance(steps, int) or steps < 1:
            raise ValueError(f"expected steps of at least 1, or 'auto', found {steps}")
        if self.single_shot and steps > 1:
            raise ValueError(f"expected steps=1 for a single-shot encoder, found {steps}")
        return steps

    def prepare(self, images: Iterable[Picture]) -> Tensor:
        """Make targets: (B, 3, h, w) at the encoder's input size, RGB in [-1, 1].

        Raises:
            ValueError: No images, or a tensor of another shape or range.
            ImageError: A file is not a readable image.
        """
        size = self.domain.input_size
        targets = [to_target(image, size) for image in images]
        if not targets:
            raise ValueError("expected at least one image, found none")
        return torch.stack(targets).to(self.device)

    def start(self, batch: int) -> Estimate:
        """Where the inversion of a batch starts: the average, without copies."""
        ws, image = self.average.ws, self.average.image
        return Estimate(ws.expand(batch, -1, -1), image.expand(batch, -1, -1, -1))

    def encode(self, pair: Tensor) -> Tensor:
        """Predict residuals (B, num_ws, D) from (B, 6, h, w): target, then current image."""
        with self._precision():
            return self.encoder(pair[:, : self.encoder.config.input_channels]).float()

    def generate(self, ws: Tensor) -> Tensor:
        """Render latent codes, differentiably where they need gradients.

        Args:
            ws: Codes in W+, (B, num_ws, D).

        Returns:
            Images (B, 3, H, W), RGB, about [-1, 1], cropped to the domain's rows. Noise is fixed.
        """
        with self._precision():
            image = self.generator.synthesis(ws, noise="fixed").float()
        return self.domain.crop_render(image)

    def sample(self, n: int = 1, seed: int = 0, truncation: float = 1.0) -> Estimate:
        """Draw random images; a seed gives the same latent codes on every device.

        Args:
            n: How many.
            seed: Of the draw.
            truncation: 1 for the generator's full variety, 0 for the average image only.

        Returns:
            The codes (n, num_ws, D), and their renders (n, 3, H, W).

        Raises:
            ValueError: `n` is below 1.
        """
        if n < 1:
            raise ValueError(f"expected n of at least 1, found {n}")
        rng = torch.Generator().manual_seed(seed)
        z = torch.randn(n, self.generator.config.z_dim, generator=rng).to(self.device)
        with torch.no_grad():
            w = self.generator.truncate(self.generator.mapping(z), truncation)
            ws = self.generator.broadcast(w)
            return Estimate(ws, self.generate(ws))

    def weights_hash(self) -> str:
        """SHA-256 (hex) over the weights of both networks."""
        return weights_hash(self._tensors())

    def save_pretrained(self, folder: str | os.PathLike[str], half: bool = False) -> None:
        """Write the model as a native checkpoint.

        Args:
            folder: Made where missing.
            half: Store most weights as float16, which halves the size.

        Raises:
            CheckpointError: A weight is not finite, or does not fit half precision.
        """
        config = {
            "kind": KIND,
            "name": self.name,
            "domain": asdict(self.domain),
            "generator": asdict(self.generator.config),
            "encoder": asdict(self.encoder.config),
            "card": self.card,
        }
        save_folder(folder, config, self._tensors(), half)

    @classmethod
    def from_pretrained(cls, folder: str | os.PathLike[str]) -> "ReStyle":
        """Read what `save_pretrained` wrote, on the CPU.

        Raises:
            CheckpointError: The folder holds no such checkpoint, or one that is damaged.
        """
        config, tensors = load_folder(folder, KIND)
        try:
            domain = Domain(**config["domain"])
            generator = StyleGAN2(StyleGAN2Config(**config["generator"]))
            encoder = Encoder(EncoderConfig(**config["encoder"]))
            load_strict(generator, without_prefix(tensors, "generator"), f"{folder} (generator)")
            load_strict(encoder, without_prefix(tensors, "encoder"), f"{folder} (encoder)")
            return cls(
                generator, encoder, domain, config["name"], config.get("card"), tensors["start_ws"]
            )
        except CheckpointError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{folder}: expected a model's configuration, found: {error}"
            ) from error

    def _precision(self) -> AbstractContextManager:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)

    def _tensors(self) -> dict[str, Tensor]:
        generator = with_prefix(self.generator.state_dict(), "generator")
        encoder = with_prefix(self.encoder.state_dict(), "encoder")
        return {"start_ws": self.start_ws} | generator | encoder


def joined(results: list[InversionResult]) -> InversionResult:
    """Several batches as one.

    Raises:
        ValueError: There are none.
    """
    if not results:
        raise ValueError("expected at least one image, found none")
    most = max(len(result.steps) for result in results)
    padded = [r.steps + (r.steps[-1],) * (most - len(r.steps)) for r in results]
    return InversionResult(
        target=torch.cat([result.target for result in results]),
        steps=tuple(
            Estimate(torch.cat([e.ws for e in step]), torch.cat([e.image for e in step]))
            for step in zip(*padded, strict=True)
        ),
        steps_used=torch.cat([result.steps_used for result in results]),
    )
