"""The harness notices what it is there to notice."""

import numpy as np
import pytest

from . import cases


def case(**arrays):
    outputs = {"x": {"full_shape": [2, 4], "stored": "[..., ::2]", "atol": 1e-3, "rtol": 0.0}}
    return cases.Case({}, {}, {}, outputs, arrays)


def test_a_thinned_output_agrees_in_what_is_stored():
    x = np.arange(8.0).reshape(2, 4)
    case(x=x[..., ::2]).check("x", x)
    with pytest.raises(AssertionError, match="2 times the tolerance"):
        case(x=x[..., ::2] + 2e-3).check("x", x)


def test_statistics_cover_what_is_not_stored():
    x = np.arange(8.0).reshape(2, 4)
    stats = np.array([[1.5, x[0].std(), 0, 3, 1.5], [5.5, x[1].std(), 4, 7, 5.5]])
    arrays = {"x": x[..., ::2], "x.stats": stats}
    case(**arrays).check("x", x)
    x[0, 1] += 1
    with pytest.raises(AssertionError, match="x.stats"):
        case(**arrays).check("x", x)


def test_another_shape_is_no_agreement():
    x = np.zeros((4, 2))
    with pytest.raises(AssertionError, match=r"\(4, 2\)"):
        case(x=x).check("x", x)


def test_a_required_case_that_is_absent_fails():
    with pytest.raises(AssertionError, match="no such cases"):
        cases.load(None)
