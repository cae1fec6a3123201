"""The variants of a direction, and which of them is chosen."""

import numpy as np
import pytest

from restyle.evaluation.attributes import NAMES
from restyle.evaluation.direction_search import candidates, layer_groups, linear_model, selection
from tests.evaluation.stubs import linear_sweep


def test_a_variant_is_chosen_by_its_drift():
    assert selection(linear_sweep([0.1])) == (True, float("inf"))
    assert selection(linear_sweep([-1.0])) == (True, float("inf"))
    # One picture of four gets there: its drift says little about the direction.
    slopes = ([2.0, 0.1, 0.1, 0.1], [2.0] * 4)
    (_, few), (dropped, all_) = (selection(linear_sweep(s)) for s in slopes)
    assert few == pytest.approx(4 * all_) and not dropped
    # What changes something else as much is worse than anything that does not.
    both = linear_sweep([2.0])
    both.readings[..., 1] *= 2
    assert selection(both)[0] and selection(both) > (False, few)


def test_variants_hold_others_still_more_and_more():
    rng = np.random.default_rng(0)
    w = rng.normal(size=(3000, 60)).astype(np.float32)
    labels = np.full((3000, len(NAMES)), np.nan)
    smile, age = NAMES.index("smile"), NAMES.index("age")
    labels[:, smile], labels[:, age] = w[:, 0], w[:, 0] + w[:, 1]
    effects = linear_model(w, labels)
    assert np.allclose(effects[smile][:2], [1, 0], atol=0.05)
    assert np.allclose(effects[age][:2], [0.7071, 0.7071], atol=0.05)
    normals = {"smile": np.eye(60)[0], "age": (np.eye(60)[0] + np.eye(60)[1]) / 2**0.5}
    found = candidates("smile", normals, effects)
    assert [how for _, how in found] == [
        "",
        ", others held still with weight 1",
        ", others held still with weight 4",
        ", others held still with weight 16",
        ", conditional on all others",
    ]
    entangled = [abs(vector @ normals["age"]) for vector, _ in found]
    assert entangled == sorted(entangled, reverse=True) and entangled[-1] < 1e-6
    assert all(vector @ normals["smile"] > 0.7 for vector, _ in found)
    assert len(candidates("smile", {"smile": normals["smile"]}, effects)) == 1


def test_layers_are_tried_in_neighbouring_groups():
    assert layer_groups(6) == [(0, 1, 2, 3), (4, 5)]
    ends = [(rows[0], rows[-1]) for rows in layer_groups(10)]
    assert ends == [(0, 3), (0, 7), (4, 7), (4, 9), (8, 9)]
