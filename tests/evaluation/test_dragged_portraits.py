"""Drags against the truth, with a judge whose readings are known."""

import json

import numpy as np
import pytest
import torch

from restyle.evaluation import dragged_portraits
from restyle.evaluation.dragged_portraits import (
    FIGURES,
    KINDS,
    Kind,
    chosen_points,
    report_on,
    truly_changed,
)
from restyle.evaluation.settings import DragEvaluation
from restyle.portraits.attributes import sample
from restyle.portraits.keypoints import COUNT, face_points
from tests.evaluation.stubs import Pixels

pytest.importorskip("skia")


class Middle(Pixels):
    """Sees every point in the middle of the picture."""

    def heads(self, images):
        return {**super().heads(images), "points": torch.zeros(len(images), COUNT, 2)}


@pytest.fixture
def evaluate(run, model_folder, monkeypatch, tmp_path):
    monkeypatch.setattr(dragged_portraits, "load_features", lambda name: Middle())

    def call(*arguments):
        line = ("--model", model_folder, "--images", 2, "--steps", 2, "--device", "cpu")
        return run("evaluate", "drag", *line, "--out", tmp_path / "out", *arguments)

    return call


def test_distances_are_those_of_the_judge_in_pixels(evaluate, tmp_path):
    result = evaluate()
    assert result.code == 0, result.err
    assert "Distance of points to the truth, in pixels" in result.out
    results = json.loads((tmp_path / "out/results.json").read_text())
    from restyle.portraits import Portraits

    expected, turn = [], KINDS["turn"]
    for index in range(2):
        person = Portraits("test", size=16)[index].attributes
        _, _, places = chosen_points(person, truly_changed(person, turn), turn, 3.0)
        expected.append(np.linalg.norm(places, axis=1).mean() * 8)
    found = results["turn"]
    assert found["before"]["mean"] == pytest.approx(np.mean(expected), rel=1e-4)
    assert found["after"] == found["before"] and found["left"] == pytest.approx(1)
    assert found["judge"] == pytest.approx(found["before"]["mean"])
    assert found["count"] == 2 and 0 < found["steps"] <= 2
    assert results["all"]["count"] >= 2
    assert found["direction_mse"] is None  # the tiny model has no directions
    assert len(list((tmp_path / "out/examples").glob("*turn.png"))) == 2


def test_what_is_done_is_not_done_again_and_other_settings_are_refused(evaluate, monkeypatch):
    evaluate()
    monkeypatch.setattr(dragged_portraits.Person, "drag", lambda *_: pytest.fail("done again"))
    assert evaluate().code == 0
    refused = evaluate("--least", 5)
    assert refused.code == 2 and "least" in refused.err


@pytest.mark.parametrize("name", KINDS)
def test_the_true_change_crosses_the_middle(name):
    kind = KINDS[name]
    for person in map(sample, range(20)):
        other = truly_changed(person, kind)
        differing = {n for n in person.__slots__ if getattr(person, n) != getattr(other, n)}
        assert differing == set(kind.attributes)


def test_the_points_that_move_farthest_are_chosen():
    person = sample(3)
    kind = KINDS["turn"]
    other = truly_changed(person, kind)
    chosen, before, after = chosen_points(person, other, kind, 3.0)
    assert len(chosen) == 8
    moved = np.linalg.norm(after - before, axis=1) * 64
    assert (np.diff(moved) <= 0).all() and moved[-1] >= 3
    assert np.array_equal(before, face_points(person)[chosen])
    assert chosen_points(person, person, kind, 3.0)[0] == []
    few = Kind(kind.attributes, (18, 21))
    assert set(chosen_points(person, other, few, 3.0)[0]) <= {18, 21}


def test_kinds_without_points_are_left_out(tmp_path):
    arrays = {key: np.full((3, len(KINDS)), np.nan) for key in FIGURES}
    for key in FIGURES:
        arrays[key][:2, 2] = [1.0, 2.0]
    arrays["after"][:2, 2] = 0.5
    arrays["identity"][:2, 2] = [0.9, 0.7]
    report = report_on(arrays, DragEvaluation(images=3, out=tmp_path))
    assert set(report.results) == {"turn", "all"}
    assert report.results["turn"]["left"] == pytest.approx(1 / 3)
    assert report.results["turn"]["same"] == 0.5
    assert report.results["all"]["count"] == 2
