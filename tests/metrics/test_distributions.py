import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from restyle.metrics.distributions import frechet_distance, precision_recall


def sets(rows=(400, 300), width=6):
    rng = np.random.default_rng(0)
    first = rng.normal(size=(rows[0], width)) @ rng.normal(size=(width, width))
    second = rng.normal(size=(rows[1], width)) @ rng.normal(size=(width, width)) + 0.5
    return first, second


def test_frechet_distance_agrees_with_the_root_of_the_product():
    first, second = sets()
    a, b = np.cov(first.T), np.cov(second.T)
    expected = np.sum((first.mean(0) - second.mean(0)) ** 2)
    expected += np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-8)


def test_frechet_distance_in_one_dimension():
    first, second = (x[:, :1] for x in sets())
    means = (first.mean() - second.mean()) ** 2
    spreads = (first.std(ddof=1) - second.std(ddof=1)) ** 2
    assert frechet_distance(first, second) == pytest.approx(means + spreads)


def test_frechet_distance_of_singular_covariances():
    first, second = sets(rows=(4, 4), width=9)  # fewer images than features
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-4)
    assert frechet_distance(first, first + 2) == pytest.approx(9 * 4, rel=1e-4)
    assert np.isfinite(frechet_distance(first, second))


def covered(members, points, k):
    """The definition, pair by pair."""
    radii = [np.sort(np.linalg.norm(members - m, axis=1))[k] for m in members]  # [0] is itself
    inside = [
        any(np.linalg.norm(p - m) <= r for m, r in zip(members, radii, strict=True)) for p in points
    ]
    return np.mean(inside)


def test_precision_and_recall_agree_with_their_definition():
    real, fake = sets(rows=(60, 50), width=3)
    precision, recall = precision_recall(real, fake, neighbours=3)
    assert 0 < precision < 1 and 0 < recall < 1
    assert precision == pytest.approx(covered(real, fake, 3))
    assert recall == pytest.approx(covered(fake, real, 3))


def test_samples_of_one_mode_are_precise_but_recall_little():
    rng = np.random.default_rng(0)
    real = np.concatenate([rng.normal(0, 1, (200, 2)), rng.normal(50, 1, (200, 2))])
    precision, recall = precision_recall(real, rng.normal(0, 1, (400, 2)))
    assert precision > 0.9 and 0.4 < recall < 0.55


def test_sets_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"at least 4 feature vectors, got \(3, 2\)"):
        precision_recall(np.zeros((3, 2)), np.zeros((9, 2)))
    with pytest.raises(ValueError, match=r"got \(9, 3\) and \(9, 2\)"):
        frechet_distance(np.zeros((9, 3)), np.zeros((9, 2)))


# Laws


seeds = st.integers(0, 10_000)


@given(seeds)
@settings(max_examples=20)
def test_the_distance_is_symmetric_and_zero_for_equals(seed):
    first, second = np.random.default_rng(seed).normal(size=(2, 12, 3))
    there, back = frechet_distance(first, second), frechet_distance(second, first)
    assert there == pytest.approx(back, abs=1e-8) and there > 0
    assert frechet_distance(first, first[::-1]) == pytest.approx(0, abs=1e-8)


@given(seeds)
@settings(max_examples=10)
def test_precision_of_one_is_recall_of_the_other(seed):
    first, second = np.random.default_rng(seed).normal(size=(2, 12, 3))
    assert precision_recall(first, second) == precision_recall(second, first)[::-1]
