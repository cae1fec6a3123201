"""The face detector's `.npy` files are read without running the pickle in them."""

import os
import pickle
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from restyle import importers
from restyle.faces.networks import CascadeNetwork, landmark_network, proposal_network
from restyle.importers.faces import CASCADE, _check_arrays
from restyle.io.checkpoints import CheckpointError


def published_names(network: CascadeNetwork, last: str) -> dict[str, torch.Tensor]:
    """A network's weights in the naming of the published files."""
    theirs = {ours: name for name, ours in CASCADE[last][1].items()}
    table = {}
    for name, tensor in network.state_dict().items():
        layer, _, kind = name.rpartition(".")
        table[f"{theirs[layer]}.{kind}"] = tensor
    return table


def write(path, content, protocol=2):
    with open(path, "wb") as file:
        header = {"descr": "|O", "fortran_order": False, "shape": ()}
        np.lib.format.write_array_header_1_0(file, header)
        pickle.dump(content, file, protocol)
    return path


def as_array(table):
    return np.array({name: tensor.numpy() for name, tensor in table.items()}, dtype=object)


def test_networks_come_back_as_they_were(tmp_path):
    network = landmark_network()
    table = published_names(network, "conv6_1")
    read = importers.read(write(tmp_path / "onet.npy", as_array(table)))
    torch.save(table, tmp_path / "onet.pt")
    x = torch.randn(2, 3, 48, 48)
    for other in (read, importers.read(tmp_path / "onet.pt")):
        assert isinstance(other, CascadeNetwork)
        for ours, expected in zip(other(x), network(x), strict=True):
            torch.testing.assert_close(ours, expected, rtol=0, atol=0)


def test_the_sliding_network_takes_any_size():
    offsets, scores = proposal_network()(torch.randn(1, 3, 40, 61))
    assert offsets.shape == (1, 4, 15, 26) and scores.shape == (1, 2, 15, 26)


@pytest.mark.parametrize("change", ["missing", "unexpected", "shape"])
def test_weights_that_do_not_fit_are_named(tmp_path, change):
    table = published_names(proposal_network(), "conv4_1")
    if change == "missing":
        del table["features.conv2.bias"]
    elif change == "unexpected":
        table["conv9.weight"] = torch.zeros(3)
    else:
        table["conv4_2.weight"] = torch.zeros(5, 32, 1, 1)
    with pytest.raises(CheckpointError, match=r"features.3.bias|conv9.weight|outputs.1.weight"):
        importers.read(write(tmp_path / "pnet.npy", as_array(table)))


class Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    "content", [Trap(), np.array({"a": Trap()}, dtype=object), np.array(Trap(), dtype=object)]
)
def test_nothing_in_a_file_is_run(tmp_path, monkeypatch, content, protocol):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r"pnet.npy: expected a table of arrays"):
        importers.read(write(tmp_path / "pnet.npy", content, protocol))
    assert not (tmp_path / "sprung").exists()


def test_damaged_and_foreign_arrays_are_refused(tmp_path):
    whole = write(tmp_path / "a.npy", as_array(published_names(proposal_network(), "conv4_1")))
    (tmp_path / "cut.npy").write_bytes(whole.read_bytes()[:3000])
    np.save(tmp_path / "numbers.npy", np.zeros((3, 3)))
    write(tmp_path / "list.npy", np.array([1, 2], dtype=object))
    for name in ("cut", "numbers", "list"):
        with pytest.raises(CheckpointError, match=f"{name}.npy: expected a table of arrays"):
            importers.read(tmp_path / f"{name}.npy")


@pytest.mark.parametrize(
    ("table", "size", "message"),
    [
        ({"a": np.zeros(10, np.float32), "b": np.zeros(10, np.float32)}, 40, None),
        ({"a": np.zeros(21, np.float32)}, 40, "84 bytes of arrays in 40 bytes"),
        ({"a": np.broadcast_to(np.zeros(1), (2**40,))}, 40, "bytes of arrays in 40 bytes"),
        (dict.fromkeys("abc", np.zeros(10, np.float32)), 40, "120 bytes of arrays in 40 bytes"),
        ({"a": [1.0]}, 40, "other things than arrays"),
        ({"a": np.float32(1)}, 40, "other things than arrays"),
    ],
)
def test_arrays_take_about_as_much_as_the_file(table, size, message):
    with nullcontext() if message is None else pytest.raises(ValueError, match=message):
        _check_arrays(table, size)
