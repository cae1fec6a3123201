"""`restyle export`: from the command line and from Python."""

import pytest

from restyle import jobs
from restyle.exporting import export as exporting


def test_a_folder_in_use_is_refused_before_anything_is_loaded(tmp_path, run):
    (tmp_path / "mine").write_text("mine")
    found = run("export", "no such model", "--out", tmp_path)
    assert found.code == 2 and "expected a folder that is empty" in found.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_unknown_model_is_refused(tmp_path, run):
    found = run("export", "no such model", "--out", tmp_path / "out")
    assert found.code == 2 and "unknown model" in found.err
    assert not (tmp_path / "out").exists()


def test_empty_names_are_refused():
    with pytest.raises(ValueError, match="model: expected a name"):
        jobs.Export(model="", out="x")


def test_the_job_writes_what_it_is_asked_for(tmp_path, model_folder, monkeypatch):
    monkeypatch.setattr(exporting, "_write", lambda graph, path, kind: path.write_text("graph"))
    jobs.export(jobs.Export(model=str(model_folder), out=tmp_path / "out", format="pt2"))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"encoder.pt2", "generator.pt2", "mapping.pt2", "model.json"}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_command_writes_an_export(tmp_path, model_folder, run, dtype):
    out = tmp_path / "out"
    found = run("export", model_folder, "--out", out, "--dtype", dtype)
    assert found.code == 0 and f"is in {out}" in found.out, found.err
    assert {path.name for path in out.iterdir()} == {
        "encoder.onnx",
        "generator.onnx",
        "mapping.onnx",
        "model.json",
    }
