"""ReStyle: a generator, the encoder that inverts it, and the domain that they were made for."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor

from restyle.domains import Domain
from restyle.editing.drag import Dragged, Dragger, Points
from restyle.editing.editor import Editor, Edits
from restyle.editing.edits import Layers, check_codes
from restyle.editing.styles import check_styles
from restyle.editing.text_editor import TextEdit, TextEditor
from restyle.encoders import Encoder
from restyle.generators.stylegan2 import StyleGAN2
from restyle.generators.styles import StyleLayer, style_layers
from restyle.inversion.methods import invert_by_method, person_network, stopping
from restyle.inversion.results import InversionResult, joined
from restyle.inversion.stepping import Steps, check_preview, checked_steps, take_steps
from restyle.inversion.targets import Picture, as_pictures, to_target
from restyle.io.checkpoints import CheckpointError, weights_hash
from restyle.io.pretrained import Pretrained
from restyle.refine import Estimate, average_estimate
from restyle.runtime.devices import resolve_device, resolve_dtype
from restyle.runtime.engine import Inference
from restyle.runtime.options import Fit


class ReStyle(Pretrained):
    """Inverts images into a generator's W+ space, a residual at a time.

    Source: Alaluf, Patashnik, Cohen-Or, "ReStyle: A Residual-Based StyleGAN Encoder via Iterative
    Refinement", ICCV 2021. An encoder with three input channels sees the target alone and takes one
    step, as the single-shot encoders before ReStyle do. Without an encoder the model renders,
    samples and edits, and says so where it is to invert.

    Attributes:
        generator: Frozen, in evaluation mode.
        domain: What the images show, and how they are cropped and sized.
        name: What the model is called.
        card: Facts about the weights (training data, images seen, licence), saved with them.
        start_ws: The codes (num_ws, D) that inversions start from. `has_gradients`: not an export.
    """

    kind = "restyle"
    has_gradients = True

    def __init__(
        self,
        generator: StyleGAN2,
        encoder: Encoder | None,
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
        if encoder is not None:
            predicted = (encoder.config.num_ws, encoder.config.w_dim)
            if predicted != codes:
                raise ValueError(f"expected an encoder of {codes} codes, got one of {predicted}")
            if encoder.config.input_size != domain.input_size:
                raise ValueError(
                    f"expected an encoder for the domain's (height, width) {domain.input_size}, "
                    f"got one for {encoder.config.input_size}"
                )
            encoder.eval().requires_grad_(False)
        self.generator = generator.eval().requires_grad_(False)
        self._encoder = encoder
        self.domain = domain
        self.name = name
        self.card = dict(card or {})
        self._inference = Inference(self.generator, encoder)
        average = generator.broadcast(generator.w_avg[None])[0]
        start_ws = average if start_ws is None else start_ws
        if tuple(start_ws.shape) != codes:
            raise ValueError(f"expected start_ws of shape {codes}, got {tuple(start_ws.shape)}")
        self.start_ws = start_ws.detach().clone()
        self._average: Estimate | None = None

    @classmethod
    def of_generator(
        cls, generator: StyleGAN2, name: str, card: Mapping[str, Any] | None = None
    ) -> Self:
        """Make a model of a generator alone, which renders, samples and edits."""
        size = generator.config.size
        return cls(generator, None, Domain(name, (size, size)), name, card)

    @property
    def encoder(self) -> Encoder:
        """The encoder, frozen, in evaluation mode.

        Raises:
            ValueError: The model is a generator alone.
        """
        if self._encoder is None:
            raise ValueError(f"expected a model with an encoder, got the generator '{self.name}'")
        return self._encoder

    @property
    def has_encoder(self) -> bool:
        """True where the model can invert by itself."""
        return self._encoder is not None

    @property
    def device(self) -> torch.device:
        """The device of the networks."""
        return self.generator.w_avg.device

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the convolutions; latent codes and images are float32 throughout."""
        return self._inference.dtype

    @property
    def single_shot(self) -> bool:
        """True where the encoder sees the target alone, so that there is nothing to refine."""
        return self.encoder.config.input_channels == 3

    @property
    def average(self) -> Estimate:
        """The start of every inversion, a batch of one: the average latent code and its render."""
        if self._average is None:
            with torch.no_grad():
                self._average = average_estimate(self.start_ws, self.generate, 1)
        return self._average

    def to(
        self,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        compiled: bool | None = None,
    ) -> "ReStyle":
        """Move the model, or change how it computes.

        Args:
            device: `"auto"`, `"cpu"`, `"cuda"`, `"mps"` or a torch device; unchanged if None.
            dtype: float32, bfloat16 or float16, as a name or a torch dtype; unchanged if None. The
                weights that are saved stay float32.
            compiled: Use `torch.compile`, minutes once for each batch size; unchanged if None.

        Returns:
            The model itself.

        Raises:
            ValueError: The device is not there, or the dtype is none of these.
        """
        if device is not None:
            device = resolve_device(device)
            self.generator.to(device)
            if self._encoder is not None:
                self._encoder.to(device)
            self.start_ws = self.start_ws.to(device)
        if dtype is not None:
            self._inference.dtype = resolve_dtype(dtype)
        if compiled is not None:
            self._inference.compiled = compiled
        self._average = None
        return self

    def invert(
        self,
        images: Picture | Iterable[Picture],
        steps: Steps = None,
        batch_size: int = 8,
        preview: int | None = None,
        method: str | None = None,
        features: str | tuple[Any, Any] | None = None,
    ) -> InversionResult:
        """Find latent codes whose renders look like the images.

        Args:
            images: A path, a PIL image, an array (H, W, 3) uint8, several of them, or a tensor
                (3, H, W) or (B, 3, H, W), RGB in [-1, 1]. Each is resized to the encoder's input
                size, whatever its aspect.
            steps: How often the estimate is refined; 5 if None, and 1 for a single-shot encoder;
                "auto" until an image's steps change little (`restyle.inversion.adaptive`), at most
                10 times.
            batch_size: How many images go through the networks at once.
            preview: Render all steps but the last only up to this height and width, a power of two
                from the encoder's input size on; faster, and slightly different. Not with "auto".
            method: Another way to invert (`restyle.inversion.methods`), such as
                "restyle:2+newton:3"; with `steps="auto"` what has no number stops by itself.
            features: What it minimises, as `restyle.inversion.methods.objective_for` takes it.

        Returns:
            The result for the whole batch, in the order of the images. It carries no gradients, and
            may be used in a differentiable loss.

        Raises:
            ValueError: `steps` or `batch_size` below 1, more than one single-shot step,
                no images, another preview resolution, a tensor of another shape or range, an
                unknown method, or one together with a number of steps or a preview.
            ImageError: A file is not a readable image.
        """
        pictures = as_pictures(images)
        if method is None and features is not None:
            raise ValueError("expected features together with a method, got them alone")
        if method is None:
            return joined(list(self.batches(pictures, steps, batch_size, preview)))
        if steps not in (None, "auto") or preview is not None:
            raise ValueError("expected a method alone, whose numbers are its steps, got both")
        method = stopping(method) if steps == "auto" else method
        return joined(list(invert_by_method(self, method, pictures, batch_size, features)))

    def invert_iter(
        self,
        images: Iterable[Picture],
        steps: Steps = None,
        batch_size: int = 8,
        preview: int | None = None,
    ) -> Iterator[InversionResult]:
        """Invert any number of images as `invert` does, and yield each one's result, in order.

        Images are read as they are needed, a batch at a time, and what is wrong is raised when the
        first result is asked for.
        """
        for result in self.batches(images, steps, batch_size, preview):
            yield from result.split()

    def batches(
        self,
        images: Iterable[Picture],
        steps: Steps = None,
        batch_size: int = 8,
        preview: int | None = None,
    ) -> Iterator[InversionResult]:
        """Yield what `invert_iter` does, in whole batches."""
        steps = self.checked_steps(steps)
        self.checked_preview(preview, steps)
        rough = partial(self.generate, resolution=preview) if preview else self.generate
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"expected batch_size of at least 1, got {batch_size!r}")
        images = iter(images)
        while batch := list(islice(images, batch_size)):
            target = self.prepare(batch)
            start = self.start(len(target))
            yield take_steps(self.encode, self.generate, rough, target, start, steps)

    def checked_steps(self, steps: Steps = None) -> int | Literal["auto"]:
        """Return the number of steps to take, as `restyle.inversion.stepping` does."""
        return checked_steps(steps, self.single_shot)

    def checked_preview(self, resolution: int | None, steps: Steps) -> None:
        """Refuse a resolution that the steps before the last one cannot be rendered at."""
        check_preview(resolution, steps, self.domain, self.generator.config)

    def prepare(self, images: Iterable[Picture], fit: Fit = "stretch") -> Tensor:
        """Stretch, crop or pad pictures to the encoder's size: (B, 3, h, w), RGB in [-1, 1].

        Raises:
            ValueError: No images, no image in a file, another shape or range, or an unknown `fit`.
        """
        targets = [to_target(image, self.domain.input_size, fit) for image in images]
        if not targets:
            raise ValueError("expected at least one image, got none")
        return torch.stack(targets).to(self.device)

    def start(self, batch: int) -> Estimate:
        """Return where the inversion of a batch starts: the average, without copies."""
        ws, image = self.average.ws, self.average.image
        return Estimate(ws.expand(batch, -1, -1), image.expand(batch, -1, -1, -1))

    def encode(self, pair: Tensor, *before: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Predict residuals and a state from a pair (B, 6, h, w), as `Encoder.forward` does."""
        return self._inference.encode(pair[:, : self.encoder.config.input_channels], *before)

    def generate(
        self, ws: Tensor | None = None, resolution: int | None = None, styles: Tensor | None = None
    ) -> Tensor:
        """Render codes (B, num_ws, D) in W+ or styles (B, S), differentiably where they need it.

        Height and width before the crop are `resolution`, a power of two; the full size if None.

        Returns:
            Images (B, 3, H, W), RGB, about [-1, 1], cropped to the domain's rows. Noise is fixed.

        Raises:
            ValueError: No codes or styles of this generator, both, or another resolution.
        """
        if ws is not None and styles is None:
            check_codes(ws, *self.start_ws.shape)
            image = self._inference.render(ws, resolution)
        elif styles is not None and ws is None:
            check_styles(styles, self.style_layers[-1].stop)
            image = self._inference.render_styles(styles, resolution)
        else:
            raise ValueError(f"expected ws or styles, got {'neither' if ws is None else 'both'}")
        return self.domain.crop_render(image)

    def styles(self, ws: Tensor) -> Tensor:
        """Return the styles (B, S) of codes (B, num_ws, D), which `style_layers` tells apart."""
        check_codes(ws, *self.start_ws.shape)
        return self._inference.styles(ws)

    @property
    def style_layers(self) -> tuple[StyleLayer, ...]:
        """Where the styles of each layer lie in a vector (S,), those of colours marked."""
        return style_layers(self.generator.synthesis)

    def sample(self, n: int = 1, seed: int = 0, truncation: float = 1.0) -> Estimate:
        """Sample codes (n, num_ws, D), as `sample_ws` does, and their renders (n, 3, H, W)."""
        ws = self.generator.sample_ws(n, seed, truncation)
        with torch.no_grad():
            return Estimate(ws, self.generate(ws))

    @cached_property
    def editor(self) -> Editor:
        """Knows the directions that the generator's codes can be moved along."""
        return Editor(self.generator, weights_hash(self.generator.state_dict()))

    @cached_property
    def text_editor(self) -> TextEditor:
        """Edits by text, with the text-image network of portraits if it is given no other one."""
        return TextEditor(self.editor, self.generate, self.folder)

    def edit(
        self,
        ws: Tensor,
        directions: Edits | None = None,
        strength: float | Tensor = 1.0,
        layers: Layers = None,
        text: str | None = None,
        **how: Any,
    ) -> Estimate:
        """Change something about pictures, and render them.

        The arguments are those of `Editor.edit`: `edit(ws, "smile", 2.0)` along one direction,
        `edit(ws, {"smile": 2.0, "yaw": -1.0})` along several; or, with `text="glasses"`, further
        ones of `TextEdit`.

        Returns:
            The new codes, or styles (`Styled`), and their renders, differentiable in `ws`.

        Raises:
            ValueError: An unknown direction, or one, a strength, layers or a text that do not fit.
        """
        ws = ws.to(self.device)
        if text is not None and directions is None:
            edited = self.text_editor.edit(ws, TextEdit(text, **how), strength, layers)
        elif directions is not None and text is None and not how:
            edited = self.editor.edit(ws, directions, strength, layers)
        else:
            raise ValueError("expected directions or a text, got both or neither")
        return edited.rendered(self.generate)

    def drag(
        self, ws: Tensor, handles: Points, targets: Points, mask: Tensor | None = None, **how: Any
    ) -> Iterator[Dragged]:
        """Pull points of a picture to where they shall be, step by step, as `Dragger` does.

        Points are x and y in pixels: `drag(ws, [(20, 40)], [(18, 38)], steps=60)`.
        """
        dragger = Dragger(self._inference, self.domain, self.generate, person_network(self))
        return dragger(ws.to(self.device), handles, targets, mask, **how)

    def weights_hash(self) -> str:
        """Hash the weights of both networks (SHA-256, hex)."""
        return weights_hash(self.checkpoint_tensors())

    def checkpoint_config(self) -> dict[str, Any]:
        """Return what `from_checkpoint` needs beside the weights; JSON-able."""
        config = {"name": self.name, "domain": asdict(self.domain), "card": self.card}
        encoder = {} if self._encoder is None else self._encoder.checkpoint_config()
        return config | self.generator.checkpoint_config() | encoder

    def checkpoint_tensors(self) -> dict[str, Tensor]:
        """Return the start and the weights of both networks, under their names."""
        tensors = {"start_ws": self.start_ws} | self.generator.checkpoint_tensors()
        return tensors | ({} if self._encoder is None else self._encoder.checkpoint_tensors())

    @classmethod
    def from_checkpoint(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], source: object
    ) -> Self:
        """Build a model from what `save_pretrained` wrote, or from a generator's checkpoint."""
        if config["kind"] not in (cls.kind, StyleGAN2.kind):
            raise CheckpointError(
                f"{source}: expected a checkpoint of kind '{cls.kind}', got '{config['kind']}'"
            )
        generator = StyleGAN2.from_checkpoint(config, tensors, source)
        if config["kind"] == StyleGAN2.kind:
            name = str(config.get("name") or Path(str(source)).name)
            return cls.of_generator(generator, name, config.get("card"))
        encoder = Encoder.from_checkpoint(config, tensors, source) if "encoder" in config else None
        facts = config["name"], config.get("card"), tensors["start_ws"]
        return cls(generator, encoder, Domain(**config["domain"]), *facts)
