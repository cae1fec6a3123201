"""The data set: splits, views and cheap access."""

import pickle

import numpy as np
import pytest

from restyle.portraits.attributes import class_names, continuous_names, identity_names, sample
from restyle.portraits.dataset import SPLITS, Portraits


def test_splits_have_their_sizes_and_share_nobody() -> None:
    assert [len(Portraits(s)) for s in ("train", "val", "test")] == [10_000_000, 50_000, 50_000]
    ends = sorted((people.start, people.stop) for people in SPLITS.values())
    for (_, stop), (start, _) in zip(ends, ends[1:], strict=False):
        assert stop <= start


def test_an_item_knows_its_truth_before_anything_is_drawn() -> None:
    item = Portraits("val")[17]
    assert item.identity == SPLITS["val"].start + 17
    assert item.attributes == sample(item.identity)
    assert item.landmarks.shape == (5, 2)


def test_views_are_of_the_same_person() -> None:
    people = Portraits("test", size=32)
    first, other = people[5], people.view(5, 3)
    assert people.view(5, 0) == first
    assert other.identity == first.identity
    assert other.attributes != first.attributes
    for name in identity_names:
        assert getattr(other.attributes, name) == getattr(first.attributes, name)


def test_only_the_attributes() -> None:
    people = Portraits()
    vectors, labels = people.vectors([0, 9, 2])
    assert vectors.shape == (3, len(continuous_names))
    assert labels.shape == (3, len(class_names))
    assert np.array_equal(vectors[1], people[9].attributes.to_vector())
    assert np.array_equal(labels[2], people[2].attributes.to_labels())


def test_only_the_images() -> None:
    pytest.importorskip("skia", exc_type=ImportError)
    people = pickle.loads(pickle.dumps(Portraits(size=32, style="toon")))
    images = people.images(np.array([4, 1]))
    assert images.shape == (2, 32, 32, 3)
    assert images.dtype == np.uint8
    assert np.array_equal(images[1], people[1].image)
    assert not np.array_equal(images[0], people.images([4], k=2)[0])
    assert people.images([]).shape == (0, 32, 32, 3)


def test_captions_say_what_is_shown() -> None:
    for i in range(300):
        item = Portraits()[i]
        a, words = item.attributes, item.caption
        assert words.startswith("A portrait of a")
        assert words.endswith(".")
        assert ("round glasses" in words) == (a.glasses == "thin")
        assert ("full beard" in words) == (a.beard == "full")
        assert ("bald" in words) == (a.hair_style == "bald")
        assert ("smiling" in words) == (a.smile > 0.3)
        assert ("looking to the left" in words) == (a.yaw <= -9)


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="train, val, test, got 'dev'"):
        Portraits("dev")
    with pytest.raises(ValueError, match="got 'oil'"):
        Portraits(style="oil")
    with pytest.raises(IndexError):
        Portraits("val")[50_000]
    with pytest.raises(ValueError, match="got -1"):
        Portraits("val").view(0, -1)
