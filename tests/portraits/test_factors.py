"""Portraits as normal vectors."""

import numpy as np
import pytest

from restyle.portraits import Portraits
from restyle.portraits.attributes import SCHEMA, Classes, Continuous, class_names, continuous_names
from restyle.portraits.factors import WIDTH, advantages, normal_vectors

PEOPLE = [Portraits("train")[i] for i in range(1500)]


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return normal_vectors(PEOPLE, WIDTH + 3)


def test_vectors_of_random_portraits_are_normal(vectors) -> None:
    assert vectors.shape == (1500, WIDTH + 3)
    assert np.abs(vectors.mean(axis=0)).max() < 0.12
    assert np.abs(vectors.std(axis=0) - 1).max() < 0.12
    assert np.abs(np.corrcoef(vectors.T) - np.eye(WIDTH + 3)).max() < 0.14


def test_every_attribute_can_be_read_from_the_vector(vectors) -> None:
    place = 0
    for name, spec in SCHEMA.items():
        values = [getattr(portrait.attributes, name) for portrait in PEOPLE]
        if isinstance(spec, Classes):
            count = len(spec.names)
            entries = vectors[:, place : place + count] + advantages(spec.shares)
            assert [spec.names[k] for k in entries.argmax(axis=1)] == values, name
            place += count
        else:
            order = np.argsort(values)
            assert (np.diff(vectors[order, place]) >= 0).all(), name
            place += 1
    assert place == WIDTH == len(continuous_names) + sum(map(len, class_names.values()))


def test_ranks_are_those_of_the_distribution() -> None:
    for name, spec in SCHEMA.items():
        if isinstance(spec, Continuous):
            ranks = np.sort([spec.rank(getattr(p.attributes, name)) for p in PEOPLE])
            uniform = (np.arange(len(ranks)) + 0.5) / len(ranks)
            assert np.abs(ranks - uniform).max() < 0.05, name
            assert (spec.rank(spec.low), spec.rank(spec.high)) == (0, 1)


def test_a_portrait_becomes_the_same_vector_wherever_it_stands(vectors) -> None:
    again = normal_vectors([PEOPLE[7], PEOPLE[3]], WIDTH + 3)
    assert np.array_equal(again, vectors[[7, 3]])


def test_a_narrow_vector_is_refused() -> None:
    with pytest.raises(ValueError, match=f"expected at least {WIDTH} entries, received 8"):
        normal_vectors(PEOPLE[:1], 8)
