"""An archive that two readers could take differently is refused."""

import io
import struct
import zipfile

import pytest
import torch

from restyle import importers
from restyle.importers.archive import read_archive
from restyle.io.checkpoints import CheckpointError

from . import official

END, LOCATOR, END_64 = 22, 20, 56  # bytes of the records that PyTorch ends an archive with


def saved(content=None):
    stream = io.BytesIO()
    torch.save({"a": torch.arange(6.0), "b": [1]} if content is None else content, stream)
    return stream.getvalue()


def packed(*entries):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return stream.getvalue()


def put(content, at, new):
    at += len(content) if at < 0 else 0
    return content[:at] + new + content[at + len(new) :]


def with_another_directory(content):
    """A second table and end record; the locator names the first record, the bytes lead to ours."""
    directory = content[-END - LOCATOR - END_64 :]
    offset = struct.unpack_from("<Q", directory, 48)[0]
    record = put(directory[:END_64], 48, struct.pack("<Q", len(content)))
    return content + content[offset : -END - LOCATOR - END_64] + record + directory[END_64:]


def renamed(content, central):
    """Another name in an entry's own header, or in the table."""
    at = content.rindex(b"data/0") if central else content.index(b"data/0")
    return put(content, at, b"data/1")


ENTRIES = [("archive/data.pkl", b"\x80\x02}."), ("archive/version", "3\n")]
LATER = b"PK\x01\x02"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (saved()[:-1], "a damaged or incomplete zip archive"),
        (saved() + b"\n", "a damaged or incomplete zip archive"),
        (put(saved(), -2, b"\1\0") + b"x", "a damaged or incomplete zip archive"),
        (put(saved(), -2, struct.pack("<H", END)) + saved()[-END:], "several end records"),
        (saved() + saved(), "several end records"),
        (with_another_directory(saved()), "several end records"),
        (put(saved(), -END - LOCATOR + 8, b"\0"), "several end records"),
        (put(saved(), -END - LOCATOR - END_64 + 24, b"\6"), "several end records"),
        (put(packed(*ENTRIES), -12, b"\1"), "several end records"),
        (packed(*ENTRIES, ("archive/DATA.pkl", "")), "names that readers take differently"),
        (packed(*ENTRIES, ("archive/é", "")), "names that readers take differently"),
        (packed(*ENTRIES, ("archive/a\tb", "")), "names that readers take differently"),
        (packed(ENTRIES[1], ("other/data.pkl", b"\x80\x02}.")), "another zip archive"),
        (renamed(saved(), central=True), "entries differ from its table"),
        (renamed(saved(), central=False), "entries differ from its table"),
        (put(packed(*ENTRIES), 22, b"\5"), "entries differ from its table"),
        (put(packed(*ENTRIES), 8, b"\10"), "entries differ from its table"),
        (put(packed(*ENTRIES), packed(*ENTRIES).rindex(LATER) + 42, b"\0"), "differ from its"),
        (put(packed(*ENTRIES), 28, b"\xff"), "entries in each other|beyond its directory"),
    ],
)
def test_what_is_ambiguous(tmp_path, content, message):
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"model.pt: expected a PyTorch.*{message}"):
        read_archive(path)


def test_two_entries_in_each_other(tmp_path):
    """The second header lies, well formed, within what the first entry holds."""
    inner = packed(("archive/x", b"12345"))
    content = packed(*ENTRIES, ("archive/a", inner), ("archive/x", b"12345"))
    at = content.rindex(b"archive/x") - 46 + 42
    (tmp_path / "model.pt").write_bytes(put(content, at, struct.pack("<L", content.index(inner))))
    with pytest.raises(CheckpointError, match="entries in each other"):
        read_archive(tmp_path / "model.pt")


def test_what_torch_writes_passes(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(saved(official.restyle_model()))
    importers.read(path)
    path.write_bytes(packed(*ENTRIES, ("archive/byteorder", "little")))
    assert read_archive(path) == {}


@pytest.mark.parametrize("mapped", [True, False])
def test_tensors_are_left_in_the_file_or_not(tmp_path, mapped):
    path = tmp_path / "model.pt"
    path.write_bytes(saved())
    values = read_archive(path, mapped)["a"]
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert bool((values == 0).all()) is mapped
