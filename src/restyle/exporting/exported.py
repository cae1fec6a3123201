"""Exports that are run by onnxruntime, with the face of any other model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from torch import Tensor, nn

from restyle.domains import Domain
from restyle.editing.directions import Direction
from restyle.editing.editor import Editor
from restyle.editing.edits import check_codes
from restyle.encoders import EncoderConfig
from restyle.encoders.encoder import compared
from restyle.generators.stylegan2 import Noise, StyleGAN2, StyleGAN2Config
from restyle.io.checkpoints import CheckpointError
from restyle.io.files import sha256
from restyle.io.imports import needed
from restyle.model import ReStyle, Steps
from restyle.runtime.devices import resolve_device, resolve_dtype

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

FACTS = "model.json"
FORMAT, ONNX = 1, "onnx"
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "mps": "CoreMLExecutionProvider",
}
"""Execution providers by the name of the device that they use."""

_CHUNK = 2**24  # values of a map; with more images at once it would be as many times larger


class Session(nn.Module):
    """A graph that is loaded when it is first run."""

    def __init__(self, path: Path, providers: Sequence[str], threads: int | None):
        """Take a graph's file, execution providers, and how many threads; PyTorch's if None."""
        super().__init__()
        self.path, self.providers, self.threads = path, list(providers), threads

    @cached_property
    def _session(self) -> "InferenceSession":
        with needed("onnx", "running an export needs onnxruntime"):
            import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads or torch.get_num_threads()
        options.log_severity_level = 3
        try:
            return onnxruntime.InferenceSession(self.path, options, self.providers)
        except Exception as error:  # onnxruntime has an exception for each of its states
            reason = str(error).splitlines()[0]
            raise CheckpointError(f"{self.path}: expected a graph, got: {reason}") from error

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the graph's first output for inputs in its own order.

        Raises:
            ValueError: Gradients are wanted.
        """
        if torch.is_grad_enabled() and any(x.requires_grad for x in inputs):
            raise ValueError(f"{self.path}: expected no gradients to be asked of an export")
        session = self._session
        names = [one.name for one in session.get_inputs()]
        arrays = [np.ascontiguousarray(x.detach().cpu().float().numpy()) for x in inputs]
        wanted = [session.get_outputs()[0].name]
        (found,) = session.run(wanted, dict(zip(names, arrays, strict=True)))
        return torch.from_numpy(np.asarray(found)).to(inputs[0].device)


