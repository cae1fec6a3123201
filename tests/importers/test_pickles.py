"""The stream of opcodes that is checked is the one that is executed."""

import io
import pickle
import struct
import zipfile
from mmap import ACCESS_READ, mmap

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib import format as numpy_format

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
        (framed((3, b"}.")), "of another length"),
        (framed((2**62, b"}.")), "of another length"),
        (framed((1, b"K\x01.")), "across the end of a frame"),
        (framed((11, b"\x95" + struct.pack("<Q", 2) + b"}.")), "a frame in a frame"),
        (framed((2, b"}.")) + b"}", "of another length"),
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


def doubled(levels):
    """A key of tuples, each of which is the one below twice."""
    body = b"".join(b"h" + bytes([i, 0x86, ord("q"), i + 1]) for i in range(levels))
    return b"\x80\x02})q\x00" + body + b"K\x01s."


def nested(levels):
    """A key of tuples in tuples: hashing it recurses."""
    return b"\x80\x02})" + b"\x85" * levels + b"K\x01s."


def copied(times):
    """A list of 50,000 numbers, of which sets are made again and again."""
    numbers = b"".join(b"M" + struct.pack("<H", i) for i in range(50_000))
    calls = b"h\x01h\x00\x85R" * times
    return b"\x80\x02(](" + numbers + b"eq\x00cbuiltins\nset\nq\x01](" + calls + b"et."


def refuse(path, content, message):
    """Whatever envelope the pickle comes in, it is refused before it is read."""
    magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
    legacy = magic + b"\x80\x02M\xe9\x03." + b"\x80\x02}." + content + b"\x80\x02]."
    header = {"descr": "|O", "fortran_order": False, "shape": ()}
    array = io.BytesIO()
    numpy_format.write_array_header_1_0(array, header)
    for envelope in (content, legacy, array.getvalue() + content, zipped(content)):
        path.write_bytes(envelope)
        with pytest.raises(CheckpointError, match=message):
            importers.read(path)


def zipped(pickled):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        packed.writestr("archive/data.pkl", pickled)
        packed.writestr("archive/version", "3\n")
        packed.writestr("archive/byteorder", "little")
    return stream.getvalue()


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (doubled(60), "objects that are shared too often"),
        (nested(1_000_000), "more than 100 tuples in each other"),
        (copied(1_000), "objects that are shared too often"),
        (b"\x80\x02}0s.", "SETITEM without its operands"),
        (b"\x80\x02h\x07.", "BINGET without its operands"),
    ],
    ids=["doubled", "nested", "copied", "empty stack", "empty memo"],
)
def test_what_a_reader_would_unfold(tmp_path, content, message):
    refuse(tmp_path / "file", content, message)


def test_what_is_shared_as_picklers_share_passes(tmp_path):
    names = [f"layer{i}.weight" for i in range(100)]
    content = [dict.fromkeys(names, (1, 2)) for _ in range(200)]
    (tmp_path / "shared.pkl").write_bytes(pickle.dumps({"a": content, "b": content}, 2))
    check(tmp_path / "shared.pkl")
    source = "the text of all classes, which every module of a network names " * 1_000
    modules = [{"module_src": source, "state": {"weight": bytes(9)}} for _ in range(200)]
    (tmp_path / "small.pkl").write_bytes(pickle.dumps(modules, 4))
    check(tmp_path / "small.pkl")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_count_of_bytes_in_a_checkpoint_is_not_allocated(tmp_path, zipped):
    path = tmp_path / "bytes.pt"
    torch.save({"a": bytearray(0)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="builtins.bytearray, which is not run"):
        read_archive(path)
