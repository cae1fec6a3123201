"""The measurements of shards run, and print what they promise."""

import re
import sys

import pytest

from tests.benchmarks.test_drift import load


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_worker_and_plan_are_measured(monkeypatch, capfd):
    pytest.importorskip("skia")

    def printed(*arguments):
        monkeypatch.setattr(sys, "argv", ["shards.py", *arguments])
        load("shards").main()
        return capfd.readouterr().out

    told = printed("plan", "--images", "30", "--shard-size", "8")
    assert "30 ids in 4 shards:" in told and re.search(r"status, all done +\d+\.\d s", told)
    told = printed("worker", *"--images 16 --shard-size 8 --batch 4 --steps 1".split())
    assert "16 portraits of 128 px, 1 steps, batch 4:" in told
    rates = [float(rate) for rate in re.findall(r"([\d.]+) images a second", told)]
    assert len(rates) == 2 and min(rates) > 0
    assert re.search(r"MiB after the first shard, [+-]\d+\.\d % at the end", told)
    first = re.search(r"first part +([\d.]+) s after the start, of 8 images; ([\d.]+) s of", told)
    assert first and all(float(seconds) > 0 for seconds in first.groups())
