"""Inputs by the million: what is listed, in which order, and what its bytes are."""

import errno
import io
import os
import tarfile
from functools import lru_cache

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from restyle.io.images import ImageError
from restyle.io.pipeline import ahead
from restyle.jobs import PlanShards, shard_inputs
from restyle.jobs.shard_inputs import Reader, list_inputs
from tests.shards import failing_storage
from tests.tiny import picture


def listed(source, tmp_path, **options):
    damaged = {}
    job = PlanShards(input=str(source), out=tmp_path / "plan", **options)
    return list(list_inputs(job, damaged)), damaged


def contents(rows, column=None):
    reader = Reader(column)
    return [reader(row) for row in rows]


def tar_of(path, files):
    with tarfile.open(path, "w") as archive:
        for file in files:
            archive.add(file, file.name)
    return path


@pytest.fixture
def photos(tmp_path):
    return [picture(tmp_path / f"in/{name}.png", seed) for seed, name in enumerate("cab")]


def test_a_folder_is_listed_with_its_subfolders_but_without_the_plan(photos, tmp_path):
    picture(tmp_path / "in/sub/d.jpg")
    picture(tmp_path / "in/.hidden.png")
    picture(tmp_path / "in/plan/parts/e.png")
    (tmp_path / "in/notes.txt").write_text("no image")
    job = PlanShards(input=str(tmp_path / "in"), out=tmp_path / "in/plan")
    rows = list(list_inputs(job, {}))
    assert [row.id for row in rows] == ["a.png", "b.png", "c.png", "sub/d.jpg"]
    assert contents(rows[:1]) == [photos[1].read_bytes()]


def test_a_name_that_is_not_utf8_is_read_and_has_an_id(tmp_path):
    name = os.fsdecode(b"in/\xff.png")
    picture(tmp_path / name)
    rows, _ = listed(tmp_path / "in", tmp_path)
    assert [row.id for row in rows] == [r"\udcff.png"]
    assert contents(rows) == [(tmp_path / name).read_bytes()]


def test_a_list_has_paths_of_its_own_folder_and_ids_if_it_says_so(photos, tmp_path):
    (tmp_path / "list.txt").write_text(f"in/a.png\nme\tin/b.png\n\n{photos[0]}\n")
    rows, _ = listed(tmp_path / "list.txt", tmp_path)
    assert [row.id for row in rows] == ["in/a.png", "me", str(photos[0])]
    assert contents(rows) == [photos[i].read_bytes() for i in (1, 2, 0)]


def test_tar_files_are_found_in_folders_and_by_number(photos, tmp_path):
    (tmp_path / "tars").mkdir()
    for number, photo in enumerate(photos):
        tar_of(tmp_path / f"tars/{number:03}.tar", [photo])
    for source in ("tars", "tars/{000..002}.tar"):
        rows, damaged = listed(tmp_path / source, tmp_path)
        assert [row.id for row in rows] == ["000.tar/c.png", "001.tar/a.png", "002.tar/b.png"]
        assert contents(rows) == [photo.read_bytes() for photo in photos]
        assert not damaged


