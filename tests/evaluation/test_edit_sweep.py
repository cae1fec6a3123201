"""How pictures respond to edits whose effect is known."""

from dataclasses import replace

import numpy as np
import torch

from restyle.editing.directions import Direction
from restyle.evaluation.attributes import NAMES, Reader
from restyle.evaluation.edit_sweep import Sweep, flips, in_batches, matched_drift, rises, sweep
from restyle.evaluation.edited_portraits import STRENGTHS
from tests.evaluation.stubs import Pixels, linear_sweep
from tests.tiny import tiny_generator


def test_slopes_and_rises():
    found = linear_sweep([0.5, 2.0, -1.0])
    assert np.allclose(found.slope(), [0.5, 2.0, -1.0])
    assert found.rises().tolist() == [True, True, False]


def test_a_curve_that_wavers_where_nothing_is_left_to_change_rises():
    assert rises(np.array([-0.414, -0.415, 0.0, 0.3, 0.3]))
    assert not rises(np.array([-0.4, -0.45, 0.0, 0.3, 0.4]))
    assert rises(np.array([[0.0, 0.0], [1.0, -1.0]])).tolist() == [True, False]


def test_what_is_hidden_before_or_after_an_edit_does_not_drift():
    found = linear_sweep([1.0, 1.0])
    shown = np.ones(found.readings.shape, bool)
    shown[3:, 0, 1] = False  # hidden by the edit of the first picture, from strength 1 on
    shown[2, 1, 2] = False  # the second picture did not show it before
    masked = replace(found, shown=shown)
    readings, _ = masked.at(np.array([1.0, 1.0]))
    assert np.isnan(readings).tolist() == [[False, True, False], [False, False, True]]
    moved, _, reached = matched_drift(masked)
    assert reached.all() and np.allclose(moved[1:], [0.5, 0.0])
    # Pictures that do not show the asked attribute are not asked.
    shown[2, 0, 0] = False
    assert len(matched_drift(masked)[2]) == 2 and masked.visible.tolist() == [False, True]


def test_the_strength_for_a_change_is_the_smallest_one():
    found = linear_sweep([0.5, 2.0, 0.1])
    assert np.allclose(found.strength_for(np.ones(3)), [2.0, 0.5, np.nan], equal_nan=True)
    assert np.allclose(found.strength_for(-np.ones(3)), [-2, -0.5, np.nan], equal_nan=True)
    assert found.strength_for(np.zeros(3)).tolist() == [0, 0, 0]
    readings, identity = found.at(np.array([2.0, 0.5, np.nan]))
    assert np.allclose(readings[:2, 1], [0.5, 0.5]) and np.isnan(readings[2]).all()
    assert np.allclose(identity[:2], [0.9, 0.9])


def test_drift_at_matched_change_does_not_depend_on_the_slope():
    for slopes in ([0.5, 0.6], [2.0, 1.0]):
        moved, identity, reached = matched_drift(linear_sweep(slopes))
        assert np.allclose(moved[1:], [0.5, 0.0]) and np.isnan(moved[0])
        assert reached.all() and np.allclose(identity, 0.9)


def test_a_sweep_reads_the_edited_pictures():
    generator, reader = tiny_generator(), Reader(Pixels())
    ws = generator.broadcast(torch.randn(40, 8))  # more than a batch
    direction = Direction("yaw", torch.randn(8), 1.0)
    known = in_batches(generator.synthesis, ws, reader)
    found = sweep(generator.synthesis, ws, direction, [-1.0, 0.0, 1.0], reader, known)
    assert found.own == 17 and np.array_equal(found.before, known.values)
    assert found.readings.shape == (3, 40, len(NAMES))
    with torch.no_grad():
        expected = reader(generator.synthesis(ws + direction.vector)).values
    assert np.allclose(found.readings[2], expected, atol=1e-4)
    assert np.allclose(found.identity[1], 1, atol=1e-5) and (found.identity[2] < 0.9999).any()


def test_an_accessory_flips_only_where_the_person_stays():
    strengths = np.array(STRENGTHS)
    readings = np.zeros((9, 3, len(NAMES)))
    own = NAMES.index("hat")
    readings[6:, :2, own] = 3.0  # there, from strength 2 on
    identity = np.ones((9, 3))
    identity[6:, 1] = 0.4
    shown = np.ones(readings.shape, bool)
    found = Sweep(strengths, readings, identity, own, shown)
    assert flips(found, "hat").tolist() == [1, 0, 0]
    back = Sweep(
        strengths, readings[::-1], np.ones((9, 3)), own, shown
    )  # appears as strength falls
    assert flips(back, "hat").tolist() == [0, 0, 0]
    assert np.isnan(flips(found, "smile")).all()
