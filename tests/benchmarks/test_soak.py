"""Two visitors for a few seconds: nothing is lost, and what is wrong is noticed."""

import importlib.util
import sys
from pathlib import Path

import pytest

pytest.importorskip("gradio")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def soak():
    spec = importlib.util.spec_from_file_location("soak", ROOT / "benchmarks" / "soak.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["soak"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["soak"]


@pytest.mark.slow
def test_visitors_get_what_is_theirs(soak, monkeypatch, capsys):
    monkeypatch.setattr(soak, "PAUSE", (0.1, 0.2))
    monkeypatch.setattr(sys, "argv", ["soak.py", "--visitors", "2", "--minutes", "0.4"])
    with pytest.raises(SystemExit) as caught:
        soak.main()
    out = capsys.readouterr().out
    assert caught.value.code == 0, out
    assert "edits: " in out and "swapped" not in out and "95 % within" in out


def test_what_is_lost_or_swapped_is_a_failure(soak, capsys):
    good = soak.Tally(memory=[(0, 1.0)] * 4, slider=[0.1])
    good.counts["edits"] = 3
    assert soak.report(good) == 0
    for name in ("swapped", "lost: busy", "hostile, DONE"):
        bad = soak.Tally(memory=[(0, 1.0)] * 4)
        bad.counts[name] = 1
        assert soak.report(bad) == 1
    assert soak.report(soak.Tally(memory=[(0, 1.0)] * 4, problems=["visitor 1: gone"])) == 1
    assert "visitor 1: gone" in capsys.readouterr().out
