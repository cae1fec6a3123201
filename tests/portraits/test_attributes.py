"""The schema and the sampler."""

import numpy as np
import pytest

from restyle.portraits.attributes import (
    SCHEMA,
    Attributes,
    Classes,
    class_names,
    continuous_names,
    identity_names,
    sample,
)

GOLDEN = {  # of the view 6 of person 12345: the data set must never change
    "skin_tone": 0.6463801884227345,
    "yaw": 14.027320334886774,
    "hair_colour": "red",
    "hair_style": "bald",
}


def test_the_sampler_draws_the_same_people_on_every_machine() -> None:
    a = sample(12345, 6)
    assert a == sample(12345, 6)
    assert a.skin_tone == pytest.approx(GOLDEN["skin_tone"], abs=0)
    assert a.yaw == pytest.approx(GOLDEN["yaw"], abs=0)
    assert (a.hair_colour, a.hair_style) == (GOLDEN["hair_colour"], GOLDEN["hair_style"])


def test_views_keep_the_identity_and_change_all_else() -> None:
    one, other = sample(7, 0), sample(7, 1)
    for name, spec in SCHEMA.items():
        if name in identity_names:
            assert getattr(one, name) == getattr(other, name)
        elif not isinstance(spec, Classes):
            assert getattr(one, name) != getattr(other, name)


def test_values_are_in_range_and_classes_have_their_shares() -> None:
    people = [sample(i) for i in range(4000)]
    for name in continuous_names:
        spec = SCHEMA[name]
        values = np.array([getattr(p, name) for p in people])
        assert spec.low <= values.min()
        assert values.max() <= spec.high
        assert values.std() > 0.15 * (spec.high - spec.low)
    for name, classes in class_names.items():
        shares = [np.mean([getattr(p, name) == c for p in people]) for c in classes]
        assert shares == pytest.approx(SCHEMA[name].shares, abs=0.03)
        assert sum(SCHEMA[name].shares) == pytest.approx(1)


def test_attributes_are_drawn_independently() -> None:
    vectors = np.stack([sample(i).to_vector() for i in range(2000)])
    correlation = np.corrcoef(vectors.T) - np.eye(len(continuous_names))
    assert np.abs(correlation).max() < 0.12


def test_vectors_and_labels_lead_back_to_the_attributes() -> None:
    a = sample(99)
    vector, labels = a.to_vector(), a.to_labels()
    assert vector.shape == (len(continuous_names),)
    assert vector.dtype == np.float32
    assert np.abs(vector).max() <= 1
    again = Attributes.from_vectors(vector, labels)
    assert np.allclose(again.to_vector(), vector, atol=1e-6)
    assert np.array_equal(again.to_labels(), labels)


def test_the_average_face_is_the_zero_vector() -> None:
    assert np.allclose(Attributes().to_vector(), 0)


def test_with_changes_only_what_is_named_and_checks_it() -> None:
    a = Attributes().with_(smile=0.5, hat="beanie")
    assert (a.smile, a.hat, a.yaw) == (0.5, "beanie", 0)
    with pytest.raises(ValueError, match="smile: expected -1 to 1, got 3"):
        a.with_(smile=3)
    with pytest.raises(ValueError, match="hat: expected one of none, brimmed, beanie"):
        a.with_(hat="crown")
    with pytest.raises(ValueError, match="got 'height'"):
        a.with_(height=1)
