"""Benchmarks run as their first lines say; what they measure is nothing to test."""

import importlib.util
import os
import signal
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def drift(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return load("drift")


def test_drift_takes_models_files_and_folders(drift, monkeypatch, capsys, tmp_path):
    picture = ROOT / "examples" / "portraits" / "00000003.png"
    (tmp_path / "one.png").write_bytes(picture.read_bytes())
    options = ["portraits", str(picture), str(tmp_path), "--steps", "1", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", ["drift.py", *options])
    drift.main()
    header, _, exact, half = capsys.readouterr().out.splitlines()
    assert "drift of codes" in header
    assert exact.endswith("| 0.00e+00 | 0.00e+00 |")
    codes, images = (float(cell) for cell in half.split("|")[3:5])
    assert 0 < codes < 0.1 and 0 < images < 0.1


def hang(path):
    time.sleep(60)


def leak(path):
    raise KeyError("x")


def crash(path):
    os.kill(os.getpid(), signal.SIGKILL)


def allocate(path):
    return bytes(2**31)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
@pytest.mark.parametrize(
    ("read", "group"),
    [(hang, "hang"), (leak, "leak"), (crash, "crash"), (allocate, "leak"), (str, "read")],
)
def test_fuzzing_notices_what_goes_wrong(monkeypatch, capsys, tmp_path, read, group):
    fuzz = load("fuzz")
    monkeypatch.setattr(fuzz, "SECONDS", 0.5)
    tally = fuzz.Tally(tmp_path / "kept")
    fuzz.fuzz([fuzz.Kind("kind", b"content", read)], tmp_path, tally, seconds=0.2, count=1)
    assert tally.total() == tally.total(group) > 0
    assert len(list(tmp_path.glob("kept/*"))) == (0 if group == "read" else tally.total())
    assert tally.report() == (group != "read")
