"""The share of identity that survives, on readings that are known."""

import pytest
import torch

from restyle.portraits.attributes import class_names, identity_names
from restyle.portraits.cross_domain import surviving_identity


class Reader:
    """Reads from the first pixels what the test has written there."""

    def attributes(self, images):
        row = images.flatten(1)
        found = {name: row[:, i] for i, name in enumerate(identity_names)}
        for name in set(class_names) & set(identity_names):
            at = identity_names.index(name)
            bins = (row[:, at, None] * len(class_names[name])).long()
            ids = torch.arange(len(class_names[name]))
            found[name] = (bins == ids).float()
        return found


def people(count=400):
    return torch.rand(count, 3, 4, 4)


def test_the_same_pictures_keep_everything():
    images = people()
    shares = surviving_identity(Reader(), images, images)
    assert shares.keys() == {*identity_names, "mean"}
    assert all(share == pytest.approx(1) for share in shares.values())


def test_other_people_share_nothing():
    shares = surviving_identity(Reader(), people(), people())
    assert max(shares.values()) < 0.15


def test_a_shift_for_everybody_loses_nobody():
    images = people()
    moved = images.clone()
    at = identity_names.index("eye_size")
    moved.flatten(1)[:, at] = images.flatten(1)[:, at] * 2 + 5
    assert surviving_identity(Reader(), images, moved)["eye_size"] == pytest.approx(1)
    turned = images.clone()
    turned.flatten(1)[:, at] *= -1
    assert surviving_identity(Reader(), images, turned)["eye_size"] == 0


def test_classes_count_beyond_chance():
    images = people()
    other = images.clone()
    at = identity_names.index("hair_colour")
    half = torch.arange(len(images)) % 2 == 0
    other.flatten(1)[half, at] = torch.rand(int(half.sum()))
    share = surviving_identity(Reader(), images, other)["hair_colour"]
    assert share == pytest.approx(0.5, abs=0.1)


def test_people_must_be_the_same():
    with pytest.raises(ValueError, match="got 3 and 2"):
        surviving_identity(Reader(), people(3), people(2))