def test_a_tar_that_was_cut_off_gives_what_is_before_the_cut_and_is_told_of(photos, tmp_path):
    tar = tar_of(tmp_path / "x.tar", photos)
    with tarfile.open(tar) as archive:
        last = archive.getmembers()[-1]
    tar.write_bytes(tar.read_bytes()[: last.offset_data + last.size // 2])
    rows, damaged = listed(tar, tmp_path)
    assert [row.id for row in rows] == ["x.tar/c.png", "x.tar/a.png", "x.tar/b.png"]
    assert list(damaged) == [str(tar)] and "uncompressed tar file" in damaged[str(tar)]
    assert contents(rows[:2]) == [photo.read_bytes() for photo in photos[:2]]


def test_parquet_has_bytes_paths_or_both_in_groups_of_rows(photos, tmp_path):
    whole = [photo.read_bytes() for photo in photos]
    columns = {
        "image": [{"bytes": whole[0], "path": None}, {"bytes": None, "path": "in/a.png"}, None],
        "key": ["x", "y", "z"],
        "raw": whole,
        "path": ["in/c.png", "in/a.png", "in/b.png"],
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet", row_group_size=2)
    rows, _ = listed(tmp_path / "t.parquet", tmp_path, id_column="key")
    assert [row.id for row in rows] == ["x", "y", "z"]
    assert contents(rows[:2]) == whole[:2]
    with pytest.raises(ImageError, match="expected an image or a path, got NoneType"):
        contents(rows[2:])
    assert contents(rows, "raw") == whole
    assert contents(rows[::-1], "path") == whole[::-1]
    rows, _ = listed(tmp_path / "t.parquet", tmp_path, image_column="raw")
    assert [row.id for row in rows] == ["t.parquet/0", "t.parquet/1", "t.parquet/2"]
    with pytest.raises(ValueError, match="expected a column 'jpg', got image, key"):
        listed(tmp_path / "t.parquet", tmp_path, image_column="jpg")


def test_a_parquet_file_that_does_not_open_is_told_of(photos, tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 no more")
    rows, damaged = listed(tmp_path / "t.parquet", tmp_path)
    assert rows == [] and list(damaged) == [str(tmp_path / "t.parquet")]


@pytest.mark.parametrize(
    ("name", "found"), [("nothing", "nothing of that name"), ("a.zip", "'.zip'"), ("empty", "any")]
)
def test_what_is_no_input_is_refused(name, found, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.zip").touch()
    with pytest.raises(ImageError, match=found):
        listed(tmp_path / name, tmp_path)


def test_storage_that_fails_for_a_moment_is_asked_again(photos, tmp_path, monkeypatch):
    rows, _ = listed(tmp_path / "in", tmp_path)
    calls = []

    def failing(path):
        calls.append(path)
        if len(calls) < 3:
            raise OSError(errno.EIO, "Input/output error")
        return io.BytesIO(b"content").read()

    monkeypatch.setattr(shard_inputs, "_read_file", failing)
    monkeypatch.setattr(shard_inputs.time, "sleep", lambda seconds: None)
    assert contents(rows[:1]) == [b"content"] and len(calls) == 3
    calls.extend(range(-10, 0))
    monkeypatch.setattr(shard_inputs, "_read_file", lambda path: open(tmp_path / "none", "rb"))
    with pytest.raises(ImageError, match="expected a readable file, got No such file"):
        contents(rows[:1])


@pytest.fixture
def far(photos, tmp_path):
    """Far storage with photos, a list, a tar file and a Parquet file; here, the same files."""
    (tmp_path / "list.txt").write_text("in/a.png\nme\tin/b.png\n")
    (tmp_path / "tars").mkdir()
    for number, photo in enumerate(photos):
        tar_of(tmp_path / f"tars/{number}.tar", [photo])
    paths = {"path": ["in/a.png", "in/c.png"], "raw": [photo.read_bytes() for photo in photos[:2]]}
    pq.write_table(pa.table(paths), tmp_path / "t.parquet", row_group_size=1)
    picture(tmp_path / "in/sub/d.png", 9)
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.put(f"{tmp_path}/", "/bucket/", recursive=True)
    yield "memory://bucket"
    files.store.clear()


@pytest.mark.parametrize(
    "source", ["in", "list.txt", "tars", "tars/{0..2}.tar", "tars/*.tar", "tars/1.tar", "t.parquet"]
)
def test_far_files_are_listed_and_read_as_those_here(far, source, tmp_path):
    here, _ = listed(tmp_path / source, tmp_path)
    away, damaged = listed(f"{far}/{source}", tmp_path)
    assert damaged == {} and [row.id for row in away] == [row.id for row in here]
    assert all(row.source.startswith("memory://") for row in away)
    columns = ["path", "raw"] if source == "t.parquet" else [None]
    for column in columns:
        assert contents(away, column) == contents(here, column)


def test_far_storage_that_fails_one_call_in_ten_is_asked_again(far, tmp_path, monkeypatch):
    failed = failing_storage(monkeypatch)
    for source in ("in", "list.txt", "tars", "t.parquet") * 5:
        away, damaged = listed(f"{far}/{source}", tmp_path)
        assert damaged == {} and len(away) == {"in": 4, "tars": 3}.get(source, 2)
        assert all(contents(away))
    assert set(failed) == {"cat_file", "ls", "info"}


def test_far_storage_that_nothing_knows_is_one_sentence(tmp_path):
    with pytest.raises(ImportError, match="^nowhere://.*: Protocol not known: nowhere"):
        listed("nowhere://x", tmp_path)
    _, damaged = listed("memory://bucket/none.tar", tmp_path)
    assert list(damaged) == ["memory://bucket/none.tar"]


def test_threads_that_read_side_by_side_read_each_group_once(photos, tmp_path, monkeypatch):
    whole = [bytes([number]) for number in range(64)]
    pq.write_table(pa.table({"image": whole}), tmp_path / "t.parquet", row_group_size=16)
    rows, _ = listed(tmp_path / "t.parquet", tmp_path)
    reader, read = Reader(), []
    load = reader._load

    def counting(file, group):
        read.append(group)
        return load(file, group)

    reader._group = lru_cache(2)(counting)
    found = [future.result() for _, future in ahead(reader, rows, 8)]
    assert found == whole and sorted(read) == [0, 1, 2, 3]
