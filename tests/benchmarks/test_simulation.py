"""The simulation of plans gives what can be known without it."""

import importlib.util
import math
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def simulation():
    place = ROOT / "benchmarks" / "simulation.py"
    spec = importlib.util.spec_from_file_location("simulation", place)
    sys.modules["simulation"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["simulation"]


@pytest.fixture
def run(simulation):
    def simulate(**settings):
        settings = {"shard_size": 10, "seconds": 1.0, "restart": 0.0} | settings
        cluster = simulation.Cluster(**settings)
        outcome = simulation.simulate(cluster)
        assert outcome.time >= cluster.ideal * (1 - 1e-9)
        return outcome

    return simulate


@pytest.mark.parametrize("workers", [1, 8, 64])
def test_without_failures_it_is_the_work_by_the_workers(run, workers):
    found = run(images=640, workers=workers)
    assert found.time == 640 / workers
    assert (found.worked, found.wasted, found.idle, found.down) == (640, 0, 0, 0)
    assert found.looks == workers * 64


def test_the_last_shards_are_waited_for(run):
    found = run(images=90, workers=8)  # nine shards: one worker does two
    assert found.time == 20 and found.idle == 70


def test_a_slow_worker_does_less(run):
    found = run(images=30, workers=2, slow=0.5, slowdown=2)
    assert found.time == 20 and found.worked == 40 and found.idle == 0


def test_the_shard_of_a_killed_worker_is_free_after_the_lease(run):
    found = run(images=20, workers=2, kills=((5, 0),), lease=8, restart=1000)
    # The other has done its own after 10 s, watches for 8, and takes 10.
    assert 28 <= found.time <= 28.5
    assert found.wasted == 5 and found.deaths == 1


def test_a_shard_that_is_handed_back_is_free_at_once(run):
    found = run(images=20, workers=2, kills=((5, 0),), lease=8, restart=1000, notice=True)
    assert found.time == 20 and found.deaths == 0 and found.idle == 0


@pytest.mark.parametrize("size", [1, 8, 64])
def test_a_deadly_image_is_found_by_halves_and_the_others_are_done(run, size):
    found = run(images=128, workers=4, shard_size=size, deadly=(77,))
    assert found.splits == math.log2(size)
    assert found.deaths == 3 * (found.splits + 1)
    assert found.blamed == 1 and found.worked == 127


def test_preemptions_cost_what_the_formula_says(run):
    """Work of T, begun anew when preempted at a rate, takes (e^(rate T) - 1)(1/rate + R)."""
    found = run(images=20_000, workers=1, preempted=20, restart=2, notice=True, seed=1)
    wanted = (math.exp(0.5) - 1) * (20 + 2)
    assert found.time / 2000 == pytest.approx(wanted, rel=0.05)
    assert found.worked + found.wasted + found.down == pytest.approx(found.time)


def test_parts_that_cannot_be_written_are_made_again(run, simulation):
    found = run(images=20_000, workers=1, lost=0.1, restart=0, lease=1e9)
    tries = 1 / 0.9**simulation.WRITES
    assert (found.worked + found.wasted) / found.worked == pytest.approx(tries, rel=0.05)
    assert found.unread == pytest.approx(20_000 * 0.1**simulation.READS)


def test_a_worker_whose_signs_of_life_are_lost_is_given_up(run, simulation, monkeypatch):
    monkeypatch.setattr(simulation, "WRITES", 0)
    found = run(images=300, workers=21, shard_size=15, lost=0.5, lease=4)
    assert found.twice == found.deaths > 0
    assert found.wasted > 0 and found.blamed == 0


def test_all_time_is_accounted_for_and_a_seed_repeats(run):
    settings = {"images": 5000, "workers": 16, "preempted": 60, "lost": 0.01, "slow": 0.2}
    settings |= {"lease": 12, "restart": 3.0, "deadly": (1234,)}
    first, second = run(**settings, seed=5), run(**settings, seed=5)
    assert first == second != run(**settings, seed=6)
    whole = first.worked + first.wasted + first.idle + first.down
    assert 16 * first.time <= whole * 1.0001 and whole <= 16 * (first.time + 60)
