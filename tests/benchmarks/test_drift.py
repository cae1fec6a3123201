"""Benchmarks run as their first lines say; what they measure is nothing to test."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def drift(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    spec = importlib.util.spec_from_file_location("drift", ROOT / "benchmarks" / "drift.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
