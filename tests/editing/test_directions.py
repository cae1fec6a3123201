"""Directions and their files: what is kept, what is refused, what fits which generator."""

import io
import json
import pickle
import zipfile

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from restyle import importers
from restyle.editing import editor as editor_module
from restyle.editing.directions import (
    Direction,
    DirectionError,
    directions_in,
    find_direction,
    projection_scale,
    read_direction,
    save_direction,
)
from restyle.editing.editor import SAMPLES, Editor
from tests.tiny import CODES, tiny_generator

NUM_WS, W_DIM = CODES


def direction(name="smile", seed=0, shape=(W_DIM,), **facts):
    rng = torch.Generator().manual_seed(seed)
    return Direction(name, torch.randn(shape, generator=rng), **facts)


FULL = dict(scale=2.5, layers=(0, 3), generator_sha256="ab" * 32, licence="MIT", about="linear SVM")


# Files


@pytest.mark.parametrize("shape", [(W_DIM,), CODES])
def test_a_file_keeps_everything(tmp_path, shape):
    kept = direction(shape=shape, **FULL)
    save_direction(kept, tmp_path / "smile.safetensors")
    read = read_direction(tmp_path / "smile.safetensors")
    assert torch.equal(read.vector, kept.vector)
    assert vars(read) | {"vector": 0} == vars(kept) | {"vector": 0}
    assert read.space == {1: "W", 2: "W+"}[len(shape)]


def test_what_is_not_known_stays_unknown(tmp_path):
    save_direction(direction(), tmp_path / "a.safetensors")
    read = read_direction(tmp_path / "a.safetensors")
    assert (read.scale, read.layers, read.generator_sha256) == (None, None, None)


def test_one_row_is_a_direction_in_w():
    assert direction(shape=(1, W_DIM)).vector.shape == (W_DIM,)


@pytest.mark.parametrize(
    ("vector", "words"),
    [
        (torch.zeros(W_DIM), "not all zero"),
        (torch.full((W_DIM,), float("nan")), "finite"),
        (torch.ones(2, 3, 4), r"got \(2, 3, 4\)"),
        (torch.ones(W_DIM, dtype=torch.int64), "int64"),
        (torch.ones(0), r"got \(0,\)"),
    ],
)
def test_what_is_no_direction_is_refused(vector, words):
    with pytest.raises(DirectionError, match=words):
        Direction("smile", vector)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_scale_is_refused(scale):
    with pytest.raises(DirectionError, match="scale above 0"):
        direction(scale=scale)


def truncated(path):
    save_direction(direction(), path)
    path.write_bytes(path.read_bytes()[:-4])


def other(path):
    save_file({"ws": torch.zeros(3)}, path)


def incomplete(path):
    save_file({"direction": torch.ones(3)}, path, {"format": json.dumps("restyle-direction-1")})


BAD = {
    "missing": (lambda path: None, "nothing of that name"),
    "empty": (lambda path: path.write_bytes(b""), "an empty file"),
    "text": (lambda path: path.write_text("hello, world"), "expected a direction's file, got"),
    "truncated": (truncated, "expected a direction's file, got"),
    "other": (other, "a file that holds ws"),
    "incomplete": (incomplete, "got: no name"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_refused_in_one_sentence(tmp_path, kind):
    make, words = BAD[kind]
    make(tmp_path / "smile.safetensors")
    with pytest.raises(DirectionError, match="expected") as caught:
        read_direction(tmp_path / "smile.safetensors")
    assert words in str(caught.value) and str(tmp_path / "smile.safetensors") in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("name", 3, "got: another name"),
        ("name", None, "got: another name"),
        ("scale", "2", "got: another scale"),
        ("scale", -2, "expected a scale above 0"),
        ("layers", ["0"], "got: another layers"),
        ("layers", 3, "got: another layers"),
        ("licence", ["MIT"], "got: another licence"),
    ],
)
def test_facts_of_another_kind_are_refused(tmp_path, key, value, message):
    path = tmp_path / "a.safetensors"
    save_direction(direction(**FULL), path)
    with safe_open(path, "pt") as file:
        metadata, vector = file.metadata(), file.get_tensor("direction")
    save_file({"direction": vector}, path, {**metadata, key: json.dumps(value)})
    with pytest.raises(DirectionError, match=rf"a\.safetensors: .*{message}"):
        read_direction(path)


def test_a_folder_is_a_set(tmp_path):
    for name in ("b", "a"):
        save_direction(direction(name), tmp_path / f"faces/{name}.safetensors")
    assert [d.name for d in directions_in(tmp_path)] == ["a", "b"]
    assert directions_in(tmp_path / "nothing") == []


# Published files


def test_published_files_are_read(tmp_path):
    vector = torch.randn(1, 8)
    torch.save(vector, tmp_path / "age.pt")
    torch.save(vector, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    np.save(tmp_path / "smile.npy", vector.numpy().astype(np.float64))
    for file in ("age.pt", "old.pt", "smile.npy"):
        read = importers.read_direction(tmp_path / file, licence="MIT")
        assert torch.equal(read.vector, vector[0]) and read.scale is None
        assert read.name == file.split(".")[0] and read.licence == "MIT"


def test_a_file_that_was_saved_on_a_gpu_is_read_without_one(tmp_path):
    torch.save(torch.arange(1.0, 9.0), tmp_path / "cpu.pt")
    with zipfile.ZipFile(tmp_path / "cpu.pt") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "gpu.pt", "w", zipfile.ZIP_STORED) as archive:
        for name, data in entries.items():
            if name.endswith("data.pkl"):  # X: a string with its length
                data = data.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
                assert b"cuda:0" in data
            archive.writestr(name, data)
    assert torch.equal(importers.read_direction(tmp_path / "gpu.pt").vector, torch.arange(1.0, 9.0))


