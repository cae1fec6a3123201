"""Renaming loses no weight and makes up none."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from restyle.importers.keys import Weights
from restyle.io.checkpoints import CheckpointError

layers = st.lists(st.text("abc1", min_size=1, max_size=3), unique=True, min_size=1, max_size=6)


def table(names):
    return {f"net.{n}.{end}": torch.rand(2) for n in names for end in ("weight", "bias")}


@given(layers)
def test_renaming_keeps_every_tensor(names):
    tensors = table(names)
    weights = Weights(tensors, "file")
    renamed = {name: f"layers.{i}" for i, name in enumerate(names)}
    taken = weights.rename(renamed, ours="ours.", theirs="net.")
    weights.finish("a network")
    assert len(taken) == len(tensors)
    for name, ours in renamed.items():
        for end in ("weight", "bias"):
            assert taken[f"ours.{ours}.{end}"] is tensors[f"net.{name}.{end}"]


@given(layers, st.data())
def test_what_is_not_renamed_is_left_and_told(names, data):
    chosen = data.draw(st.sets(st.sampled_from(names)))
    weights = Weights(table(names), "file")
    weights.rename({name: name for name in chosen}, theirs="net.")
    left = {f"net.{n}.{end}" for n in names if n not in chosen for end in ("weight", "bias")}
    assert set(weights.names()) == left
    if left:
        with pytest.raises(CheckpointError, match="unexpected"):
            weights.finish("a network")


@given(layers)
def test_an_entry_is_taken_once(names):
    weights = Weights(table(names), "file").take_prefix("net.")
    for name in weights.names():
        weights.take(name)
        with pytest.raises(CheckpointError, match="file"):
            weights.take(name)
    weights.finish("a network")
