"""Claims on shards: one worker at a time, at once after a death here, after a lease elsewhere."""

import json
import os

import pytest

from restyle.jobs import shard_claims
from restyle.jobs.shard_claims import Claims


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(shard_claims.time, "monotonic", lambda: now[0])
    return now


def abandoned(folder, number, machine):
    """Leave what a worker leaves that is killed."""
    path = folder / f"00000.{number}.json"
    path.write_text(json.dumps({"machine": machine, "over": False}))
    return path


def test_one_worker_holds_a_shard_and_the_next_one_finds_it_free(tmp_path):
    first, second = Claims(tmp_path, 60), Claims(tmp_path, 60)
    with first.held("00000") as deaths:
        assert deaths == 0
        with second.held("00000") as other:
            assert other is None
        assert second.is_alive("00000") and not second.is_alive("00001")
        with second.held("00001") as other:
            assert other == 0
    assert not second.is_alive("00000")


def test_the_dead_of_this_machine_are_counted_at_once(tmp_path):
    for number in (1, 2, 3):
        abandoned(tmp_path, number, shard_claims.machine())
    with Claims(tmp_path, 1e9).held("00000") as deaths:
        assert deaths == 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_shard_that_is_handed_back_is_no_death(tmp_path, error):
    claims = Claims(tmp_path, 60)
    with pytest.raises((KeyboardInterrupt, OSError)), claims.held("00000"):
        raise error
    with pytest.raises(ZeroDivisionError), claims.held("00000") as deaths:
        assert deaths == 0
        raise ZeroDivisionError
    with claims.held("00000") as deaths:
        assert deaths == 1


def test_a_worker_that_is_stopped_while_it_begins_is_no_death(tmp_path, monkeypatch):
    create = shard_claims._create

    def interrupted(path):
        create(path)
        raise KeyboardInterrupt

    claims = Claims(tmp_path, 60)
    with monkeypatch.context() as patch:
        patch.setattr(shard_claims, "_create", interrupted)
        with pytest.raises(KeyboardInterrupt), claims.held("00000"):
            pytest.fail("expected no block")
    with claims.held("00000") as deaths:
        assert deaths == 0


def test_a_clock_that_is_wrong_does_not_matter(tmp_path, clock):
    claims = Claims(tmp_path, 60)
    for number, year in enumerate((1980, 2100), start=1):
        path = abandoned(tmp_path, number, f"elsewhere {number}")
        os.utime(path, (0, (year - 1970) * 31_556_952))
        with claims.held("00000") as deaths:
            assert deaths is None
        clock[0] += 60
    with claims.held("00000") as deaths:
        assert deaths == 2


def test_the_silent_of_another_machine_are_dead_after_the_lease(tmp_path, clock):
    path = abandoned(tmp_path, 1, "elsewhere")
    claims = Claims(tmp_path, 60)

    def deaths():
        with claims.held("00000") as found:
            return found

    assert deaths() is None
    clock[0] += 59
    assert deaths() is None
    path.touch()  # it lives
    clock[0] += 59
    assert deaths() is None
    clock[0] += 61
    assert deaths() == 1


def test_of_two_that_find_a_worker_dead_one_takes_its_shard(tmp_path, clock, monkeypatch):
    """On machines that do not see each other's locks."""
    monkeypatch.setattr(Claims, "_is_over", lambda *_: True)
    abandoned(tmp_path, 1, "elsewhere")
    claims, create = Claims(tmp_path, 60), shard_claims._create

    def later(path):
        abandoned(tmp_path, 2, "a third")  # was quicker
        return create(path)

    monkeypatch.setattr(shard_claims, "_create", later)
    with claims.held("00000") as deaths:
        assert deaths is None
    assert json.loads((tmp_path / "00000.2.json").read_text())["machine"] == "a third"


def test_a_living_worker_changes_its_file(tmp_path):
    with Claims(tmp_path, 0.04).held("00000"):
        path = tmp_path / "00000.1.json"
        before = path.stat().st_mtime_ns
        for _ in range(200):
            shard_claims.time.sleep(0.01)
            if path.stat().st_mtime_ns != before:
                return
    pytest.fail("expected a sign of life within two seconds")
