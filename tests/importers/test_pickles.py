"""The stream of opcodes that is checked is the one that is executed."""

import pickle
import struct
from mmap import ACCESS_READ, mmap

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from restyle import importers
from restyle.importers.archive import read_archive
from restyle.importers.pickles import check_pickle
from restyle.io.checkpoints import CheckpointError
from tests.parity.cases import FOLDER


def check(path):
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as pickled:
        check_pickle(pickled)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_picklers_write_passes(tmp_path, protocol):
    shared = "name"
    content = {"a": [1, 2.5, None, shared, shared], "long": bytes(200_000), "b": (1,) * 9}
    (tmp_path / "fine.pkl").write_bytes(pickle.dumps([content] * 3, protocol))
    check(tmp_path / "fine.pkl")


def framed(*frames):
    parts = [b"\x95" + struct.pack("<Q", length) + body for length, body in frames]
    return b"\x80\x04" + b"".join(parts)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (framed((2, b"}.")), None),
        (framed((1, b"}.")), None),
        (framed((3, b"}.")), "another length"),
        (framed((2**62, b"}.")), "another length"),
        (framed((1, b"K\x01.")), "across the end of a frame"),
        (framed((11, b"\x95" + struct.pack("<Q", 2) + b"}.")), "a frame in a frame"),
        (framed((2, b"}.")) + b"}", "another length"),
        (b"\x80\x04}\x97.", "NEXT_BUFFER"),
        (b"\x80\x04}r\xff\xff\xff\x7f.", "memo number 2147483647"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b".", "expected .* bytes"),
    ],
)
def test_frames_lengths_and_memo_numbers(tmp_path, content, message):
    path = tmp_path / "file.pkl"
    path.write_bytes(content)
    if message is None:
        check(path)
    else:
        with pytest.raises(ValueError, match=message):
            check(path)


@pytest.mark.timeout(60)
@pytest.mark.skipif(not FOLDER.is_dir(), reason="the parity cases are not here")
@pytest.mark.parametrize("byte", range(3, 11))
def test_a_changed_length_of_a_frame(tmp_path, byte):
    content = bytearray((FOLDER / "pickle_sg2ada_64.pkl").read_bytes())
    content[byte] ^= 0x40
    (tmp_path / "frame.pkl").write_bytes(content)
    with pytest.raises(CheckpointError, match="frame"):
        importers.read(tmp_path / "frame.pkl")


@settings(max_examples=200, deadline=2000)
@given(st.data())
def test_mutated_pickles_are_refused_or_read(tmp_path_factory, data):
    content = bytearray(pickle.dumps({"G_ema": [{"x": b"y" * 9, "z": (1, "w")}]}, 4))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(2, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=9))
    path = tmp_path_factory.getbasetemp() / "mutated.pkl"
    path.write_bytes(content)
    with pytest.raises(CheckpointError):  # whatever it holds, it is no network
        importers.read(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_count_of_bytes_in_a_checkpoint_is_not_allocated(tmp_path, zipped):
    path = tmp_path / "bytes.pt"
    torch.save({"a": bytearray(0)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="builtins.bytearray, which is not run"):
        read_archive(path)
