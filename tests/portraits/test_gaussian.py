"""Portraits as normal vectors."""

import numpy as np
import pytest

from restyle.portraits import Portraits
from restyle.portraits.attributes import SCHEMA, Continuous, continuous_names
from restyle.portraits.gaussian import WIDTH, meanings, normal_vectors

PEOPLE = [Portraits("train")[i] for i in range(1500)]
ROOM = 2 * WIDTH


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return normal_vectors(PEOPLE, ROOM)


def test_vectors_of_random_portraits_are_normal(vectors) -> None:
    assert vectors.shape == (1500, ROOM)
    assert np.abs(vectors.mean(axis=0)).max() < 0.12
    assert np.abs(vectors.std(axis=0) - 1).max() < 0.12
    assert np.abs(np.corrcoef(vectors.T) - np.eye(ROOM)).max() < 0.14
    np.testing.assert_allclose((vectors**2).mean(axis=1), 1, rtol=1e-5)


def test_every_attribute_can_be_read_from_the_vector(vectors) -> None:
    values, labels = meanings(5 * vectors)  # their length does not matter
    true = Portraits("train").vectors(range(1500))
    np.testing.assert_allclose(values, true[0], atol=0.06)  # the ends of bells are cut off
    assert np.array_equal(labels, true[1])
    assert values.shape[1] == len(continuous_names)


def test_random_vectors_mean_random_portraits() -> None:
    values, labels = meanings(np.random.default_rng(0).standard_normal((4000, ROOM)))
    true = Portraits("train").vectors(range(4000))
    np.testing.assert_allclose(values.mean(axis=0), true[0].mean(axis=0), atol=0.05)
    np.testing.assert_allclose(values.std(axis=0), true[0].std(axis=0), atol=0.05)
    shares = [[np.bincount(column) / 4000 for column in numbers.T] for numbers in (labels, true[1])]
    for found, wanted in zip(*shares, strict=True):
        np.testing.assert_allclose(found, wanted, atol=0.04)


def test_ranks_are_those_of_the_distribution() -> None:
    for name, spec in SCHEMA.items():
        if isinstance(spec, Continuous):
            ranks = np.sort([spec.rank(getattr(p.attributes, name)) for p in PEOPLE])
            uniform = (np.arange(len(ranks)) + 0.5) / len(ranks)
            assert np.abs(ranks - uniform).max() < 0.05, name
            assert (spec.rank(spec.low), spec.rank(spec.high)) == (0, 1)


def test_a_portrait_becomes_the_same_vector_wherever_it_stands(vectors) -> None:
    again = normal_vectors([PEOPLE[7], PEOPLE[3]], ROOM)
    assert np.array_equal(again, vectors[[7, 3]])


def test_a_narrow_vector_is_refused() -> None:
    with pytest.raises(ValueError, match=f"expected at least {WIDTH} entries, got 8"):
        normal_vectors(PEOPLE[:1], 8)
