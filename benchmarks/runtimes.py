"""A step on other runtimes: our own networks, onnxruntime and OpenVINO, in turns on one machine.

`speed.py` prints these tables. Every figure is the least of several rounds in which the runtimes
take turns, so that whatever else the machine does slows all of them down.
"""

import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from restyle.exporting.export import export
from restyle.exporting.exported import (
    ONNX,
    PROVIDERS,
    Exported,
    ExportedEncoder,
    Session,
    read_export,
)
from restyle.model import ReStyle
from restyle.refine import pool_to, refine, step
from restyle.runtime.timing import peak_memory, reset_peak_memory

Clock = Callable[[], float]  # seconds
CALIBRATED = 32  # samples whose maps' ranges int8 takes


class Runtime(Protocol):
    """What a step needs."""

    def encode(self, pair: Tensor, *before: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Map target and current image (B, 6, h, w) to residuals and, if it keeps one, a state."""
        ...

    def generate(self, ws: Tensor) -> Tensor:
        """Render codes."""
        ...


class OpenVINO:
    """Runs the graphs of an export on OpenVINO's processor plug-in."""

    def __init__(self, model: ReStyle, folder: Path, threads: int, precision: str = "f32"):
        """Compile the graphs of a model that lie in a folder."""
        import openvino

        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
        }
        self._run = {
            name: openvino.compile_model(str(folder / f"{name}.{ONNX}"), "CPU", settings)
            for name in ("encoder", "generator")
        }
        see: Any = partial(self._first, "encoder")
        self.encode = ExportedEncoder(model.encoder.config, see, model.start_ws)

    def generate(self, ws: Tensor) -> Tensor:
        """Render codes."""
        return self._first("generator", ws)

    def _first(self, name: str, *inputs: Tensor) -> Tensor:
        return torch.from_numpy(self._run[name]([x.contiguous().numpy() for x in inputs])[0])


class Watched:
    """Calls a function and keeps the least time that a call took, in seconds."""

    def __init__(self, clock: Clock, function: Callable[..., Any]):
        self.clock, self.function, self.least = clock, function, float("inf")

    def __call__(self, *inputs: Any) -> Any:
        """Return what the function gives."""
        start = self.clock()
        result = self.function(*inputs)
        self.least = min(self.least, self.clock() - start)
        return result


@torch.no_grad()
def in_turns(
    runtimes: Mapping[str, Runtime], model: ReStyle, clock: Clock, rounds: int
) -> dict[str, tuple[float, ...]]:
    """Return the least seconds of encoder, generator and whole step by runtime, batch 1.

    Raises:
        ValueError: A picture lies more than 1e-3 from the model's own.
    """
    height, width = model.domain.input_size
    target, start = torch.rand(1, 3, height, width) * 2 - 1, model.start(1)
    parts = {
        name: (Watched(clock, one.encode), Watched(clock, one.generate))
        for name, one in runtimes.items()
    }
    whole = {
        name: Watched(clock, lambda encode, generate: step(encode, generate, target, start).image)
        for name in runtimes
    }
    wanted = step(model.encode, model.generate, target, start).image
    for _ in range(rounds + 1):
        for name, call in whole.items():
            found = call(*parts[name])
            if not (found - wanted).abs().max() <= 1e-3:
                raise ValueError(f"{name}: expected the model's own picture, got another")
    return {name: (*(part.least for part in parts[name]), whole[name].least) for name in runtimes}


def available() -> Iterator[str]:
    """Yield the names of the other runtimes; say of the others that they are left out."""
    for name, module in (("onnxruntime", "onnxruntime"), ("OpenVINO", "openvino")):
        if find_spec(module):
            yield name
        else:
            print(f"{name} is not installed: its column is left out.")


def compare(models: Iterable[tuple[str, ReStyle]], clock: Clock, rounds: int) -> None:
    """Print how long a step of each model takes on each runtime, and what exporting it took."""
    names = [*available()]
    print(f"\n| | | restyle, ms | {' | '.join(f'{name}, ms' for name in names)} |")
    print("|---|---|" + "--:|" * (1 + len(names)))
    exports = []
    for title, model in models:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "export"
            exports.append(f"{title} {exporting(model, folder, clock)}")
            found = in_turns(runtimes_of(model, folder, names), model, clock, rounds)
        for i, part in enumerate(("encoder", "generator", "**step**")):
            cells = [f"{1000 * seconds[i]:.1f}" for seconds in found.values()]
            print(f"| {title if not i else ''} | {part} | {' | '.join(cells)} |", flush=True)
    print(f"\nExporting in float32, with its check: {'; '.join(exports)}.\n")


