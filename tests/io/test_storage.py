"""Files here and far away are found and read alike."""

import builtins

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from restyle.io import storage
from restyle.io.storage import (
    expanded,
    far_files,
    file_size,
    in_folder,
    is_far,
    is_far_folder,
    open_file,
    read_range,
)


@pytest.fixture
def far(tmp_path):
    """A folder in far storage, emptied before and after."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield "memory://bucket/data"
    files.store.clear()


def places(far, tmp_path):
    for place in (far, str(tmp_path)):
        with fsspec.open(f"{place}/a.tar", "wb") as stream:
            stream.write(b"0123456789")
        yield f"{place}/a.tar"


def test_here_and_far_away_are_alike(far, tmp_path):
    for place in places(far, tmp_path):
        assert is_far(place) == place.startswith("memory")
        assert file_size(place) == 10
        assert read_range(place, 2, 3) == b"234"
        assert read_range(place, 8, 30) == b"89"
        with open_file(place) as stream:
            assert stream.read() == b"0123456789"
        folder = place.removesuffix("/a.tar")
        (found,) = in_folder(folder, ".tar")
        assert file_size(found) == 10 and expanded(f"{folder}/*.tar") == [found]
        assert in_folder(folder, ".parquet") == []
        for missing in (open_file, file_size):
            with pytest.raises(FileNotFoundError):
                missing(f"{folder}/b.tar")


def test_numbers_are_counted_with_their_zeros():
    assert expanded("x-{08..11}.tar") == ["x-08.tar", "x-09.tar", "x-10.tar", "x-11.tar"]
    assert expanded("s3://b/{0..1}.tar") == ["s3://b/0.tar", "s3://b/1.tar"]
    assert expanded("x.tar") == []


def test_storage_that_fails_for_a_moment_is_asked_again(far, tmp_path, monkeypatch):
    monkeypatch.setattr(storage.time, "sleep", lambda _: None)
    place, whole, tries = next(places(far, tmp_path)), MemoryFileSystem.cat_file, []

    def failing(self, *arguments, **options):
        tries.append(1)
        if len(tries) % 3:
            raise OSError("503 slow down")
        return whole(self, *arguments, **options)

    monkeypatch.setattr(MemoryFileSystem, "cat_file", failing)
    assert read_range(place, 0, 4) == b"0123"
    assert len(tries) == 3
    monkeypatch.setattr(storage, "_TRIES", 2)
    with pytest.raises(OSError, match="503"):
        read_range(place, 0, 4)
    tries.clear()
    with pytest.raises(FileNotFoundError):
        file_size(f"{place}.none")


def test_errors_of_a_stores_own_kind_are_those_of_a_file(far, tmp_path, monkeypatch):
    class Refused(Exception):
        pass

    def failing(self, *arguments, **options):
        raise Refused("token expired")

    monkeypatch.setattr(storage.time, "sleep", lambda _: None)
    place = next(places(far, tmp_path))
    monkeypatch.setattr(MemoryFileSystem, "cat_file", failing)
    with pytest.raises(OSError, match="^token expired$"):
        read_range(place, 0, 4)


def test_a_far_file_is_read_at_any_place(far, tmp_path):
    with open_file(next(places(far, tmp_path))) as stream:
        assert stream.seek(-3, 2) == 7 and stream.read() == b"789"
        assert stream.seek(1) == 1 and stream.read(2) == b"12"
        assert stream.seek(2, 1) == 5 and stream.read(1) == b"5"
        assert stream.seek(90) == 90 and stream.read() == b""


def test_the_files_below_a_far_folder_are_in_order(far):
    files = fsspec.filesystem("memory")
    for name in ("b.png", "sub/c.png", "sub/a.png", "a.png", "sub.png"):
        files.pipe(f"{far}/{name}", b"x")
    assert (
        is_far_folder(far)
        and not is_far_folder(f"{far}/a.png")
        and not is_far_folder("memory://none")
    )
    found = list(far_files(far))
    assert found == ["a.png", "b.png", "sub.png", "sub/a.png", "sub/c.png"]


def test_far_storage_without_its_package_names_the_extra(monkeypatch):
    found = builtins.__import__

    def without(name, *arguments, **options):
        if name.startswith("fsspec"):
            raise ImportError(name)
        return found(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"s3://b is read by fsspec: pip install 'restyle"):
        file_size("s3://b/x.tar")
