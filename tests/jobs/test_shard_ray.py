"""Shards on a cluster of Ray: the same parts, whatever dies, and its absence in a sentence."""

import contextlib
import json
import os
import signal
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from restyle import jobs
from restyle.jobs import shard_ray
from tests.jobs.shard_folders import rows_of
from tests.tiny import picture, tiny_model


@pytest.fixture(scope="module")
def cluster():
    """A cluster of this machine, with two cores however many it has."""
    ray = pytest.importorskip("ray")
    options = {"include_dashboard": False, "log_to_driver": False, "ignore_reinit_error": True}
    ray.init(num_cpus=2, object_store_memory=80 * 2**20, **options)
    yield ray
    ray.shutdown()


@pytest.fixture
def plan(model_folder, tmp_path):
    def call(images, out="out", **options):
        for number in range(images):
            picture(tmp_path / f"in/{number:03}.png", number)
        options = {"model": str(model_folder), "shard_size": 2, "steps": 1} | options
        job = jobs.PlanShards(input=str(tmp_path / "in"), out=tmp_path / out, **options)
        return jobs.plan_shards(job)

    return call


def run(plan, **options):
    options = {"device": "cpu"} | options
    return jobs.run_shards(jobs.RunShards(folder=plan.folder, **options))


def verify(plan):
    return jobs.verify_shards(jobs.VerifyShards(folder=plan.folder))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ray_makes_the_parts_that_processes_make(cluster, plan, tmp_path):
    picture(tmp_path / "in/bad.png").write_bytes(b"no picture")
    made, plain = plan(5), plan(5, "plain")
    counts = run(made, engine="ray", processes=2)
    assert (counts.done, counts.failed, counts.parts) == (5, 1, 3) and verify(made).problems == []
    run(plain)
    rows, expected = rows_of(made.folder), rows_of(plain.folder)
    assert rows["id"] == expected["id"] and rows["error"] == expected["error"]
    for found, wanted in zip(rows["ws"].to_pylist(), expected["ws"].to_pylist(), strict=True):
        assert found is wanted or np.allclose(found, wanted, atol=2e-3)
    before = [path.stat().st_mtime_ns for path in (made.folder / "parts").iterdir()]
    run(made, engine="ray")  # does nothing that is done
    assert [path.stat().st_mtime_ns for path in (made.folder / "parts").iterdir()] == before


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_actor_that_is_killed_is_replaced(cluster, plan):
    made = plan(60, shard_size=4)
    running = threading.Thread(target=run, args=(made,), kwargs={"engine": "ray", "batch_size": 1})
    running.start()
    killed = set()
    while running.is_alive() and len(killed) < 2:
        for path in (made.folder / "work").glob("[!.]*.json"):
            process = json.loads(path.read_text())["process"]
            if process not in {*killed, os.getpid()} and len(killed) < 2:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
                    killed.add(process)
        time.sleep(0.01)
    running.join()
    counts = verify(made)
    assert killed and counts.problems == [] and (counts.done, counts.failed) == (60, 0)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_a_worker_refuses_is_one_sentence(cluster, plan, tmp_path):
    tiny_model().save_pretrained(tmp_path / "mine")
    made = plan(2, model=str(tmp_path / "mine"))
    tiny_model(seed=1).save_pretrained(tmp_path / "mine")
    with pytest.raises(
        ChildProcessError, match="^a worker failed: .*expected model_sha256"
    ) as told:
        run(made, engine="ray")
    assert "\n" not in str(told.value)
    with pytest.raises(ValueError, match="gpus: expected at most 0, as Ray's nodes have, got 0.5"):
        run(made, engine="ray", gpus=0.5)


def test_without_ray_or_with_another_the_extra_is_named(plan, monkeypatch):
    made = plan(1)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"^this engine is Ray: pip install 'restyle\[ray\]'$"):
        run(made, engine="ray")
    for version in ("2.59.1", "3.0.0"):
        monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(__version__=version))
        with pytest.raises(
            ImportError, match=f"expected Ray 2.60 or a later 2, got {version}: pip"
        ):
            run(made, engine="ray")


def test_cores_are_divided_and_gpus_are_those_asked_for():
    nodes = [
        {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 2.0}},
        {"Alive": True, "Resources": {"CPU": 4.0}},
        {"Alive": False, "Resources": {"CPU": 99.0}},
    ]
    ray = SimpleNamespace(nodes=lambda: nodes)

    def needs(**options):
        job = jobs.RunShards(folder="plan", engine="ray", **options)
        return tuple(shard_ray._resources(ray, job).values())

    assert needs(processes=4) == (3, 1)
    assert needs(processes=1, gpus=0.25) == (8, 0.25)
    assert needs(processes=99, device="cpu") == (1, 0)
