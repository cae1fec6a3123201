"""`restyle models`."""

import re

import restyle
from tests.tiny import tiny_model


def test_models_are_listed_and_described(run, model_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("restyle.io.bundled.WEIGHTS", tmp_path)
    tiny_model().save_pretrained(tmp_path / "tiny")
    listed = run("models", "list")
    assert listed.code == 0
    assert re.search(r"^tiny +tiny +16 x 16 +16 x 16 +0\.\d MB$", listed.out, re.MULTILINE)
    told = run("models", "info", model_folder)
    assert told.code == 0
    assert restyle.load(model_folder, "cpu").weights_hash() in told.out
    assert "images: 99" in told.out and "input_channels: 6" in told.out
    assert run("models", "info", tmp_path / "nope").code == 2
