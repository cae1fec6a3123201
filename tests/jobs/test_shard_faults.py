"""Shards when something dies, is cut off, corrupt or far away: every image has one row."""

import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time

import fsspec
import pytest

from restyle import jobs
from tests.jobs.shard_folders import rows_of
from tests.shards import failing_storage
from tests.tiny import picture


@pytest.fixture
def plan(model_folder, tmp_path):
    def call(images=0, **options):
        for number in range(images):
            picture(tmp_path / f"in/{number:03}.png", number)
        options = {"input": str(tmp_path / "in"), "shard_size": 2, "steps": 2} | options
        return jobs.plan_shards(
            jobs.PlanShards(out=tmp_path / "out", model=str(model_folder), **options)
        )

    return call


def run(plan, **options):
    return jobs.run_shards(jobs.RunShards(folder=plan.folder, device="cpu", **options))


def verify(plan):
    return jobs.verify_shards(jobs.VerifyShards(folder=plan.folder))


def test_a_corrupt_image_in_each_shard_is_a_row_with_an_error(plan, tmp_path):
    made = plan(6)
    for number in (0, 3, 4):
        (tmp_path / f"in/{number:03}.png").write_bytes(b"corrupt")
    run(made)
    counts = verify(made)
    assert counts.problems == [] and (counts.done, counts.failed, counts.parts) == (3, 3, 3)
    errors = rows_of(made.folder)["error"].to_pylist()
    assert [at for at, error in enumerate(errors) if error] == [0, 3, 4]


def test_of_a_tar_that_was_cut_off_what_is_there_is_inverted(plan, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        with tarfile.open(tmp_path / f"in/{name}.tar", "w") as tar:
            for number in range(3):
                tar.add(picture(tmp_path / f"{number}.png", number), f"{number}.png")
    cut = tmp_path / "in/a.tar"
    with tarfile.open(cut) as tar:
        last = tar.getmembers()[-1]
    cut.write_bytes(cut.read_bytes()[: last.offset_data + last.size // 2])
    made = plan()
    assert list(made.facts["damaged"]) == [str(cut)] and made.images == 6
    run(made)
    counts = verify(made)
    assert counts.problems == [] and (counts.done, counts.failed) == (5, 1)
    [row] = [row for row in rows_of(made.folder).to_pylist() if row["error"]]
    assert row["id"] == "a.tar/2.png" and "expected an intact image" in row["error"]


def test_storage_that_fails_one_call_in_ten_loses_nothing(plan, tmp_path, monkeypatch):
    files = fsspec.filesystem("memory")
    files.store.clear()
    for number in range(40):
        files.put(str(picture(tmp_path / "one.png", number)), f"/photos/{number:03}.png")
    failed = failing_storage(monkeypatch)
    made = plan(input="memory://photos", shard_size=7, pictures=True)
    run(made, batch_size=4)
    counts = verify(made)
    assert failed and counts.problems == [] and (counts.done, counts.failed) == (40, 0)
    assert rows_of(made.folder)["id"].to_pylist() == [f"{number:03}.png" for number in range(40)]
    files.store.clear()


COMMAND = [sys.executable, "-m", "restyle", "shards", "run", "--device", "cpu", "--batch-size", "1"]


def started(plan, seconds=0.1):
    """Start a worker that waits a little with each image."""
    slow = (
        "import sys, time; from restyle.jobs.shard_worker import Worker; read = Worker._read\n"
        f"def late(*a): time.sleep({seconds}); return read(*a)\n"
        "Worker._read = late; from restyle.cli import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", slow, *COMMAND[3:], str(plan.folder)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def tries(plan):
    return len(list((plan.folder / "work").glob("[!.]*.json")))  # without temporary ones


def wait_for_a_try(plan, process):
    before = tries(plan)
    while tries(plan) == before and process.poll() is None:
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_killed_workers_shard_goes_to_the_other_at_once(plan):
    made = plan(40, shard_size=10)
    workers = [started(made) for _ in range(2)]
    chance = random.Random(0)
    for _ in range(3):
        victim = workers.pop(0)
        wait_for_a_try(made, victim)
        time.sleep(chance.uniform(0, 0.2))
        victim.kill()
        victim.wait()
        workers.append(started(made))
    assert [worker.wait() for worker in workers] == [0, 0]
    counts = verify(made)
    assert counts.problems == [] and (counts.done, counts.failed) == (40, 0)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_stopped_worker_hands_its_shard_back(plan):
    made = plan(40, shard_size=40)
    for _ in range(4):
        worker = started(made)
        wait_for_a_try(made, worker)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait() == 130
    run(made)
    assert [path.name for path in (made.folder / "parts").iterdir()] == ["part-00000.parquet"]
    assert verify(made).done == 40


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_processes_that_are_killed_are_replaced(plan):
    made = plan(60, shard_size=4)
    command = [*COMMAND, str(made.folder), "--processes", "2"]
    boss = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    killed = 0
    while boss.poll() is None and killed < 3:
        wait_for_a_try(made, boss)
        latest = max(
            (made.folder / "work").glob("[!.]*.json"), key=lambda path: path.stat().st_mtime_ns
        )
        process = json.loads(latest.read_text())["process"]
        if process != boss.pid and boss.poll() is None:
            try:
                os.kill(process, signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                continue
    assert boss.wait() == 0 and killed > 0
    counts = verify(made)
    assert counts.problems == [] and counts.done == 60


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_twenty_kills_at_random_moments(plan, tmp_path):
    made, chance = plan(800, shard_size=20, pictures=True), random.Random(0)
    (tmp_path / "in/200.png").write_bytes(b"corrupt")
    for _ in range(10):
        before, workers = tries(made), [started(made, 0.2) for _ in range(2)]
        while tries(made) < before + 2:  # each is at a shard, which takes it about a second
            time.sleep(0.01)
        for victim in workers:
            time.sleep(chance.uniform(0, 1.5))
            assert victim.poll() is None
            victim.kill()
            victim.wait()
    early = len(list((made.folder / "parts").glob("*.parquet")))
    workers = [started(made) for _ in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    counts = verify(made)
    assert counts.problems == [] and (counts.done, counts.failed) == (799, 1)
    print(f"20 kills, {early} parts by then, {tries(made) - counts.parts} tries in vain")
    assert early < counts.parts and tries(made) > counts.parts
