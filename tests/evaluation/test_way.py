import numpy as np
import pytest
import torch

from restyle.evaluation.analysis import analyse
from restyle.evaluation.settings import LoopAnalysis
from restyle.evaluation.way import Way
from restyle.hub.registry import load
from restyle.inversion import curvature


@pytest.fixture
def model(model_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(curvature, "PROBES", 64)
    return load(model_folder, "cpu")


def images(count):
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_a_step_to_the_end_adds_all_of_the_way(model):
    found = Way(model, "restyle:1").measure(images(3))
    assert {key: values.shape for key, values in found.items()} == dict.fromkeys(
        ("way:residual", "way:added", "way:gradient"), (3, 5)
    )
    np.testing.assert_allclose(found["way:residual"][:, 0], 1, atol=1e-4)
    np.testing.assert_allclose(found["way:added"][:, 0], 1, atol=1e-4)


def test_the_gradient_points_where_an_iteration_goes(model):
    found = Way(model, "newton:1@inner=1").measure(images(3))
    np.testing.assert_allclose(found["way:gradient"][:, 0], 1, atol=1e-3)
    assert (found["way:residual"][:, 0] < 0.999).all()


def test_the_way_is_measured_where_a_method_is_named(model, model_folder, tmp_path):
    settings = {"images": 2, "steps": 10, "batch_size": 1, "device": "cpu"}
    far = analyse(LoopAnalysis(model_folder, towards="ws:3", out=tmp_path / "far", **settings))
    rows = far.results["way"]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5]
    assert "What is missing" in far.text()
    assert "the codes where ws:3 ends" in (tmp_path / "far" / "report.html").read_text()
    found = Way(model, "ws:3").measure(images(2))["way:added"]
    assert np.isfinite(found).all() and (found <= 1).all()


def test_a_tuned_generator_has_other_codes(model):
    with pytest.raises(ValueError, match="towards: expected a method that finds codes alone"):
        Way(model, "restyle:1+pti:1")
