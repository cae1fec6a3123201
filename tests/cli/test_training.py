"""`restyle train`: options are the fields of a preset."""

import sys
from dataclasses import replace
from pathlib import Path

from restyle.cli.training import add_training
from restyle.cli.training import app as train_app
from restyle.training.presets import FEATURES, GENERATORS


def test_training_options_are_the_fields_of_the_configuration(run, monkeypatch):
    taken = []
    monkeypatch.setattr("restyle.training.generator.train_generator", taken.append)
    line = "train generator --out x --size 32 --channels 8 8 4 4 --lr 1e-4 --no-flip"
    assert run(*line.split()).code == 0
    preset = GENERATORS["stylegan2"]
    assert taken == [replace(preset, out=Path("x"), size=32, channels=(8, 8, 4, 4), lr=1e-4)]
    assert run("train", "generator", "--flip").code == 0
    assert taken[1] == replace(preset, flip=True)
    assert preset.channels == ()  # the official ones, which fit every size


def test_options_change_a_preset(run, monkeypatch):
    taken = []
    monkeypatch.setattr("restyle.training.features.train_features", taken.append)
    run("train", "features")
    run("train", "features", "--preset", "judge", "--images", "10")
    assert taken[0] == FEATURES["train"]
    assert taken[1].images == 10 and taken[1].widths == FEATURES["judge"].widths
    result = run("train", "features", "--preset", "none")
    assert result.code == 2 and "judge" in result.err and len(taken) == 2


def test_an_encoder_may_begin_with_random_weights(run, monkeypatch):
    taken = []
    monkeypatch.setattr("restyle.training.encoder.train_encoder", taken.append)
    assert run("train", "encoder", "--preset", "portraits", "--initial", "").code == 0
    assert taken[0].initial == ""
    result = run("train", "encoder", "--out", "")
    assert result.code == 2 and "--out" in result.err


def test_a_trainer_says_what_it_cannot_do_in_one_line(run, tmp_path):
    result = run("train", "generator", "--size", "65", "--out", tmp_path)
    assert result.code == 2
    assert result.err.strip().splitlines() == [
        "restyle: size: expected a power of two from 16 to 1024, got 65"
    ]


def test_several_processes_are_started_with_the_same_command(run, monkeypatch):
    started = []
    monkeypatch.setattr(
        "restyle.training.parallel.launch", lambda count, line: started.append((count, line)) or 1
    )
    monkeypatch.setattr(sys, "argv", ["restyle", "train", "generator", "--processes", "2"])
    assert run("train", "generator", "--processes", "2").code == 1
    assert started == [(2, ["train", "generator", "--processes", "2"])]


def test_a_configuration_may_have_a_field_called_preset(run, monkeypatch):
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Config:
        """A configuration.

        Attributes:
            preset: A field.
            processes: Processes.
        """

        preset: str = "small"
        processes: int = 1

    taken = []
    monkeypatch.setattr("restyle.training.generator.train_generator", taken.append)
    add_training(
        "test", "A test.", {"only": Config()}, "restyle.training.generator:train_generator"
    )
    try:
        run("train", "test", "--preset", "large")
    finally:
        del train_app["test"]
    assert taken == [Config(preset="large")]
