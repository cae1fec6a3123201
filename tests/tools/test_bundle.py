"""Putting trained models into the package (`tools/bundle.py`)."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch

from restyle.hub import registry
from restyle.io import bundled
from restyle.io.checkpoints import CheckpointError, load_config
from restyle.training.loaders import made_of
from restyle.training.options import as_record, with_options
from restyle.training.presets import ENCODERS, GENERATORS
from tests.tiny import tiny_model

SCRIPT = Path(__file__).parents[2] / "tools" / "bundle.py"


@pytest.fixture
def tool(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("bundle", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bundle", module)
    spec.loader.exec_module(module)
    for place in (module, bundled):
        monkeypatch.setattr(place, "WEIGHTS", tmp_path / "weights")
    return module


def trained(folder: Path, preset: str, seed: int, **changes) -> Path:
    """The run folder of an encoder for the same generator."""
    model = tiny_model()
    torch.manual_seed(seed)
    for parameter in model.encoder.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    training = as_record(with_options(ENCODERS[preset], warmup_images=100, **changes))
    model.card = {"images_seen": 300, "validation": {"val_mse_5": 0.01}, "training": training}
    if began := made_of(changes.get("initial", "")):
        model.card["initial"] = began
    model.save_pretrained(folder / "model", half=True)
    return folder


def test_a_students_card_tells_of_its_teacher(tool, tmp_path):
    taught = {"taught_images": 30, "untaught_images": 10_240, "warmup_drawings": False}
    folder = trained(tmp_path / "a", "portraits-single-shot", 1, teacher="restyle:3", **taught)
    tool.bundle("fast", folder)
    card = (tmp_path / "weights/fast/card.md").read_text()
    assert "; of 30 of them it also learned the codes that `restyle:3` of" in card
    assert "- Command: `restyle train student --preset portraits-fast --" in card
    assert "--teacher restyle:3 --taught-images 30`" in card


def test_models_of_one_generator_are_bundled_with_one_copy_of_it(tool, tmp_path):
    tool.bundle("first", trained(tmp_path / "a", "portraits", 1))
    tool.bundle("second", trained(tmp_path / "b", "portraits-e4e", 2, lr=0.5), None, "first")
    assert registry.bundled() == ["first", "second"]
    first, second = (registry.load(name, "cpu") for name in ("first", "second"))
    assert second.name == "second"
    for one, other in zip(
        first.generator.state_dict().values(), second.generator.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other)
    assert first.weights_hash() != second.weights_hash()
    assert load_config(tmp_path / "weights/second")["shared"]["generator"]["folder"] == "first"
    card = (tmp_path / "weights/second/card.md").read_text()
    assert "--preset portraits-e4e --warmup-images 100 --lr 0.5`" in card
    assert (
        "100 portraits, whose codes are known, then 200 portraits: 725 passes" in card
        and "kept in `first`" in card
    )


def test_the_card_says_what_an_encoder_began_as(tool, tmp_path):
    tool.bundle("first", trained(tmp_path / "a", "portraits-single-shot", 1))
    tool.bundle("second", trained(tmp_path / "b", "portraits", 2, initial="first"), None, "first")
    card = (tmp_path / "weights/second/card.md").read_text()
    assert "the encoder of `first`, after 100 portraits, whose codes are known, then 200" in card
    assert card.count("- Command: `restyle train encoder --preset portraits") == 2
    assert "began" not in (tmp_path / "weights/first/card.md").read_text()
    tool.bundle("third", trained(tmp_path / "c", "portraits", 3, initial="second"), None, "first")
    assert (tmp_path / "weights/third/card.md").read_text().count("- It began") == 2


def test_the_card_follows_runs_that_went_on_from_each_other(tool, tmp_path):
    tool.bundle("first", trained(tmp_path / "a", "portraits-single-shot", 1))
    trained(tmp_path / "b", "portraits-single-shot", 2, initial="first", lr=0.5)
    initial = str(tmp_path / "b" / "model")
    tool.bundle("first", trained(tmp_path / "c", "portraits-single-shot", 3, initial=initial))
    card = (tmp_path / "weights/first/card.md").read_text()
    assert card.count("- It began") == 2 and card.count("--lr 0.5") == 1


def test_a_model_that_is_bundled_again_keeps_what_is_known_of_its_generator(tool, tmp_path):
    run = trained(tmp_path / "a", "portraits", 1)
    tool.bundle("first", run)
    made = {"images_seen": 9, "training": as_record(GENERATORS["portraits"])}
    model = registry.load(tmp_path / "weights" / "first", "cpu")
    model.card["generator"] = made
    model.save_pretrained(tmp_path / "weights" / "first", half=True)
    tool.bundle("first", run)
    assert load_config(tmp_path / "weights/first")["card"]["generator"] == made
    model = registry.load(run / "model", "cpu")
    model.generator.w_avg += 1
    model.save_pretrained(run / "model", half=True)
    tool.bundle("first", run)
    assert "generator" not in load_config(tmp_path / "weights/first")["card"]


def test_a_card_says_what_an_older_training_did_not_know(tool, tmp_path):
    folder = trained(tmp_path / "a", "portraits", 1)
    path = folder / "model" / "config.json"
    config = json.loads(path.read_text())
    del config["card"]["training"]["freeze_norms"]
    path.write_text(json.dumps(config))
    tool.bundle("first", folder)
    assert "--no-freeze-norms" in (tmp_path / "weights/first/card.md").read_text()


def test_another_generator_is_not_left_out(tool, tmp_path):
    tool.bundle("first", trained(tmp_path / "a", "portraits", 1))
    run = trained(tmp_path / "b", "portraits-e4e", 2)
    model = registry.load(run / "model", "cpu")
    model.generator.w_avg += 1
    model.save_pretrained(run / "model", half=True)
    with pytest.raises(CheckpointError, match="got another one"):
        tool.bundle("second", run, None, "first")
