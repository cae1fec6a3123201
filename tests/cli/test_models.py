"""`restyle models`."""

import json
import re
from types import SimpleNamespace

import restyle
from tests.tiny import SIZE, tiny_model


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


def test_models_and_directions_are_told_in_one_screen_and_as_json(run, tmp_path):
    listed = run("models", "list")
    assert max(map(len, listed.out.splitlines())) <= 100
    assert listed.out.count("NVIDIA Source Code License") == 2  # each licence once
    everything = json.loads(run("models", "list", "--json").out)
    assert {"portraits"} < {model["name"] for model in everything["bundled"]}
    assert all(model["licence"] for model in everything["public"])
    card = {"training": {f"option{k}": "long" * 50 for k in range(60)}, "licence": "MIT"}
    tiny_model(**card).save_pretrained(tmp_path / "model")
    told = run("models", "info", tmp_path / "model").out.splitlines()
    assert len(told) <= 50 and max(map(len, told)) <= 100
    assert "option59" in run("models", "info", tmp_path / "model", "--history").out
    as_json = json.loads(run("models", "info", tmp_path / "model", "--json").out)
    assert as_json["card"].items() >= card.items() and as_json["generator"]["size"] == SIZE
    assert "smile" in {one["name"] for one in json.loads(run("directions", "list", "--json").out)}


def test_a_checkpoint_is_pushed_with_its_card(run, model_folder, monkeypatch):
    taken = []
    monkeypatch.setattr(
        "restyle.hub.huggingface.push", lambda *given: taken.append(given) or "an address"
    )
    told = run("models", "push", model_folder, "user/model", "--private")
    assert told.code == 0 and "an address" in told.out
    assert taken == [(model_folder, "user/model", True)]


def test_images_that_were_left_out_are_a_failure_of_the_evaluation(run, monkeypatch):
    report = SimpleNamespace(text=lambda: "a report", left_out={})
    monkeypatch.setattr("restyle.evaluation.compare.compare", lambda _: report)
    assert run("evaluate").code == 0
    report.left_out["broken.png"] = "expected an image"
    assert run("evaluate").code == 1
