"""What plans cost follows from what an image costs; both are printed as tables."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def scale(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import scale

    return scale


def main(scale, monkeypatch, capsys, *arguments) -> str:
    monkeypatch.setattr(sys, "argv", ["scale.py", *map(str, arguments)])
    scale.main()
    return capsys.readouterr().out


def test_a_plan_is_so_many_images(scale):
    cost = scale.Cost(64, 3.6, 1.0, 5e6, 2e3)
    million = scale.a_plan([cost]).record()[0]
    assert (million["TB in"], million["TB out"]) == (5, 0.002)
    assert million["core-years"] == pytest.approx(3.6e6 / (365 * 86400))
    assert million["1 worker"] == "41.7 days" and million["1,024 workers"] == "58.6 minutes"
    assert scale.an_image([cost]).record()[0]["images a core and hour"] == 1000
    found = scale.limits([cost], 10_000).record()[0]
    assert found["looks/s"] == pytest.approx(1024**2 / 3600)
    # As many looks as the storage answers, with that many workers.
    assert found["workers at 10,000 looks/s"] ** 2 / 3600 == pytest.approx(10_000)


@pytest.mark.slow
def test_costs_are_measured(scale, monkeypatch, capsys):
    printed = main(scale, monkeypatch, capsys, "costs", "--sizes", "128:2")
    (row,) = [line for line in printed.splitlines() if line.startswith("| 128")][:1]
    seconds, _, read, written, _ = (float(cell.replace(",", "")) for cell in row.split("|")[2:-1])
    assert seconds > 0 and 1 < read < 100
    assert 1 < written < 20  # 10 codes of 128 halves, and what else a row has


def test_failures_are_shown(scale, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(scale, "SIZES", (10, 100))
    options = (
        "--images",
        20_000,
        "--workers",
        16,
        "--shard-size",
        100,
        "--svg",
        tmp_path / "x.svg",
    )
    printed = main(scale, monkeypatch, capsys, "failures", *options)
    rows = [line for line in printed.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(scale.SCENARIOS)
    assert rows[2].split("|")[3].strip() == "1.04"  # 200 shards for 16 workers: 13 rounds
    assert "<svg" in (tmp_path / "x.svg").read_text()
