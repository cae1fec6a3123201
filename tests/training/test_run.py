import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from restyle.io.checkpoints import CheckpointError
from restyle.training.ema import Ema
from restyle.training.parallel import INTERRUPTED
from restyle.training.randomness import random_state, set_random_state
from restyle.training.run import Run
from tests.training.run_worker import Tiny, train

ROOT = Path(__file__).parents[2]


def start(folder, processes=1, images=400, pause=0.0, minutes=5.0):
    """Start the tiny training in a process of its own."""
    arguments = [str(value) for value in (folder, processes, images, pause, minutes)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.run_worker", *arguments],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.05)


def stats(folder):
    return [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]


def test_a_run_leaves_its_configuration_numbers_and_checkpoint(tmp_path):
    train(tmp_path, Tiny())
    config = Tiny(out=tmp_path)
    record = {**dataclasses.asdict(config), "out": str(tmp_path)}
    assert json.loads((tmp_path / "config.json").read_text()) == record
    records = stats(tmp_path)
    assert [record["images"] for record in records] == list(range(40, 401, 40))
    assert records[-1]["loss"] < records[0]["loss"] / 10
    assert records[-1]["images_per_second"] > 0
    assert (tmp_path / "checkpoint.pt").exists()
    assert list(tmp_path.glob("events.out.tfevents.*"))


def test_resuming_is_the_same_as_not_stopping(tmp_path):
    whole = train(tmp_path / "whole", Tiny())
    train(tmp_path / "parts", Tiny(images=200))
    parts = train(tmp_path / "parts", Tiny(images=400))
    assert torch.equal(whole["weight"], parts["weight"])
    losses = [[r["loss"] for r in stats(tmp_path / name)] for name in ("whole", "parts")]
    assert losses[0] == losses[1]


def test_another_configuration_is_refused(tmp_path):
    train(tmp_path, Tiny(images=40))
    before = (tmp_path / "config.json").read_text()
    with pytest.raises(ValueError, match=r"expected a training run with rate 0\.2 \(found 0\.1\)"):
        train(tmp_path, Tiny(images=40, rate=0.2))
    assert (tmp_path / "config.json").read_text() == before


def test_what_did_not_begin_may_begin_otherwise(tmp_path):
    with pytest.raises(ZeroDivisionError):
        with Run(Tiny(out=tmp_path), 100):
            raise ZeroDivisionError("a network is not there")
    train(tmp_path, Tiny(images=40, rate=0.2))
    assert json.loads((tmp_path / "config.json").read_text())["rate"] == 0.2


def test_a_run_tells_where_it_goes_on(tmp_path, capsys):
    train(tmp_path, Tiny(images=40))
    assert capsys.readouterr().err.count("going on") == 0
    train(tmp_path, Tiny(images=80))
    assert "going on from image 40 of 80" in capsys.readouterr().err


def test_numbers_after_the_checkpoint_are_taken_back(tmp_path):
    train(tmp_path, Tiny(images=80))
    with (tmp_path / "stats.jsonl").open("a") as stream:
        stream.write('{"images": 120, "loss": 1.0}\n{"images": 160, "lo')  # killed while writing
    train(tmp_path, Tiny(images=120))
    assert [record["images"] for record in stats(tmp_path)] == [40, 80, 120]


def test_a_diverged_training_stops_and_keeps_the_checkpoint(tmp_path):
    with Run(Tiny(out=tmp_path), 100, 9, log_images=10) as run:
        run.step({"loss": 1.0})
        run.save({"good": torch.ones(1)})
        with pytest.raises(ValueError, match="diverged at image 18: loss is nan"):
            run.step({"loss": torch.tensor(float("nan"))})
    with Run(Tiny(out=tmp_path), 100) as run:
        assert run.load() == {"good": torch.ones(1)}
        assert run.images == 9


def test_a_failed_save_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    with Run(Tiny(out=tmp_path), 100) as run:
        run.save({"value": 1})

        def full(_content, path):
            Path(path).write_bytes(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(torch, "save", full)
        with pytest.raises(OSError, match=r"checkpoint\.pt: cannot write.*No space left"):
            run.save({"value": 2})
        assert run.load() == {"value": 1}
    assert not list(tmp_path.glob(".checkpoint*"))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_damaged_checkpoint_is_named(tmp_path, share):
    train(tmp_path, Tiny(images=40))
    path = tmp_path / "checkpoint.pt"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt: expected a PyTorch checkpoint"):
        train(tmp_path, Tiny(images=80))


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("state", [1], "checkpoint of a run, got one without state"),
        ("images", "many", "checkpoint of a run, got one without images"),
        ("random", [{"python": 3}], "states of random generators"),
        ("random", ["text"], "states of random generators"),
    ],
)
def test_a_checkpoint_of_something_else_is_named(tmp_path, part, value, message):
    train(tmp_path, Tiny(images=40))
    path = tmp_path / "checkpoint.pt"
    torch.save(torch.load(path) | {part: value}, path)
    with pytest.raises(CheckpointError, match=rf"checkpoint\.pt: expected the {message}"):
        train(tmp_path, Tiny(images=80))


