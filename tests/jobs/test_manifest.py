"""What an output folder holds: names that cost only themselves, and nothing of anybody else."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from restyle import jobs
from restyle.cli import main
from restyle.io.claims import locked
from restyle.io.files import read_jsonl
from restyle.io.images import ImageFile
from restyle.jobs.manifest import LOCK, Manifest
from tests.tiny import tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny_model().save_pretrained(folder)
    return str(folder)


@pytest.fixture
def invert(model):
    def call(*inputs, out):
        job = jobs.Invert(inputs=inputs, out=out, model=model, steps=1, device="cpu")
        return jobs.invert(job)

    return call


def picture(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (20, 24, 3), np.uint8)
    Image.fromarray(pixels).save(path, format="PNG")
    return path


NAMES = {
    "not UTF-8": os.fsdecode(b"caf\xe9.png"),
    "longest": "x" * 251 + ".png",
    "longest in bytes": "\u00e9" * 125 + ".png",
    "escape sequence": "\x1b[31mred\n.png",
    "line separator": "a\u2028b\x85c.png",
}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_strange_name_costs_nothing(invert, tmp_path, capsys, name):
    out = tmp_path / "out"
    strange, bad = picture(tmp_path / "in" / name), tmp_path / "in" / f"0{name}"[:200]
    bad = bad.with_suffix(".png")
    bad.write_bytes(b"no picture")
    picture(tmp_path / "in/plain.png", 1)
    summary = invert(tmp_path / "in", out=out)
    assert (summary.done, summary.failed) == (2, 1)
    assert capsys.readouterr().err.strip().isprintable()
    records = {record["input"]: record for record in read_jsonl(out / "manifest.jsonl")}
    assert set(records) == {str(strange), str(bad), str(tmp_path / "in/plain.png")}
    (out / "manifest.jsonl").read_bytes().decode("utf-8")
    for path in records[str(strange)]["outputs"].values():
        assert (out / path).stat().st_size and path.isprintable()
    again = invert(tmp_path / "in", out=out)
    assert (again.skipped, again.failed) == (2, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_become_alike_are_kept_apart(invert, tmp_path):
    for seed, letter in enumerate("ab"):
        picture(tmp_path / "in" / f"{'x' * 240}{letter}.png", seed)
    assert invert(tmp_path / "in", out=tmp_path / "out").done == 2
    assert len(list((tmp_path / "out/latents").iterdir())) == 2


@pytest.mark.parametrize("folder", ["reconstructions", "steps", "latents"])
def test_files_of_somebody_else_are_neither_overwritten_nor_passed_over(invert, tmp_path, folder):
    picture(tmp_path / "me.png")
    own = picture(tmp_path / folder / "me.png", 1)
    before = own.read_bytes()
    with pytest.raises(ValueError, match="which no earlier call wrote"):
        invert(tmp_path, out=tmp_path)
    assert own.read_bytes() == before and not (tmp_path / "manifest.jsonl").exists()


def test_a_second_run_in_one_folder_says_who_is_at_it(invert, tmp_path):
    photo, out = picture(tmp_path / "me.png"), tmp_path / "out"
    out.mkdir()
    with (
        locked(out / LOCK),
        pytest.raises(ValueError, match=f"process {os.getpid()} on .* at work"),
    ):
        invert(photo, out=out)
    assert invert(photo, out=out).done == 1
    assert not (out / LOCK).exists()


def test_what_a_killed_run_left_is_removed_by_the_next(invert, tmp_path):
    photo, out = picture(tmp_path / "me.png"), tmp_path / "out"
    code = (
        "import os, pathlib, sys\n"
        "from restyle.io.files import atomic_write\n"
        "from restyle.jobs.manifest import Manifest\n"
        "out = pathlib.Path(sys.argv[1])\n"
        "with Manifest(out, {}).held(), atomic_write(out / 'steps/me.png') as half:\n"
        "    half.write_bytes(b'half'), os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(out)], check=False)
    [half] = (out / "steps").iterdir()
    picture(out / "steps" / ".mine.png")
    assert invert(photo, out=out).done == 1
    assert not half.exists() and (out / "steps/.mine.png").exists()


def test_an_empty_result_is_not_done(invert, tmp_path):
    photo, out = picture(tmp_path / "me.png"), tmp_path / "out"
    invert(photo, out=out)
    (out / "latents/me.safetensors").write_bytes(b"")
    assert invert(photo, out=out).done == 1


def test_an_output_folder_that_is_not_utf8_can_be_told_of(model, tmp_path, capsys):
    out = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    line = ["invert", picture(tmp_path / "me.png"), "--model", model, "--out", out]
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in line])
    assert caught.value.code == 0 and "caf\\udce9" in capsys.readouterr().out


# Laws

parts = st.text("aAbB1-", min_size=1, max_size=2)
names = st.builds(
    lambda folders, stem, suffix: Path(*folders, stem + suffix),
    st.lists(parts, max_size=2),
    parts,
    st.sampled_from([".png", ".jpg", ".PNG"]),
)


@given(st.lists(names, min_size=1, max_size=12, unique=True), st.randoms())
@settings(max_examples=40)
def test_names_are_apart_safe_and_kept(paths, random):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        files = [ImageFile(Path(folder) / "in" / path, path) for path in paths]
        manifest = Manifest(out, {})
        given_names = {file: manifest.name(file) for file in files}
        # Apart even where the file system takes A for a.
        assert len({name.casefold() for name in given_names.values()}) == len(files)
        for file, name in given_names.items():
            assert manifest.name(file) == name
            assert not Path(name).is_absolute() and ".." not in Path(name).parts
            manifest.add(file.path, name, "done")
        random.shuffle(files)
        again = Manifest(out, {})
        assert {file: again.name(file) for file in files} == given_names