class ExportedEncoder(nn.Module):
    """Has an encoder's shape and predicts what it would."""

    def __init__(self, config: EncoderConfig, session: Session, centre: Tensor):
        super().__init__()
        self.config, self.session, self.centre = config, session, centre

    def forward(
        self, x: Tensor, ws: Tensor | None = None, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Predict as `restyle.encoders.Encoder` does."""
        if self.config.siamese:
            return compared(self.session, x, ws, state, self.centre, self.config.pull)
        return self.session(*x.split(3, dim=1)), None


class ExportedSynthesis(nn.Module):
    """Renders codes at the full size, with the noise that was stored."""

    def __init__(self, config: StyleGAN2Config, session: Session):
        super().__init__()
        self.config, self.session = config, session

    def forward(self, ws: Tensor, noise: Noise = "fixed", resolution: int | None = None) -> Tensor:
        """Map (B, num_ws, w_dim) to images (B, 3, H, W), cut to the rows of the picture.

        Raises:
            ValueError: Other noise or another resolution is asked for.
        """
        size = self.config.size
        if noise != "fixed" or resolution not in (None, size):
            raise ValueError(f"expected fixed noise and the size {size} of an export, got others")
        images = max(1, _CHUNK // (self.config.channels[-1] * size * size))
        return torch.cat([self.session(part) for part in ws.split(images)])


class ExportedGenerator(StyleGAN2):
    """Samples and renders as a generator does, without its weights."""

    def __init__(self, config: StyleGAN2Config, mapping: nn.Module, synthesis: nn.Module):
        nn.Module.__init__(self)  # none of the layers
        self.config = config
        self.mapping, self.synthesis = mapping, synthesis  # type: ignore[assignment]
        self.register_buffer("w_avg", torch.zeros(config.w_dim))


class Exported(ReStyle):
    """A model that onnxruntime runs: it inverts by steps, renders, samples and edits.

    Attributes:
        folder: Of the export.
        facts: What its `model.json` says.
    """

    has_gradients = False

    def __init__(self, folder: Path, facts: Mapping[str, Any], sessions: Mapping[str, Session]):
        """Take what `read_export` has read."""
        self.folder, self.facts = folder, facts
        config = StyleGAN2Config(**facts["generator"])
        synthesis = ExportedSynthesis(config, sessions["generator"])
        generator = ExportedGenerator(config, sessions["mapping"], synthesis)
        generator.w_avg.copy_(torch.tensor(facts["w_avg"]))
        encoder = None
        if facts["encoder"] is not None:
            encoder = ExportedEncoder(
                EncoderConfig(**facts["encoder"]),
                sessions["encoder"],
                torch.tensor(facts["start_ws"]),
            )
        super().__init__(
            generator,
            encoder,  # type: ignore[arg-type]
            Domain(**facts["domain"]),
            facts["name"],
            facts["card"],
            torch.tensor(facts["start_ws"]),
        )
        self._inference.dtype = resolve_dtype(facts["dtype"])
        self.editor = Editor(generator, facts["generator_sha256"])
        self.editor.known = [_direction(found) for found in facts["directions"]]

    def generate(
        self, ws: Tensor | None = None, resolution: int | None = None, styles: Tensor | None = None
    ) -> Tensor:
        """Render codes as other models do, without gradients; the graph has cropped them.

        Raises:
            ValueError: Styles are given, which the graph does not take, or no codes of this model.
        """
        if ws is None or styles is not None:
            raise ValueError(f"{self.folder}: expected the codes ws of an export, got styles")
        check_codes(ws, *self.start_ws.shape)
        return self._inference.render(ws, resolution)

    def to(
        self,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        compiled: bool | None = None,
    ) -> "Exported":
        """Return the model as it is: its precision was chosen when it was exported.

        Raises:
            ValueError: Another precision, or compilation.
        """
        wanted = None if dtype in (None, "auto") else resolve_dtype(dtype)
        if compiled or wanted not in (None, torch.float32, self.dtype):
            what = "compilation" if compiled else wanted
            raise ValueError(
                f"{self.folder}: expected an export as it is, in {self.dtype}, got {what}"
            )
        return self

    def checked_preview(self, resolution: int | None, steps: Steps) -> None:
        """Refuse previews: the graph renders one size.

        Raises:
            ValueError: There is one.
        """
        if resolution is not None:
            raise ValueError(f"{self.folder}: expected no preview of an export, got {resolution}")

    def weights_hash(self) -> str:
        """Return the hash of the model that was exported, whose codes these are."""
        return self.facts["model_sha256"]

    def styles(self, ws: Tensor) -> NoReturn:
        """Refuse: the graph keeps its styles to itself."""
        raise ValueError(f"{self.folder}: expected a model with styles, got an export")

    def drag(self, *arguments: Any, **options: Any) -> NoReturn:
        """Refuse: a drag needs gradients."""
        raise ValueError(f"{self.folder}: expected a model with gradients to drag, got an export")

    def save_pretrained(self, *arguments: Any, **options: Any) -> NoReturn:
        """Refuse: there are no weights to save."""
        raise ValueError(f"{self.folder}: expected a model with weights to save, got an export")


def providers_of(device: str | torch.device) -> list[str]:
    """Return the execution provider that uses a device; auto is a GPU that onnxruntime knows.

    Raises:
        ValueError: No provider uses it.
    """
    if device == "auto":
        return [PROVIDERS["cuda"]] if PROVIDERS["cuda"] in _available() else [PROVIDERS["cpu"]]
    kind = resolve_device(device).type
    if kind not in PROVIDERS:
        raise ValueError(f"expected a device of {', '.join(PROVIDERS)}, got '{device}'")
    return [PROVIDERS[kind]]


def _available() -> list[str]:
    with needed("onnx", "running an export needs onnxruntime"):
        import onnxruntime
    return onnxruntime.get_available_providers()


def read_export(
    folder: Path, providers: Sequence[str] = (PROVIDERS["cpu"],), threads: int | None = None
) -> Exported:
    """Load an export; its graphs are read when they are first run.

    Args:
        folder: What `restyle export` wrote.
        providers: Execution providers of onnxruntime by name, the first choice first.
        threads: How many compute; as many as PyTorch's if None.

    Raises:
        CheckpointError: Damaged, changed, or of another version.
        ValueError: A provider is not there.
        ImportError: The extra `restyle[onnx]` is not installed.
    """
    there = _available()
    if missing := [name for name in providers if name not in there]:
        raise ValueError(f"expected execution providers of {', '.join(there)}, got {missing[0]}")
    facts = _read_facts(folder / FACTS)
    try:
        for name, digest in facts["files"].items():
            path = folder / Path(name).name
            if not path.is_file() or sha256(path) != digest:
                found = "another" if path.is_file() else "no such file"
                raise CheckpointError(
                    f"{path}: expected the sha256 that {FACTS} states, got {found}"
                )
        names = ("generator", "mapping", *(["encoder"] if facts["encoder"] else []))
        missing = [name for name in names if f"{name}.onnx" not in facts["files"]]
        if missing:
            raise CheckpointError(
                f"{folder / FACTS}: expected the hash of {missing[0]}.onnx, got none"
            )
        sessions = {name: Session(folder / f"{name}.onnx", providers, threads) for name in names}
        return Exported(folder, facts, sessions)
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        found = f"no {error}" if isinstance(error, KeyError) else error
        raise CheckpointError(
            f"{folder / FACTS}: expected an export's facts, got: {found}"
        ) from error


def _read_facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: expected an export's facts, got: {error}") from error
    version = facts.get("format") if isinstance(facts, dict) else None
    if version != FORMAT:
        raise CheckpointError(f"{path}: expected an export of format {FORMAT}, got {version!r}")
    if facts.get("graphs") != ONNX:
        raise CheckpointError(
            f"{path}: expected graphs of ONNX to run, got {facts.get('graphs')!r}"
        )
    return facts


def _direction(facts: Mapping[str, Any]) -> Direction:
    known = {one.name for one in fields(Direction)}
    given = {name: value for name, value in facts.items() if name in known}
    layers = None if given["layers"] is None else tuple(given["layers"])
    return Direction(**{**given, "vector": torch.tensor(given["vector"]), "layers": layers})
