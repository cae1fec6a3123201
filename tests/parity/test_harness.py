"""The harness notices what it is there to notice."""

import numpy as np
import pytest
import torch

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


def test_an_output_that_the_case_does_not_list_is_not_compared():
    case(x=np.zeros((2, 2))).check("y", np.ones(3))


def test_an_output_that_is_listed_has_to_be_compared():
    one = case(x=np.zeros((2, 2)))
    one.check("y", np.ones(3))
    with pytest.raises(AssertionError, match="not compared: x"):
        one.finish()
    one.check("x", np.zeros((2, 4)))
    one.finish()


def test_a_case_of_another_folder_may_list_more(monkeypatch, tmp_path):
    monkeypatch.setattr(cases, "FOLDER", tmp_path)
    one = case(x=np.zeros((2, 2)))
    with pytest.raises(AssertionError, match="not compared: x"):
        one.finish()
    one.check("x", np.zeros((2, 4)))
    one.outputs["z"] = {}
    one.finish()


def test_images_are_pooled_where_the_case_says_so():
    small = torch.tensor([[0.0, 1.0], [2.0, 3.0]]).expand(1, 3, 2, 2)
    one = case()
    one.params["resize"] = False
    assert one.resized(small) is small
    one.params["resize"] = True
    large = one.resized(small)
    assert large.shape == (1, 3, 256, 256)
    assert large[0, 0, :128, :128].eq(0).all() and large[0, 0, 128:, 128:].eq(3).all()


def test_a_family_without_cases_is_an_error():
    with pytest.raises(ValueError, match="expected cases none_, got none"):
        cases.cases("none_")


def test_inputs_and_weights_are_those_of_the_recipe():
    fill = cases._fill()
    words = [6956258006822380347, 14225782475935828188, 10427611033802250593]
    assert fill.words("input.x", 3, 2001).tolist() == words
    assert fill.uniform("a", [3], 7).tolist() == pytest.approx(
        [0.45573222637176514, 0.85127854347229, 0.9471538066864014], abs=0
    )


def test_every_case_has_its_numbers():
    described = {path.stem for path in cases.HERE.glob("*.json")}
    assert len(described) > 30
    assert described == {path.stem for path in cases.HERE.glob("*.npz")}
