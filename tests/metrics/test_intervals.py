import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from restyle.metrics.intervals import bootstrap_mean, bootstrap_ratio


def test_interval_agrees_with_scipy():
    values = np.random.default_rng(0).exponential(size=200)
    found = bootstrap_mean(values)
    expected = bootstrap(
        (values,), np.mean, n_resamples=5000, method="percentile", rng=1
    ).confidence_interval
    assert found.mean == values.mean()
    assert found.low == pytest.approx(expected.low, abs=0.02)
    assert found.high == pytest.approx(expected.high, abs=0.02)


def test_interval_holds_the_true_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [bootstrap_mean(rng.normal(3, 1, 50)) for _ in range(60)]
    assert 0.85 < np.mean([i.low < 3 < i.high for i in intervals]) <= 1


def test_interval_is_the_same_every_time_and_prints_itself():
    assert bootstrap_mean(np.arange(9)) == bootstrap_mean(np.arange(9))
    assert f"{bootstrap_mean(np.ones(4)):.1f}" == "1.0 [1.0, 1.0]"


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [[1.0]]])
def test_values_that_have_no_mean_are_refused(values):
    with pytest.raises(ValueError, match="expected finite values"):
        bootstrap_mean(np.array(values))


def test_ratio_agrees_with_scipy():
    rng = np.random.default_rng(1)
    below = rng.exponential(size=200) + 1
    above = 0.8 * below + rng.normal(0, 0.1, 200)
    found = bootstrap_ratio(above, below)
    expected = bootstrap(
        (above, below),
        lambda a, b, axis=-1: a.mean(axis=axis) / b.mean(axis=axis),
        paired=True,
        n_resamples=5000,
        method="percentile",
        rng=1,
    ).confidence_interval
    assert found.mean == pytest.approx(above.mean() / below.mean())
    assert found.low == pytest.approx(expected.low, abs=2e-3)
    assert found.high == pytest.approx(expected.high, abs=2e-3)
    assert found.high - found.low < 0.05  # the images are resampled together


def test_ratios_need_as_many_of_both():
    with pytest.raises(ValueError, match=r"got shape \(2,\)"):
        bootstrap_ratio(np.ones(3), np.ones(2))


# Laws


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=20), st.floats(-50, 50))
@settings(max_examples=15)
def test_an_interval_moves_with_its_values(values, shift):
    values = np.asarray(values)
    found, moved = bootstrap_mean(values), bootstrap_mean(values + shift)
    assert found.low <= found.high
    np.testing.assert_allclose(np.array(moved), np.array(found) + shift, atol=1e-6)
