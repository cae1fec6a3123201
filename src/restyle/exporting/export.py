"""Writing an export: a folder of graphs, and `model.json` with all else that is known."""

import json
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from restyle import __version__
from restyle.editing.directions import Direction
from restyle.exporting.exported import FACTS, FORMAT, ONNX, read_export
from restyle.exporting.graphs import Graph, graphs_of
from restyle.io.files import sha256, write_json
from restyle.io.imports import needed
from restyle.model import ReStyle
from restyle.refine import step

OPSET = 18
TOLERANCES = {torch.float32: 1e-4, torch.float16: 2e-2}
"""Distance that the codes and the picture of a step may have from PyTorch's, by precision."""

PROGRAMS = "pt2"


def export(
    model: ReStyle,
    out: str | os.PathLike[str],
    dtype: torch.dtype = torch.float32,
    kind: str = ONNX,
) -> dict[str, Any]:
    """Write a model as graphs that run without this package: all of it, or nothing.

    The folder holds `generator`, `mapping`, `encoder` where there is one, and `model.json`. Each
    graph takes any number of images at once, and float32 inputs. Graphs of ONNX are run before
    they are kept: a sample, and one step from it to its mirror image, are compared with PyTorch's.

    Args:
        model: On the CPU, in float32.
        out: A folder that is not there yet, or is empty.
        dtype: float32 or float16, the precision of weights and maps. The mapping network stays
            float32.
        kind: "onnx", or "pt2" for programs of `torch.export`.

    Returns:
        What `model.json` says.

    Raises:
        ValueError: The folder holds files, the model or the precision is another one, or a graph's
            results lie too far from PyTorch's.
        ImportError: The extra `restyle[onnx]` is not installed.
        OSError: The folder cannot be written.
    """
    out = Path(out)
    if dtype not in TOLERANCES:
        raise ValueError(f"dtype: expected float32 or float16, got {dtype}")
    if not model.has_gradients:
        raise ValueError(f"expected a model with weights to export, got the export '{model.name}'")
    if model.device.type != "cpu" or model.dtype != torch.float32:
        raise ValueError(
            f"expected a model on the CPU in float32, got one on {model.device} in {model.dtype}"
        )
    check_empty(out)
    if kind == ONNX:
        with needed("onnx", "writing ONNX needs onnx, onnxscript and onnxruntime"):
            import onnx  # noqa: F401
            import onnxruntime  # noqa: F401
            import onnxscript  # noqa: F401
    with _whole(out) as folder:
        for name, graph in graphs_of(model, dtype).items():
            _write(graph, folder / f"{name}.{kind}", kind)
        facts = _facts(model, folder, dtype, kind)
        write_json(folder / FACTS, facts)
        if kind == ONNX:
            facts["differences"] = _checked(model, folder, dtype)
            write_json(folder / FACTS, facts)
    return facts


def check_empty(out: Path) -> None:
    """Raise ValueError where a folder is neither empty nor missing."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        found = "a folder that holds files" if out.is_dir() else "a file"
        raise ValueError(f"{out}: expected a folder that is empty or not there, got {found}")


@contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """Yield a new folder that becomes `out` at the end of the block, and vanishes on errors."""
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name[:40]}.", dir=out.absolute().parent))
    try:
        yield folder
        folder.chmod(0o777 & ~_umask())  # mkdtemp lets nobody else in
        folder.replace(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _write(graph: Graph, path: Path, kind: str) -> None:
    names = list(signature(graph.forward).parameters)
    batch = torch.export.Dim("batch")
    shapes = tuple({0: batch} for _ in names)
    with _quiet(), torch.no_grad():
        program = torch.export.export(graph, graph.example, dynamic_shapes=shapes, strict=False)
        if kind == PROGRAMS:
            torch.export.save(program, path)
            return
        from onnxscript import optimizer

        made = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=names,
            output_names=list(graph.outputs),
            optimize=False,
            verbose=False,
        )
        assert made is not None
        # Whatever does not depend on inputs (scaled weights, their energies) becomes a weight.
        optimizer.optimize(made.model, input_size_limit=2**40, output_size_limit=2**40)
        made.save(path)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the exporter says about other packages and its own future."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _facts(model: ReStyle, folder: Path, dtype: torch.dtype, kind: str) -> dict[str, Any]:
    config = model.checkpoint_config()
    directions = [model.editor.direction(name) for name in model.editor.names]
    facts = {
        "format": FORMAT,
        "graphs": kind,
        "name": model.name,
        "licence": str(model.card.get("licence", "unknown")),
        "dtype": str(dtype).removeprefix("torch."),
        "opset": OPSET if kind == ONNX else None,
        "restyle": __version__,
        "torch": torch.__version__,
        "domain": config["domain"],
        "generator": config["generator"],
        "encoder": config.get("encoder"),
        "model_sha256": model.weights_hash(),
        "generator_sha256": model.editor.generator_sha256,
        "files": {path.name: sha256(path) for path in sorted(folder.iterdir())},
        "w_avg": _numbers(model.generator.w_avg),
        "start_ws": _numbers(model.start_ws),
        "directions": [_direction(direction) for direction in directions],
        "card": model.card,
    }
    return json.loads(json.dumps(facts, default=str))


def _direction(direction: Direction) -> Mapping[str, Any]:
    about = {name: value for name, value in vars(direction).items() if name != "vector"}
    return {**about, "vector": _numbers(direction.vector)}


def _numbers(tensor: Tensor) -> list[Any]:
    """Return nested lists whose shortest decimals are the very float32."""
    if tensor.ndim > 1:
        return [_numbers(row) for row in tensor]
    return [float(f"{value:.9g}") for value in tensor.tolist()]


@torch.no_grad()
def _checked(model: ReStyle, folder: Path, dtype: torch.dtype) -> dict[str, float]:
    """Return how far the graphs in a folder lie from a model, at most.

    Raises:
        ValueError: Too far.
    """
    exported = read_export(folder)
    drawn, same = model.sample(1, truncation=0.7), exported.sample(1, truncation=0.7)
    found = {"sampled codes": (drawn.ws, same.ws), "picture": (drawn.image, same.image)}
    if model.has_encoder:
        target = model.prepare(drawn.image.clamp(-1, 1).flip(-1))
        ours, theirs = (step(one.encode, one.generate, target, drawn) for one in (model, exported))
        found |= {"codes": (ours.ws, theirs.ws), "picture of a step": (ours.image, theirs.image)}
    differences = {name: (a - b).abs().max().item() for name, (a, b) in found.items()}
    worst = max(
        differences, key=lambda name: (differences[name] != differences[name], differences[name])
    )
    if not differences[worst] <= TOLERANCES[dtype]:
        raise ValueError(
            f"{model.name}: expected graphs in {dtype} within {TOLERANCES[dtype]:g} of PyTorch, "
            f"got a {worst} {differences[worst]:.2g} away"
        )
    return {name: float(f"{value:.2g}") for name, value in differences.items()}
