"""An export has the face of its model; what is wrong with one is said in a sentence."""

import json

import pytest
import torch

import restyle
from restyle.exporting import export as exporting
from restyle.exporting.export import export
from restyle.exporting.exported import FACTS, providers_of, read_export
from restyle.io.checkpoints import CheckpointError
from tests.tiny import SIZE, picture, tiny_model


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Return the folder of a tiny model's export."""
    folder = tmp_path_factory.mktemp("export") / "tiny"
    export(tiny_model(), folder)
    return folder


@pytest.fixture
def hollow(tmp_path, monkeypatch):
    """Return an export whose graphs are none."""
    monkeypatch.setattr(exporting, "_write", lambda graph, path, kind: path.write_text("graph"))
    monkeypatch.setattr(exporting, "_checked", lambda *_: {})
    export(tiny_model(), tmp_path / "tiny")
    return tmp_path / "tiny"


def change(folder, **facts):
    known = json.loads((folder / FACTS).read_text())
    (folder / FACTS).write_text(json.dumps({**known, **facts}))


def test_facts_make_the_model(hollow):
    model, exported = tiny_model(), restyle.load(hollow, device="cpu")
    assert exported.weights_hash() == model.weights_hash()
    assert exported.editor.generator_sha256 == model.editor.generator_sha256
    assert exported.domain == model.domain and exported.start_ws.equal(model.start_ws)
    assert not exported.single_shot and exported.dtype == torch.float32


def test_a_changed_graph_is_refused(hollow):
    (hollow / "generator.onnx").write_text("another")
    with pytest.raises(CheckpointError, match=r"generator.onnx: expected the sha256 .* another"):
        restyle.load(hollow)


def test_a_missing_graph_is_refused(hollow):
    (hollow / "encoder.onnx").unlink()
    with pytest.raises(CheckpointError, match=r"encoder.onnx: expected .*, got no such file"):
        restyle.load(hollow)


@pytest.mark.parametrize(
    "facts, message",
    [
        ({"format": 2}, "expected an export of format 1, got 2"),
        ({"graphs": "pt2"}, "expected graphs of ONNX"),
        ({"files": {}}, "expected the hash of generator.onnx"),
        ({"files": None}, "expected an export's facts"),
        ({"generator": {"size": 17}}, "expected an export's facts, got: size"),
        ({"start_ws": [[1.0]]}, "expected start_ws of shape"),
        ({"w_avg": "text"}, "expected an export's facts"),
        ({"directions": [{"name": "x"}]}, "expected an export's facts"),
        ({"dtype": "float8"}, "expected a dtype"),
    ],
)
def test_other_facts_are_refused(hollow, facts, message):
    change(hollow, **facts)
    with pytest.raises(CheckpointError, match=message) as caught:
        restyle.load(hollow)
    assert str(hollow / FACTS) in str(caught.value)


@pytest.mark.parametrize("text", ["", "[", "[]", "null"])
def test_damaged_facts_are_refused(hollow, text):
    (hollow / FACTS).write_text(text)
    with pytest.raises(CheckpointError, match=r"model.json: expected an export"):
        restyle.load(hollow)


def test_what_is_no_graph_is_refused_when_it_is_run(hollow):
    with pytest.raises(CheckpointError, match=r"mapping.onnx: expected a graph, got"):
        restyle.load(hollow, device="cpu").sample()


def test_a_provider_that_is_not_there_is_refused(hollow):
    with pytest.raises(ValueError, match=r"expected execution providers of .*CPU.*, got NoSuch"):
        read_export(hollow, ["NoSuch"])
    assert providers_of("cpu") == ["CPUExecutionProvider"]


@pytest.mark.parametrize(
    "wrong, message",
    [
        (lambda model: model.to(dtype="bfloat16"), "expected an export as it is"),
        (lambda model: model.to(compiled=True), "got compilation"),
        (lambda model: model.invert(torch.zeros(3, 8, 8), preview=16), "expected no preview"),
        (lambda model: model.invert(torch.zeros(3, 8, 8), method="ws:5"), "of the encoder alone"),
        (lambda model: model.drag(model.start_ws[None], [], []), "with gradients to drag"),
        (lambda model: model.save_pretrained("x"), "with weights to save"),
        (lambda model: export(model, "x"), "with weights to export, got the export 'tiny'"),
        (lambda model: model.generate(model.start_ws), "expected"),
        (lambda model: model.generate(model.start_ws[None], 8), "expected fixed noise and the"),
        (lambda model: model.generate(model.start_ws[None].requires_grad_()), "no gradients"),
    ],
)
def test_what_an_export_cannot_do_is_said(hollow, wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong(restyle.load(hollow, device="cpu"))


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda folder: change(folder, format=2), "expected an export of format 1, got 2"),
        (
            lambda folder: (folder / "mapping.onnx").write_text("x"),
            "mapping.onnx: expected the sha",
        ),
        (lambda folder: (folder / FACTS).write_text("{"), "model.json: expected an export's facts"),
    ],
)
def test_the_command_says_it_in_a_sentence(hollow, run, tmp_path, damage, message):
    damage(hollow)
    found = run("invert", picture(tmp_path / "a.png"), "--model", hollow, "--out", tmp_path / "o")
    assert found.code != 0 and message in found.err
    assert len(found.err.strip().splitlines()) == 1 and not (tmp_path / "o").exists()


def test_a_missing_extra_is_named(hollow, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"pip install 'restyle\[onnx\]'"):
        restyle.load(hollow)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [None, 2, "auto"])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_inversion_is_the_model_s(real, steps, batch_size):
    model, exported = tiny_model(), restyle.load(real)
    targets = torch.rand(3, 3, SIZE, SIZE) * 2 - 1
    wanted = model.invert(targets, steps, batch_size)
    got = exported.invert(targets, steps, batch_size)
    for ours, theirs in zip(wanted.steps, got.steps, strict=True):
        torch.testing.assert_close(theirs.ws, ours.ws, atol=1e-4, rtol=0)
        torch.testing.assert_close(theirs.image, ours.image, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_an_export_is_a_model_of_the_command_line(real, run, tmp_path):
    file = picture(tmp_path / "a.png")
    for model, out in ((real, "export"), (real, "again")):
        found = run("invert", file, "--model", model, "--out", tmp_path / out)
        assert found.code == 0, found.err
    assert list((tmp_path / "export" / "reconstructions").iterdir())
    found = run("sample", real, "--n", 2, "--out", tmp_path / "samples")
    assert found.code == 0, found.err
    found = run("invert", file, "--model", real, "--method", "ws:3", "--out", tmp_path / "no")
    assert found.code == 2 and "of the encoder alone" in found.err
