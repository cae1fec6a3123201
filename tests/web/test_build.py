import importlib.util
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

WEB = Path(__file__).parents[2] / "web"


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("web_build", WEB / "build.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def graph_of(*weights):
    """A graph that multiplies a row by matrices, one after another."""
    names = [f"weight{at}" for at in range(len(weights))]
    maps = ["x", *(f"map{at}" for at in range(1, len(weights))), "y"]
    nodes = [
        onnx.helper.make_node("MatMul", [maps[at], name], [maps[at + 1]])
        for at, name in enumerate(names)
    ]
    row = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 64]) for name in "xy"
    ]
    tensors = [onnx.numpy_helper.from_array(w, n) for w, n in zip(weights, names, strict=True)]
    graph = onnx.helper.make_graph(nodes, "test", row[:1], row[1:], tensors)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])


def run(model, x):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": x})[0]


def matrix(seed):
    return np.random.default_rng(seed).normal(size=(64, 64)).astype(np.float32) / 8


def test_large_weights_become_half_as_large_and_compute_the_same(build):
    x = np.random.default_rng(1).normal(size=(1, 64)).astype(np.float32)
    model = graph_of(matrix(2), matrix(3))
    wanted, size = run(model, x), model.ByteSize()
    halved = build.halved(model)
    onnx.checker.check_model(halved)
    assert halved.ByteSize() < 0.55 * size
    assert 0 < np.abs(run(halved, x) - wanted).max() < 1e-2


def test_weights_that_float16_cannot_hold_stay(build):
    large = matrix(2) * 1e6
    halved = build.halved(graph_of(large, matrix(3)))
    kept = {w.name: onnx.numpy_helper.to_array(w) for w in halved.graph.initializer}
    assert kept["weight0"].dtype == np.float32
    assert np.array_equal(kept["weight0"], large)
    assert kept["weight1.half"].dtype == np.float16


def test_the_policy_names_no_host_and_sends_nothing(build):
    rules = dict(rule.split(" ", 1) for rule in build.POLICY.split("; "))
    assert rules["default-src"] == rules["form-action"] == "'none'"
    assert rules["connect-src"] == "'self'"
    sources = {source for rule in rules.values() for source in rule.split()}
    assert sources <= {"'self'", "'none'", "'wasm-unsafe-eval'", "blob:"}


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
@pytest.mark.parametrize("path", sorted(WEB.glob("*.js")), ids=lambda path: path.name)
def test_scripts_parse(path, tmp_path):
    text = path.read_text(encoding="utf-8").replace("%FILES%", "{}")
    copy = tmp_path / path.with_suffix(".mjs").name
    copy.write_text(text, encoding="utf-8")
    subprocess.run(["node", "--check", copy], check=True, timeout=60)
