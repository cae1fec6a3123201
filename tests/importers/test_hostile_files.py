"""Files that are damaged, or made to do harm: one sentence each, nothing run, memory bounded."""

import io
import os
import pickle
import struct
import zipfile

import pytest
import torch

from restyle import importers
from restyle.checkpoints import CheckpointError

from . import official


class Harm:
    """Pickles as a call that leaves a trace."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def refused(path, message):
    with pytest.raises(CheckpointError, match=message) as error:
        importers.read(path)
    text = str(error.value)
    assert text.startswith(str(path)) and "\n" not in text and len(text) < 600
    return text


@pytest.fixture
def healthy(tmp_path):
    path = tmp_path / "healthy.pt"
    torch.save(official.restyle_model(), path)
    return path


@pytest.mark.parametrize("legacy", [False, True])
def test_calls_in_a_checkpoint_are_not_made(tmp_path, legacy):
    path, trace = tmp_path / "evil.pt", tmp_path / "trace"
    content = official.restyle_model() | {"opts": Harm(trace)}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    refused(path, "found: (posix|nt).mkdir, which is not run")
    assert not trace.exists()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_calls_in_a_pickle_are_not_made(tmp_path, protocol):
    path, trace = tmp_path / "evil.pkl", tmp_path / "trace"
    path.write_bytes(pickle.dumps({"G_ema": Harm(trace)}, protocol))
    refused(path, "found (posix|nt).mkdir, which is not run")
    assert not trace.exists()


def test_a_web_page_named_like_a_checkpoint(tmp_path):
    path = tmp_path / "page.pt"
    path.write_text("<!DOCTYPE html><title>Google Drive - Quota exceeded</title>")
    refused(path, "found an HTML page")


@pytest.mark.parametrize(
    "content", [b"", b"P", b"\x80", b"PK\x03\x04", b"\x80\x02garbage", b"text"]
)
def test_files_that_hold_nothing(tmp_path, content):
    path = tmp_path / "nothing.pt"
    path.write_bytes(content)
    refused(path, "expected")


def test_a_file_that_is_not_there(tmp_path):
    refused(tmp_path / "missing.pt", "No such file")


def test_a_folder(tmp_path):
    refused(tmp_path, "expected a checkpoint")


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
@pytest.mark.parametrize("legacy", [False, True])
def test_truncated_downloads(tmp_path, share, legacy):
    path = tmp_path / "cut.pt"
    torch.save(official.restyle_model(), path, _use_new_zipfile_serialization=not legacy)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path, "expected a PyTorch checkpoint")


def test_a_zip_bomb_is_not_unpacked(tmp_path, healthy):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(healthy) as source, zipfile.ZipFile(path, "w") as bomb:
        for entry in source.infolist():
            bomb.writestr(entry, source.read(entry))
        bomb.writestr("archive/data/999", bytes(10_000_000), zipfile.ZIP_DEFLATED)
    refused(path, "found a compressed archive")


def test_views_larger_than_the_file_are_refused(tmp_path):
    content = official.restyle_model()
    content["state_dict"]["encoder.body.0.res_layer.1.weight"] = torch.zeros(1).expand(2**40)
    torch.save(content, tmp_path / "wide.pt")
    refused(tmp_path / "wide.pt", "expected tensors of the file's .* bytes")


def test_many_views_of_one_storage_are_refused(tmp_path):
    shared = torch.zeros(100_000)
    torch.save({f"layer{i}": shared[:] for i in range(100)}, tmp_path / "shared.pt")
    refused(tmp_path / "shared.pt", "expected tensors of the file's .* bytes")


def test_a_memo_number_that_would_fill_the_memory(tmp_path):
    path = tmp_path / "memo.pkl"
    path.write_bytes(b"\x80\x02}r" + struct.pack("<I", 2**31 - 1) + b".")
    refused(path, "expected memo numbers in order, found 2147483647")


def test_other_contents_are_named(tmp_path):
    path = tmp_path / "other.pt"
    torch.save({"epoch": 3, "weights": torch.zeros(2)}, path)
    refused(path, "found a table of epoch, weights")
    torch.save([1, 2], path)
    refused(path, "expected a table, found list")
    path.write_bytes(pickle.dumps({"some": "table"}))
    refused(path, "expected a network pickle with G_ema, found another pickle")


def test_a_refused_file_can_still_be_removed(tmp_path, healthy):
    """Reading keeps no hold of the file, and the model none of its memory map."""
    model = importers.read(healthy)
    before = model.encoder.trunk.stem[0].weight.clone()
    with open(healthy, "r+b") as file:
        file.write(io.BytesIO(bytes(healthy.stat().st_size)).read())
    assert torch.equal(model.encoder.trunk.stem[0].weight, before)
