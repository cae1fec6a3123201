"""Pictures of tar and Parquet files are those that were put there, in any order."""

import io
import pickle

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet as pq

from restyle.io import parquet, shards
from restyle.io.datasets import list_entries
from restyle.io.images import ImageError, decode_image
from restyle.io.shards import ParquetShards, TarShards, open_shards
from tests.shards import pictures, write_parquet, write_tars

CONTENTS = pictures(11)


def pixels(picture: Image.Image) -> bytes:
    return picture.tobytes()


WANTED = [pixels(decode_image(io.BytesIO(content), "x")) for content in CONTENTS]


@pytest.fixture
def tars(tmp_path):
    return write_tars(tmp_path / "tars", CONTENTS, 3)


@pytest.fixture
def table(tmp_path):
    return write_parquet(tmp_path / "table", CONTENTS)


@pytest.fixture
def far():
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield "memory://bucket"
    files.store.clear()


def read(entries) -> list[bytes]:
    return [pixels(entries[at].read()) for at in range(len(entries))]


def test_tar_files_are_read_in_any_order(tars):
    entries = list_entries(tars)
    assert isinstance(entries, TarShards) and len(entries) == 11
    assert read(entries) == WANTED
    assert entries[10].name == "s-002.tar/0010.png"
    assert pixels(entries[3].read()) == WANTED[3]
    for pattern in ("s-{000..002}.tar", "s-*.tar"):
        assert read(list_entries(tars / pattern)) == WANTED
    assert read(list_entries(tars / "s-001.tar")) == WANTED[4:8]


@pytest.mark.parametrize("kind", ["bytes", "struct", "path", "jpg"])
def test_parquet_holds_bytes_or_paths(tmp_path, kind):
    for at, content in enumerate(CONTENTS):
        (tmp_path / f"{at}.png").write_bytes(content)
    names = [f"../{at}.png" for at in range(11)]
    values = {
        "bytes": CONTENTS,
        "jpg": CONTENTS,
        "path": names,
        "struct": [
            {"bytes": c if at % 2 else None, "path": names[at]} for at, c in enumerate(CONTENTS)
        ],
    }
    column = "jpg" if kind == "jpg" else "image"
    folder = write_parquet(tmp_path / "table", values[kind], column=column)
    entries = list_entries(folder)
    assert isinstance(entries, ParquetShards)
    assert read(entries) == WANTED
    assert entries[10].name == "p-001.parquet/1-1"
    assert read(list_entries(folder / "p-*.parquet")) == WANTED
    assert read(list_entries(folder / "p-001.parquet")) == WANTED[6:]


def test_shards_may_be_far_away(far, tars, table, tmp_path):
    files = fsspec.filesystem("memory")
    (tmp_path / "1.png").write_bytes(CONTENTS[0])
    paths = write_parquet(tmp_path / "paths", ["sub/1.png"], 1)
    for folder in (tars, table, paths):
        files.put(f"{folder}/", f"bucket/{folder.name}", recursive=True)
    files.put(str(tmp_path / "1.png"), "bucket/paths/sub/1.png")
    assert read(list_entries(f"{far}/tars")) == WANTED
    assert read(list_entries(f"{far}/tars/s-{{000..002}}.tar")) == WANTED
    assert read(list_entries(f"{far}/table/p-*.parquet")) == WANTED
    assert read(list_entries(f"{far}/paths")) == WANTED[:1]
    with pytest.raises(ImageError, match="got nothing of that name"):
        list_entries(f"{far}/nothing")


def test_a_group_of_rows_is_read_once_and_forgotten(table, monkeypatch):
    reads = []
    whole = parquet.read_group
    monkeypatch.setattr(parquet, "read_group", lambda *place: reads.append(place) or whole(*place))
    entries = list_entries(table)
    assert isinstance(entries, ParquetShards)
    read(entries), read(entries)
    assert len(reads) == 4  # groups
    reads.clear()
    monkeypatch.setattr(shards, "BUFFER", 0)  # one of them is held
    entries = list_entries(table)
    read(entries), read(entries)
    assert len(reads) == 8


def test_entries_go_to_other_processes(tars, table):
    for folder in (tars, table):
        assert read(pickle.loads(pickle.dumps(list_entries(folder)))) == WANTED


# Bad input


def test_a_truncated_tar_file_is_named(tars):
    path = tars / "s-001.tar"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(
        ImageError, match=r"s-001\.tar: expected an uncompressed tar file, got unexp"
    ):
        list_entries(tars)