class Trap:
    file = ""

    def __reduce__(self):
        return (open, (self.file, "w"))


def test_nothing_in_a_published_file_is_run(tmp_path):
    Trap.file = str(tmp_path / "sprung")
    trapped = io.BytesIO()
    np.save(trapped, np.array([Trap()], dtype=object), allow_pickle=True)
    (tmp_path / "a.npy").write_bytes(trapped.getvalue())
    torch.save(Trap(), tmp_path / "b.pt")
    (tmp_path / "c.pt").write_bytes(pickle.dumps(Trap()))
    torch.save({"age": torch.ones(8)}, tmp_path / "d.pt")
    (tmp_path / "e.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': ")
    huge = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    header = huge.ljust(117).encode() + b"\n"
    (tmp_path / "f.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00" + header)
    for name in ("a.npy", "b.pt", "c.pt", "d.pt", "e.npy", "f.npy", "none.pt"):
        with pytest.raises(DirectionError) as caught:
            importers.read_direction(tmp_path / name)
        assert "\n" not in str(caught.value) and name in str(caught.value)
    assert not (tmp_path / "sprung").exists()


# Scale


def test_the_scale_is_one_deviation_of_codes_along_the_direction():
    w = torch.randn(20_000, 3) * torch.tensor([3.0, 1.0, 1.0]) + 5
    vector = torch.tensor([4.0, 0.0, 0.0])  # its length is taken out again
    scale = projection_scale(vector, w)
    moved = w.mean(0) + scale * vector
    assert (moved - w.mean(0)).norm().item() == pytest.approx(3, rel=0.03)


def test_a_direction_in_w_plus_with_equal_rows_has_the_scale_of_its_row():
    w = torch.randn(1000, W_DIM)
    row = torch.randn(W_DIM)
    assert projection_scale(row.expand(CODES), w) == pytest.approx(projection_scale(row, w))


# Names, generators


def test_a_name_is_that_of_the_generator_at_hand():
    mine, others = direction(seed=1, generator_sha256="m"), direction(generator_sha256="o")
    for known in ([mine, others], [others, mine]):
        assert find_direction("smile", "m", known) is mine
        assert find_direction("smile", "else", known).name == "smile"


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(DirectionError, match="unknown direction 'smirk'.*age, smile"):
        find_direction("smirk", "m", [direction("smile"), direction("age")])
    with pytest.raises(DirectionError, match="none is known"):
        find_direction("smirk", "m", [])


@pytest.fixture
def editor(tmp_path, monkeypatch):
    monkeypatch.setattr(editor_module, "BUNDLED", tmp_path)
    for name, sha in (("smile", "mine"), ("yaw", "mine"), ("hat", "other")):
        kept = direction(name, scale=1.0, generator_sha256=sha)
        save_direction(kept, tmp_path / sha / f"{name}.safetensors")
    return Editor(tiny_generator(), "mine")


def test_names_are_those_found_with_this_generator(editor):
    assert editor.names == ["smile", "yaw"]


def test_directions_of_a_folder_are_known_too(editor, tmp_path_factory, recwarn):
    folder = tmp_path_factory.mktemp("more")
    save_direction(direction("hat", generator_sha256="others"), folder / "hat.safetensors")
    with pytest.raises(DirectionError, match="directions of this generator, got 1 of others"):
        editor.add(folder)
    save_direction(direction("nose", seed=1), folder / "nose.safetensors")
    save_direction(direction("smile", seed=2, generator_sha256="mine"), folder / "s.safetensors")
    editor.add(folder)
    assert editor.names == ["nose", "smile", "yaw"]
    assert torch.equal(editor.direction("nose").vector, direction(seed=1).vector)
    assert torch.equal(editor.direction("smile").vector, direction(seed=2).vector)
    assert not recwarn
    save_direction(direction("brow", shape=(W_DIM + 1,)), folder / "brow.safetensors")
    with pytest.raises(DirectionError, match="brow"):
        editor.add(folder)


def test_a_direction_of_another_generator_comes_with_a_warning(editor):
    with pytest.warns(UserWarning, match="'hat' was found with another generator"):
        editor.direction("hat")


def test_a_direction_that_fits_comes_without_one(editor, recwarn):
    editor.direction("smile")
    editor.direction(direction(scale=1.0))
    assert not recwarn


@pytest.mark.parametrize("shape", [(W_DIM + 1,), (NUM_WS + 1, W_DIM)])
def test_a_direction_of_other_codes_is_refused(editor, shape):
    with pytest.raises(DirectionError, match=r"expected shape \(8,\) or \(6, 8\).*got"):
        editor.direction(direction(shape=shape))


def test_layers_that_the_generator_has_not_are_refused(editor):
    with pytest.raises(DirectionError, match="layers from 0 to 5"):
        editor.direction(direction(layers=(0, 9)))


def test_a_direction_without_scale_is_measured(editor):
    ready = editor.direction(direction())
    w = editor.generator.sample_w(SAMPLES)
    assert w.shape == (10_000, W_DIM)
    assert ready.scale == pytest.approx(projection_scale(direction().vector, w))
