"""Files are whole or not there."""

import errno
import hashlib
import json
import math
import os
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restyle.io.files import (
    append_jsonl,
    atomic_write,
    printable,
    read_jsonl,
    remove_temporaries,
    sha256,
    write_json,
)


def test_atomic_write_replaces_the_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "new" / "result.txt"
    for text in ("first", "second"):
        with atomic_write(path) as temporary:
            assert temporary.parent == path.parent
            assert temporary.suffix == ".txt"
            temporary.write_text(text)
            assert not path.exists() or path.read_text() == "first"
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, OSError])
def test_atomic_write_that_fails_keeps_the_old_file(tmp_path, failure):
    path = tmp_path / "result.txt"
    path.write_text("old")
    with pytest.raises(failure), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise failure
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="file modes are a POSIX matter")
def test_atomic_write_gives_the_mode_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("")
    with atomic_write(tmp_path / "atomic"):
        pass
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_atomic_write_survives_a_long_name(tmp_path):
    path = tmp_path / ("n" * 250 + ".png")
    with atomic_write(path) as temporary:
        temporary.write_text("x")
    assert path.read_text() == "x"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path):
    with pytest.raises(OSError), atomic_write(tmp_path / "result.txt") as temporary:
        temporary.unlink()
        temporary.symlink_to("/dev/full")
        with temporary.open("w") as stream:
            stream.write("does not fit")
    assert list(tmp_path.iterdir()) == []


def test_json_round_trip_and_no_nan(tmp_path):
    path = tmp_path / "config.json"
    write_json(path, {"name": "Zoë", "size": [64, 64]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "Zoë", "size": [64, 64]}
    with pytest.raises(ValueError):
        write_json(path, {"loss": math.nan})
    assert json.loads(path.read_text(encoding="utf-8"))["name"] == "Zoë"


def test_jsonl_survives_a_line_that_was_cut_off(tmp_path):
    path = tmp_path / "run" / "stats.jsonl"
    assert read_jsonl(path) == []
    append_jsonl(path, {"step": 1})
    with path.open("a") as stream:
        stream.write('{"step": 2, "lo')  # killed while writing
    append_jsonl(path, {"step": 3})
    assert read_jsonl(path) == [{"step": 1}, {"step": 3}]


def test_sha256(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"restyle" * 100_000)
    assert sha256(path) == hashlib.sha256(b"restyle" * 100_000).hexdigest()


# Laws


@given(st.binary(max_size=64), st.binary(max_size=64), st.booleans())
@settings(max_examples=20)
def test_a_file_is_the_old_or_the_new_one_and_nothing_is_left(old, new, fails):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.bin"
        path.write_bytes(old)
        try:
            with atomic_write(path) as temporary:
                temporary.write_bytes(new)
                assert path.read_bytes() == old
                if fails:
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
        assert path.read_bytes() == (old if fails else new)
        assert [file.name for file in Path(folder).iterdir()] == ["file.bin"]


# A disk without space


def test_a_full_disk_is_told_of_with_the_file(tmp_path, monkeypatch):
    for raised in (OSError(28, "No space left on device"), RuntimeError("stream writer failed")):
        if isinstance(raised, RuntimeError):  # a library's own error, which names no reason
            monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
        with pytest.raises(OSError, match="No space left") as caught, atomic_write(tmp_path / "a"):
            raise raised
        assert caught.value.filename == str(tmp_path / "a")
        assert not list(tmp_path.iterdir())


def test_another_error_of_a_writer_stays_what_it_is(tmp_path):
    with pytest.raises(RuntimeError, match="mine"), atomic_write(tmp_path / "a"):
        raise RuntimeError("mine")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_record_that_finds_no_space_names_the_file():
    with pytest.raises(OSError, match="No space left") as caught:
        append_jsonl("/dev/full", {"a": 1})
    assert caught.value.filename == "/dev/full"


def test_temporaries_of_one_file_are_told_apart(tmp_path):
    for name in (".film.0123abcd.mp4", ".other.0123abcd.mp4", ".film.mp4", "film.mp4"):
        (tmp_path / name).touch()
    remove_temporaries(tmp_path, "film.mp4")
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [".film.mp4", ".other.0123abcd.mp4", "film.mp4"]
    remove_temporaries(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".film.mp4", "film.mp4"]


@pytest.mark.parametrize("name", ["caf\udce9", "line\u2028separator", "\x1b[31m", "\x85"])
def test_names_of_all_kinds_come_back(tmp_path, name):
    append_jsonl(tmp_path / "a.jsonl", {"name": name})
    write_json(tmp_path / "a.json", {"name": name})
    assert read_jsonl(tmp_path / "a.jsonl") == [{"name": name}]
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"name": name}
    assert printable(name).isprintable()


def test_where_nothing_can_be_written_the_file_is_named_and_no_other(tmp_path, monkeypatch):
    def read_only(self, *arguments, **options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr(Path, "touch", read_only)
    monkeypatch.setattr(Path, "unlink", read_only)
    with pytest.raises(OSError, match="Read-only") as caught, atomic_write(tmp_path / "me.png"):
        pass
    assert caught.value.filename == str(tmp_path / "me.png")