def test_a_truncated_parquet_file_is_named(table):
    path = table / "p-001.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ImageError, match=r"p-001\.parquet: expected an intact Parquet file, got"):
        list_entries(table)


def test_a_damaged_group_of_rows_is_told_for_each_picture(table):
    path = table / "p-000.parquet"
    entries = list_entries(table)
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 3] = bytes(len(content) // 3 - 4)
    path.write_bytes(content)
    for at in range(2):
        with pytest.raises(ImageError, match=rf"p-000\.parquet/0-{at}: expected an intact"):
            entries[at].read()
    assert pixels(entries[10].read()) == WANTED[10]


@pytest.mark.parametrize("value", [None, b"", b"no picture"])
def test_what_is_no_picture_is_told(tmp_path, value):
    entries = list_entries(write_parquet(tmp_path / "x", [CONTENTS[0], value], 1))
    with pytest.raises(ImageError, match=r"p-000\.parquet/0-1: expected"):
        entries[1].read()


def test_a_missing_column_is_told_with_those_that_there_are(tmp_path):
    pq.write_table(pa.table({"label": [1], "score": [0.5]}), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="expected a column 'image' with images, got label, score"):
        list_entries(tmp_path / "x.parquet")
    pq.write_table(pa.table({"a": [b"1"], "b": [b"2"]}), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="expected a column 'image' with images, got a, b"):
        list_entries(tmp_path / "x.parquet")


def test_a_group_of_rows_that_is_too_large_is_not_read(table, monkeypatch):
    monkeypatch.setattr(parquet, "_LARGEST", 1000)
    with pytest.raises(ImageError, match="at most 1,000 bytes .*smaller row_group_size"):
        list_entries(table)


@pytest.mark.parametrize("write", [write_tars, write_parquet])
def test_shards_without_pictures_are_told(tmp_path, write):
    with pytest.raises(ImageError, match="got shards without any"):
        list_entries(write(tmp_path / "empty", []))


def test_a_member_that_is_another_now_is_told(tars):
    entries = list_entries(tars)
    write_tars(tars, [content + b"more" for content in CONTENTS], 3)
    with pytest.raises(ValueError, match=r"s-000\.tar/0001\.png: .*: the shard has changed"):
        entries[1].read()


# The list that is kept


@pytest.mark.parametrize("write", [write_tars, write_parquet])
def test_a_list_is_kept_and_used(tmp_path, write, monkeypatch):
    folder, index = write(tmp_path / "data", CONTENTS), tmp_path / "run" / "list.npz"
    files = sorted(str(file) for file in folder.iterdir())
    assert read(open_shards(files, index)) == WANTED
    for kind in (TarShards, ParquetShards):
        monkeypatch.setattr(kind, "listed", None)
    assert read(open_shards(files, index, fixed=True)) == WANTED
    assert read(open_shards(files, index)) == WANTED


@pytest.mark.parametrize("write", [write_tars, write_parquet])
def test_shards_that_changed_are_told_once_they_are_fixed(tmp_path, write):
    folder, index = write(tmp_path / "data", CONTENTS), tmp_path / "list.npz"
    files = sorted(str(file) for file in folder.iterdir())
    open_shards(files, index)
    kept = index.read_bytes()
    with pytest.raises(ValueError, match="-000.*: expected 2 shards, as when .* began, got 1"):
        open_shards(files[:1], index, fixed=True)
    write(folder, CONTENTS[:-1])
    with pytest.raises(ValueError, match=r"-000.*: expected .* bytes \(.*\), as when .*, got"):
        open_shards(files, index, fixed=True)
    assert index.read_bytes() == kept
    assert len(open_shards(files, index)) == 10
    assert len(open_shards(files, index, fixed=True)) == 10


def test_a_damaged_list_is_told_or_made_anew(tars, tmp_path):
    files, index = sorted(str(file) for file in tars.iterdir()), tmp_path / "list.npz"
    index.write_bytes(b"no list")
    with pytest.raises(ValueError, match=r"list\.npz: expected a list of shards, got"):
        open_shards(files, index, fixed=True)
    assert read(open_shards(files, index)) == WANTED
    np.savez(index, stamps=np.array([object()], dtype=object))  # which would be unpickled
    with pytest.raises(ValueError, match=r"list\.npz: expected a list of shards, got"):
        open_shards(files, index, fixed=True)
