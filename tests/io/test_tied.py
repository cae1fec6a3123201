"""Files that belong to weights: where they are found, and when they are refused."""

import pytest
import torch

from restyle.io.checkpoints import CheckpointError
from restyle.io.tied import TiedFile

FILE = TiedFile("bumps", {"generator_sha256": "a" * 64, "text_sha256": "b" * 64})
OTHER = TiedFile("bumps", {"generator_sha256": "a" * 64, "text_sha256": "c" * 64})


@pytest.fixture(autouse=True)
def places(monkeypatch, tmp_path):
    monkeypatch.setenv("RESTYLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("restyle.io.tied.WEIGHTS", tmp_path / "weights")
    return tmp_path


def test_nothing_is_found_where_nothing_is():
    assert FILE.find() is None


@pytest.mark.parametrize("place", ["cache", "package", "folder"])
def test_it_is_found_where_it_is_kept(places, place):
    folder = places / "model"
    path = {
        "cache": FILE.cached,
        "package": places / "weights/model/bumps.safetensors",
        "folder": folder / "bumps.safetensors",
    }[place]
    FILE.write(path, {"x": torch.arange(3).half()})
    found = FILE.find(folder)
    assert found is not None and found["x"].dtype == torch.float32
    assert found["x"].tolist() == [0, 1, 2]
    assert OTHER.find(folder) is None
    with pytest.raises(CheckpointError, match=r"text_sha256 cccccccccccc\), got bbbbbbbbbbbb"):
        OTHER.read(path)
    if place == "folder":
        with pytest.raises(CheckpointError, match="generator_sha256 dddddddddddd"):
            TiedFile("bumps", {**FILE.ties, "generator_sha256": "d" * 64}).find(folder)


def test_what_is_damaged_or_not_finite_is_refused(places):
    path = places / "bumps.safetensors"
    with pytest.raises(CheckpointError, match="got nothing of that name"):
        FILE.read(path)
    FILE.write(path, {"x": torch.tensor([float("nan")])})
    with pytest.raises(CheckpointError, match="expected finite numbers"):
        FILE.read(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="expected a file of bumps"):
        FILE.read(path)