def runtimes_of(model: ReStyle, folder: Path, names: Iterable[str]) -> dict[str, Runtime]:
    """Return a model, and its export in a folder on the runtimes named, on as many threads."""
    threads = torch.get_num_threads()
    made: dict[str, Callable[[], Runtime]] = {
        "onnxruntime": lambda: read_export(folder, threads=threads),
        "OpenVINO": lambda: OpenVINO(model, folder, threads),
    }
    return {"restyle": model, **{name: made[name]() for name in names}}


def exporting(model: ReStyle, folder: Path, clock: Clock) -> str:
    """Export a model, and return how long it took and the most memory that was in use."""
    reset_peak_memory(model.device)
    start = clock()
    export(model, folder)
    return f"{clock() - start:.0f} s, {peak_memory(model.device) / 1e9:.1f} GB"


def quantised(model: ReStyle, clock: Clock, rounds: int) -> None:
    """Print what onnxruntime's int8 encoders of a model cost: time, and distance from float32."""
    samples = model.sample(2 * CALIBRATED, truncation=0.7).image.clamp(-1, 1)
    targets = model.prepare([*samples])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "export"
        export(model, folder)
        exported = read_export(folder, threads=torch.get_num_threads())
        made: dict[str, nn.Module] = {"float32": exported.encoder}
        for name, path in int8(exported, folder, targets[:CALIBRATED]).items():
            session = Session(path, [PROVIDERS["cpu"]], torch.get_num_threads())
            made[name] = ExportedEncoder(model.encoder.config, session, model.start_ws)
        report_quantised(exported, made, targets[CALIBRATED:], clock, rounds)


@torch.no_grad()
def report_quantised(
    exported: Exported,
    encoders: Mapping[str, nn.Module],
    targets: Tensor,
    clock: Clock,
    rounds: int,
) -> None:
    """Print the table: each encoder's first step to pictures that it was not calibrated by."""
    calls = {name: Watched(clock, one) for name, one in encoders.items()}
    pair = torch.cat([targets[:1], targets[1:2]], dim=1)
    for _ in range(rounds + 1):
        for call in calls.values():
            call(pair)
    start = exported.start(len(targets))
    found = {name: step(one, exported.generate, targets, start) for name, one in encoders.items()}
    exact = found["float32"]
    print("| encoder | ms | codes differ by, at most | root mean square | pictures, at most |")
    print("|---|--:|--:|--:|--:|")
    for name, got in found.items():
        codes, pictures = got.ws - exact.ws, got.image - exact.image
        print(
            f"| {name} | {1000 * calls[name].least:.1f} | {codes.abs().max():.1e} | "
            f"{codes.square().mean().sqrt():.1e} | {pictures.abs().max():.1e} |"
        )


def int8(exported: Exported, folder: Path, targets: Tensor) -> dict[str, Path]:
    """Write the encoder of an export in a folder in eight bits, and return the files.

    Static: the maps' ranges are those of two steps to each of some targets. Dynamic: they are
    found anew for each picture.
    """
    from onnxruntime import quantization

    def inputs() -> Iterator[dict[str, Any]]:
        for target in targets.split(1):
            start = exported.start(1)
            for estimate in (start, *refine(exported.encode, exported.generate, target, start, 1)):
                current = pool_to(estimate.image, target)
                if exported.encoder.config.siamese:
                    yield from ({"picture": one.numpy()} for one in (target, current))
                else:
                    yield {"target": target.numpy(), "current": current.numpy()}

    class Reader(quantization.CalibrationDataReader):
        def __init__(self, rows: Iterable[dict[str, Any]]):
            self.rows = iter(rows)

        def get_next(self) -> dict[str, Any] | None:  # pyright: ignore - the end is None
            return next(self.rows, None)

    graph = folder / f"encoder.{ONNX}"
    files = {kind: graph.with_name(f"{kind}.{ONNX}") for kind in ("static", "dynamic")}
    logging.disable(logging.WARNING)  # advice on graphs that were optimised already
    with torch.no_grad():
        quantization.quantize_static(
            graph,
            files["static"],
            Reader(inputs()),
            activation_type=quantization.QuantType.QUInt8,
            per_channel=True,
            reduce_range=True,  # processors without VNNI add pairs of products up in sixteen bits
        )
    quantization.quantize_dynamic(graph, files["dynamic"], reduce_range=True)
    logging.disable(logging.NOTSET)
    return {f"int8, {kind}": path for kind, path in files.items()}
