"""Training on shards, by several processes that die: nothing is seen twice, nothing is lost."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

from restyle.training.config import EncoderTraining, GeneratorTraining
from restyle.training.encoder import train_encoder
from restyle.training.generator import train_generator
from restyle.training.options import with_options
from tests.shards import pictures, write_parquet, write_tars
from tests.training.encoders import prepare
from tests.training.test_encoder import EVERYTHING, start, weights

WRITERS = {"tar": write_tars, "parquet": write_parquet}


@pytest.fixture(params=WRITERS)
def settings(request, tmp_path) -> dict:
    """Settings of a tiny training on shards of pictures."""
    place = WRITERS[request.param](tmp_path / "shards", pictures(50), 3)
    return prepare(tmp_path) | {"data": str(place)}


def descendants(process: int) -> list[int]:
    """Processes that a process has started, and those that they have started."""
    listing = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True)
    pairs = [tuple(map(int, line.split())) for line in listing.stdout.splitlines()]
    found = [process]
    for parent in found:
        found += [child for child, its_parent in pairs if its_parent == parent]
    return found


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_processes_that_are_killed_are_those_that_were_not(settings, tmp_path):
    both = {**settings, **EVERYTHING, "images": 112, "processes": 2, "batch": 8, "workers": 1}
    killed = {**both, "out": tmp_path / "killed"}
    launcher = start({**killed, "checkpoint_minutes": 0.005})
    end = time.monotonic() + 200
    while not (tmp_path / "killed" / "model").exists():
        assert launcher.poll() is None, launcher.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.02)
    for process in reversed(descendants(launcher.pid)):
        os.kill(process, signal.SIGKILL)
    launcher.communicate()
    reached = torch.load(tmp_path / "killed" / "checkpoint.pt", weights_only=True)["images"]
    assert 0 < reached < 128
    for out in ("killed", "whole"):
        again = start({**both, "out": tmp_path / out})
        _, errors = again.communicate(timeout=300)
        assert again.returncode == 0, errors
    first, second = (weights(tmp_path / name) for name in ("whole", "killed"))
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_a_generator_is_trained_on_shards(settings, tmp_path):
    train_generator(
        GeneratorTraining(
            out=tmp_path / "trained",
            data=settings["data"],
            size=16,
            images=8,
            batch=4,
            channels=(8, 8, 8),
            z_dim=8,
            w_dim=8,
            mapping_layers=1,
            device="cpu",
            precision="float32",
        )
    )
    assert (tmp_path / "trained" / "generator" / "config.json").exists()


def test_a_shard_that_changed_is_told_when_a_run_goes_on(settings, tmp_path):
    train_encoder(with_options(EncoderTraining(), **settings, seed=1))
    shard = sorted(Path(settings["data"]).iterdir())[1]
    shard.write_bytes(shard.read_bytes()[:-1] + b"!")
    longer = {**settings, "images": settings["images"] + 8, "seed": 1}
    with pytest.raises(ValueError, match=rf"{shard.name}: expected .*, as when the training began"):
        train_encoder(with_options(EncoderTraining(), **longer))
