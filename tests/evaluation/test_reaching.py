from types import SimpleNamespace

import numpy as np
import pytest

from restyle.evaluation.reaching import reaching_table, time_to_reach
from restyle.evaluation.runner import Outcome


def entry(name):
    return SimpleNamespace(name=name, parts=[part.partition(":")[0] for part in name.split("+")])


def outcome(seconds, objective, images="abc"):
    columns = np.ones(len(images))
    steps = np.arange(len(seconds))
    values = {"objective": np.outer(objective, columns)}
    return Outcome(list(images), steps, np.outer(seconds, columns), values)


def test_the_first_step_that_is_as_low_is_the_one_that_counts():
    outcomes = {
        "restyle:2+ws:100": outcome([0, 4.0, 8.0], [9, 5, 2.0], "abcd"),
        "restyle:2": outcome([0, 0.1, 0.2], [9, 6, 5]),
        "restyle:2+newton:3": outcome([0, 0.1, 0.2, 0.5, 1.0], [9, 6, 5, 2.1, 1.9]),
        "newton:1": outcome([0, 0.5], [9, 2.2]),
    }
    rows = time_to_reach([entry(name) for name in outcomes], outcomes, ["mse", "objective"])
    assert [row["method"] for row in rows] == ["restyle:2+newton:3", "newton:1"]
    both, near = rows
    assert both["optimisation"] == "restyle:2+ws:100" and both["images"] == 3
    assert (both["equal_step"], both["equal_times_faster"]) == (4, pytest.approx(8))
    assert (both["near_step"], both["near_times_faster"]) == (3, pytest.approx(16))
    assert "equal_step" not in near and near["near_seconds"] == 0.5
    text = reaching_table(rows).text()
    assert "within 10%: step" in text and "restyle:2+newton:3" in text
    assert time_to_reach([entry(name) for name in outcomes], outcomes, ["mse"]) == []