def test_checkpoints_hold_no_code(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    torch.save({"state": Bomb()}, tmp_path / "checkpoint.pt")
    with Run(Tiny(out=tmp_path), 100) as run:
        with pytest.raises(CheckpointError):
            run.load()
    assert not (tmp_path / "exploded").exists()


def test_a_folder_in_use_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("restyle.training.run.LOCK_SECONDS", 1)
    with Run(Tiny(out=tmp_path), 100):
        with pytest.raises(ValueError, match="process .* is at work"):
            with Run(Tiny(out=tmp_path), 100):
                pass
    assert f"{tmp_path}: another process works here; waiting 1 s" in capsys.readouterr().err
    with Run(Tiny(out=tmp_path), 100):
        pass


def test_a_run_opens_with_what_it_does_and_tells_how_long_it_takes(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("restyle.training.run.SPEED_SECONDS", 0.05)
    with Run(Tiny(out=tmp_path), 1000, 10) as run:
        run.announce("a line", torch.float32)
        for _ in range(3):
            run.step({})
            time.sleep(0.1)
    said = capsys.readouterr().err
    assert (
        f"{tmp_path}: training on cpu in float32: a line, 1,000 images; "
        "saved after 1 min, then every 5 min"
    ) in said
    assert said.count("images a second: about 0 minutes to go") == 1


def test_the_first_checkpoint_comes_early(tmp_path, monkeypatch):
    monkeypatch.setattr("restyle.training.run.FIRST_MINUTES", 0.001)
    with Run(Tiny(out=tmp_path), 1000) as run:
        time.sleep(0.1)
        assert run.checkpoint(dict)
        time.sleep(0.1)
        assert not run.checkpoint(dict)  # the second one comes after five minutes


def test_one_process_alone_says_that_the_batch_cannot_be_shared(tmp_path, monkeypatch):
    monkeypatch.setattr("restyle.training.run.process_count", lambda: 3)
    with pytest.raises(ValueError, match="batch: expected a multiple of 3 .*, got 8"):
        Run(Tiny(out=tmp_path), 100, 8)
    monkeypatch.setattr("restyle.training.run.dist.is_initialized", lambda: True)
    monkeypatch.setattr("restyle.training.run.dist.get_rank", lambda: 1)
    with pytest.raises(SystemExit):
        Run(Tiny(out=tmp_path), 100, 8)


def test_random_generators_come_back():
    rng = np.random.default_rng(5)
    state = random_state(rng)
    before = (torch.rand(3).tolist(), random.random(), rng.random())
    set_random_state(state, rng)
    assert (torch.rand(3).tolist(), random.random(), rng.random()) == before


def test_the_moving_average_halves_an_old_weight_after_its_half_life():
    network = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(network.weight, 1.0)
    ema = Ema(network, halflife_images=100, ramp=None)
    torch.nn.init.constant_(network.weight, 0.0)
    for step in range(10):
        ema.update(network, batch=10, images=10 * (step + 1))
    assert ema.model.weight.item() == pytest.approx(0.5)
    assert not ema.model.weight.requires_grad


def test_the_moving_average_forgets_the_start():
    network = torch.nn.Linear(1, 1)
    ema = Ema(network, halflife_images=10_000)
    torch.nn.init.constant_(network.weight, 7.0)
    for images in range(10, 1001, 10):
        ema.update(network, batch=10, images=images)
    assert ema.model.weight.item() == pytest.approx(7.0, abs=1e-3)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_stops_politely(tmp_path, number):
    worker = start(tmp_path, images=100_000, pause=0.01)
    wait_for((tmp_path / "stats.jsonl").exists)
    worker.send_signal(number)
    _, errors = worker.communicate(timeout=60)
    assert worker.returncode == INTERRUPTED
    assert "repeat the command to go on" in errors and "Traceback" not in errors
    images = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["images"]
    assert images >= stats(tmp_path)[-1]["images"] > 0


def test_kill_loses_only_what_came_after_the_checkpoint(tmp_path):
    worker = start(tmp_path, images=100_000, pause=0.01, minutes=0.005)
    wait_for((tmp_path / "checkpoint.pt").exists)
    time.sleep(0.5)
    worker.kill()
    worker.communicate()
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["images"]
    reached = stats(tmp_path)[-1]["images"]
    assert reached - saved < 200
    train(tmp_path, Tiny(images=saved + 40))
    whole = train(tmp_path.with_name("whole"), Tiny(images=saved + 40))
    resumed = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["state"]["network"]
    assert torch.equal(resumed["weight"], whole["weight"])


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path):
    worker = start(tmp_path, processes=2, images=800)
    _, errors = worker.communicate(timeout=100)
    assert worker.returncode == 0, errors
    first, second = (
        torch.load(tmp_path / f"result-{rank}.pt", weights_only=True) for rank in (0, 1)
    )
    assert first["images"] == second["images"] == 800
    assert torch.equal(first["weight"], second["weight"])
    torch.testing.assert_close(first["weight"], torch.ones(1, 3), atol=0.1, rtol=0)
    randomness = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["random"]
    assert len(randomness) == 2
    assert not torch.equal(randomness[0]["torch"], randomness[1]["torch"])


@pytest.mark.slow
def test_two_processes_stop_politely_and_resume(tmp_path):
    worker = start(tmp_path, processes=2, images=100_000, pause=0.02)
    wait_for((tmp_path / "stats.jsonl").exists, 100)
    worker.send_signal(signal.SIGINT)
    worker.communicate(timeout=100)
    assert worker.returncode == INTERRUPTED
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["images"]
    worker = start(tmp_path, processes=2, images=saved + 80)
    assert worker.wait(timeout=100) == 0
    assert stats(tmp_path)[-1]["images"] == saved + 80


@pytest.mark.parametrize("name", ["config.json", "best/weights.safetensors", "stats.jsonl"])
def test_a_folder_of_somebody_else_is_left_alone(tmp_path, name):
    out = tmp_path / "mine"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text('{"kind": "restyle"}')
    with pytest.raises(ValueError, match="choose another --out"):
        train(out, Tiny(images=40))
    assert (out / name).read_text() == '{"kind": "restyle"}'
    assert {path.name for path in out.iterdir()} <= {Path(name).parts[0], "run.lock"}
