"""Build the page that inverts in the browser: `python web/build.py EXPORT OUT`.

EXPORT is what `restyle export portraits` wrote, in float32; OUT is replaced. Large weights are kept
in float16 and cast when a session is made: half as much to download, and browsers, which have no
kernels for float16 on the processor, compute as fast as in float32.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from restyle.exporting.exported import FACTS, read_export
from restyle.io.files import sha256, write_json

HERE = Path(__file__).parent
RUNTIME = HERE / "node_modules/onnxruntime-web/dist"
EXAMPLES = HERE.parent / "examples/portraits"
GRAPHS = ("encoder.onnx", "generator.onnx")
SOURCES = ("*.html", "*.css", "*.js", "*.svg", "LICENSES.txt")
RUNTIME_FILES = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
LARGE = 1024  # numbers from which on a weight is kept in float16
TOLERANCE = 1e-2

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "worker-src 'self'",
        "connect-src 'self'",
        "img-src 'self' blob:",
        "style-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
"""The Content-Security-Policy of page and workers: nothing goes to or comes from elsewhere."""


def halved(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Keep large weights in float16; they become float32 when a session is made."""
    casts = []
    for weight in graph.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < LARGE:
            continue
        name = weight.name
        if np.abs(values).max() > np.finfo(np.float16).max:
            continue
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [weight.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    return graph


def write_model(export: Path, out: Path) -> None:
    """Write the export with halved weights, and how far its codes and pictures lie from it.

    Raises:
        SystemExit: Too far.
    """
    from restyle.app.edit import grouped

    shutil.copytree(export, out)
    facts = json.loads((out / FACTS).read_text())
    for name in GRAPHS:
        onnx.save(halved(onnx.load(out / name)), out / name)
        facts["files"][name] = sha256(out / name)
    facts["weights"] = "float16"
    facts["groups"] = grouped([direction["name"] for direction in facts["directions"]])
    write_json(out / FACTS, facts)
    picture = sorted(EXAMPLES.glob("*.png"))[0]
    ours, theirs = (read_export(one).invert(picture) for one in (out, export))
    pairs = {"codes": (ours.ws, theirs.ws), "picture": (ours.image, theirs.image)}
    with torch.no_grad():
        found = {name: float((a - b).abs().max()) for name, (a, b) in pairs.items()}
    if max(found.values()) > TOLERANCE:
        sys.exit(f"{out}: expected halved weights within {TOLERANCE:g}, got {found}")
    facts["differences"] = {name: float(f"{value:.2g}") for name, value in found.items()}
    write_json(out / FACTS, facts)


def build(export: Path, out: Path) -> None:
    """Write all files of the page."""
    shutil.rmtree(out, ignore_errors=True)
    write_model(export, out / "model")
    for folder, names in (("ort", RUNTIME_FILES), ("examples", ())):
        (out / folder).mkdir()
        for name in names:
            shutil.copy(RUNTIME / name, out / folder)
    shutil.copy(HERE.parent / "docs/favicon.png", out)
    for picture in sorted(EXAMPLES.glob("*.png"))[:8]:
        shutil.copy(picture, out / "examples")
    for pattern in SOURCES:
        for source in HERE.glob(pattern):
            shutil.copy(source, out)
    _fill(out)


def _fill(out: Path) -> None:
    """Tell the page its files with their sizes, the workers its policy, both its version."""
    files = sorted(path for path in out.rglob("*") if path.is_file())
    sizes = {path.relative_to(out).as_posix(): path.stat().st_size for path in files}
    version = hashlib.sha256("".join(sha256(path) for path in files).encode()).hexdigest()[:16]
    values = {"%POLICY%": POLICY, "%VERSION%": version, "%FILES%": json.dumps(sizes, indent=2)}
    for path in (out / "index.html", out / "service-worker.js", out / "files.js"):
        text = path.read_text(encoding="utf-8")
        for key, value in values.items():
            text = text.replace(key, value)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    build(*map(Path, sys.argv[1:]))
