"""`restyle models styles`: where the statistics are kept, and what it refuses."""

import pytest
import torch

import restyle
from restyle.editing.styles import measure_statistics, statistics_of
from tests.tiny import tiny_model


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RESTYLE_CACHE", str(tmp_path / "cache"))
    tiny_model().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_they_lie_in_the_models_folder_and_are_kept(run, folder, capsys):
    line = ["models", "styles", folder, "--device", "cpu"]
    path = folder / "styles.safetensors"
    told = run(*line)
    assert told.code == 0 and str(path) in told.out
    generator = restyle.load(folder, "cpu").generator
    found = statistics_of(generator, folder)
    assert "measuring" not in capsys.readouterr().err
    assert torch.equal(found.deviation, measure_statistics(generator).deviation)
    before = path.stat().st_mtime_ns
    assert run(*line).code == 0 and path.stat().st_mtime_ns == before
    assert run(*line, "--overwrite").code == 0 and path.stat().st_mtime_ns != before
    path.write_bytes(b"mine")
    refused = run(*line)
    assert refused.code == 2 and refused.err.count("\n") == 1
    assert f"{path}: expected a file of styles, got" in refused.err
    assert path.read_bytes() == b"mine"
