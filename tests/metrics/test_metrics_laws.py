"""What holds for all images and features."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restyle.metrics.distributions import frechet_distance, precision_recall
from restyle.metrics.intervals import bootstrap_mean
from restyle.metrics.pixels import psnr

seeds = st.integers(0, 10_000)


@given(seeds, st.floats(0.01, 1))
def test_less_noise_is_more_decibels(seed, size):
    rng = torch.Generator().manual_seed(seed)
    target = torch.rand(2, 3, 4, 4, generator=rng) - 0.5
    noise = (torch.rand(target.shape, generator=rng) - 0.5) * size
    assert (psnr(target + noise / 2, target) > psnr(target + noise, target)).all()
    assert psnr(target, target).eq(100).all()


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


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=20), st.floats(-50, 50))
@settings(max_examples=15)
def test_an_interval_moves_with_its_values(values, shift):
    values = np.asarray(values)
    found, moved = bootstrap_mean(values), bootstrap_mean(values + shift)
    assert found.low <= found.high
    np.testing.assert_allclose(np.array(moved), np.array(found) + shift, atol=1e-6)
