"""Runtimes are compared by the same pictures; those that are not installed are left out."""

import importlib.util
import time
from pathlib import Path

import pytest

from tests.tiny import tiny_model

pytest.importorskip("onnxruntime")

PLACE = Path(__file__).parents[2] / "benchmarks" / "runtimes.py"


@pytest.fixture
def runtimes():
    spec = importlib.util.spec_from_file_location("runtimes", PLACE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_runtime_gets_its_turns(runtimes):
    model = tiny_model()
    calls = []

    class Other:
        def encode(self, pair, *before):
            calls.append(len(pair))
            return model.encode(pair, *before)

        generate = staticmethod(model.generate)

    found = runtimes.in_turns({"ours": model, "other": Other()}, model, time.perf_counter, 3)
    assert calls == [1] * 4  # one to warm up
    for encoder, generator, whole in found.values():
        assert 0 < encoder < whole and 0 < generator < whole


def test_another_picture_is_no_comparison(runtimes):
    model = tiny_model()
    with pytest.raises(ValueError, match="wrong: expected the model's own picture"):
        runtimes.in_turns({"wrong": tiny_model(1)}, model, time.perf_counter, 1)


def test_what_is_not_installed_is_left_out(runtimes, monkeypatch, capsys):
    there = {"onnxruntime": object(), "openvino": None}
    monkeypatch.setattr(runtimes, "find_spec", there.get)
    assert [*runtimes.available()] == ["onnxruntime"]
    assert "OpenVINO is not installed" in capsys.readouterr().out
