"""What a network reads in portraits, and what changes in truth."""

import numpy as np
import pytest
import torch

from restyle.evaluation.attributes import ACCESSORIES, NAMES, Reader, changed, deviation
from restyle.portraits.attributes import SCHEMA, Attributes, class_names, continuous_names
from restyle.portraits.visibility import visible
from tests.evaluation.stubs import Pixels
from tests.tiny import SIZE

ENDS = {name: (SCHEMA[name].low, SCHEMA[name].high) for name in continuous_names}  # pyright: ignore


def test_accessories_are_read_as_being_there():
    network = Pixels()
    readings, embeddings, shown = Reader(network)(torch.randn(5, 3, SIZE, SIZE))
    assert readings.shape == shown.shape == (5, len(NAMES)) and embeddings.shape == (5, 6)
    logits = network.heads(images := torch.randn(5, 3, SIZE, SIZE))["logits"]
    parts = logits.split([len(names) for names in class_names.values()], dim=1)
    glasses = dict(zip(class_names, parts, strict=True))["glasses"].softmax(dim=1)
    expected = (1 - glasses[:, 0]) / deviation("glasses")
    assert np.allclose(Reader(network)(images)[0][:, NAMES.index("glasses")], expected, atol=1e-5)
    assert deviation("glasses") == pytest.approx((0.65 * 0.35) ** 0.5)


def test_labels_leave_out_what_is_not_shown():
    network, images = Pixels(), torch.randn(200, 3, SIZE, SIZE)
    labels = Reader(network).labels(images)
    length = labels[:, NAMES.index("hair_length")]
    assert 0 < np.isnan(length).sum() < 200
    assert np.isfinite(labels[:, NAMES.index("smile")]).all()
    assert (Reader(network)(images).shown == np.isfinite(labels)).all()
    seen = network.attributes(images)
    classes = {name: seen[name].argmax(1).tolist() for name in class_names}
    people = [
        Attributes(
            **{name: seen[name][i].clamp(*ENDS[name]).item() for name in continuous_names},
            **{name: class_names[name][found[i]] for name, found in classes.items()},
        )
        for i in range(200)
    ]
    assert np.isnan(length).tolist() == [not visible(person)["hair_length"] for person in people]


@pytest.mark.parametrize("name", ["smile", "yaw", "age"])
def test_a_true_change_is_one_deviation(name):
    network, column = Pixels(), list(continuous_names).index(name)
    for person in (Attributes(), Attributes().with_(smile=1.0, yaw=28.0, age=80.0)):
        other = changed(person, name, network)
        moved = (other.to_vector() - person.to_vector()) / network.scale.numpy()
        assert abs(moved[column]) == pytest.approx(1, abs=1e-4)
        assert np.count_nonzero(moved) == 1


def test_accessories_are_put_on_and_taken_off():
    bare, network = Attributes(), Pixels()
    for name in ACCESSORIES:
        dressed = changed(bare, name, network)
        assert getattr(dressed, name) != "none"
        assert changed(dressed, name, network) == bare
    assert changed(bare, "glasses", network).glasses == "thick"
