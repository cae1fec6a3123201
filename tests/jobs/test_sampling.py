"""`restyle sample`: a generator's own pictures, which edits, mixtures and films take by number."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import restyle
from restyle import jobs
from restyle.cli import main
from restyle.editing.directions import Direction, save_direction
from restyle.io.files import read_jsonl
from tests.tiny import CODES, tiny_generator, tiny_model


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    """A generator alone, and a direction of it."""
    folder = tmp_path_factory.mktemp("generator")
    tiny_generator().save_pretrained(folder)
    sha = restyle.load(folder, "cpu").editor.generator_sha256
    save_direction(Direction("up", torch.ones(CODES), 1.0, None, sha), folder / "up.safetensors")
    return folder


def run(*words):
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return caught.value.code


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_pictures_are_those_that_edits_take_by_number(generator, tmp_path, capsys):
    out = tmp_path / "out"
    line = ["sample", generator, "--n", 3, "--seed", 4, "--truncation", 0.7, "--device", "cpu"]
    assert run(*line, "--out", out) == 0
    assert "3 pictures in" in capsys.readouterr().out
    names = ["seed4", "seed5", "seed6"]
    assert sorted(p.stem for p in (out / "images").iterdir()) == names
    assert sorted(p.stem for p in (out / "latents").iterdir()) == names
    assert pixels(out / "grids/seed4-6.png").shape[0] > 256  # two rows
    records = read_jsonl(out / "manifest.jsonl")
    assert [record.get("seed") for record in records] == [4, 5, 6, None]
    assert records[-1]["seeds"] == [4, 5, 6]
    assert run(*line, "--out", out) == 0  # all of this is its own
    model = restyle.load(generator, "cpu")
    expected = model.sample(1, 5, truncation=0.7)
    ws = load_file(out / "latents/seed5.safetensors")["ws"]
    assert torch.allclose(ws, expected.ws, atol=1e-6)
    edited = tmp_path / "edited"
    line = ["edit", "--seed", 5, "--truncation", 0.7, "--model", generator, "--strengths", "0"]
    assert run(*line, "--direction", generator / "up.safetensors", "--out", edited) == 0
    same = pixels(edited / "images/seed5.up+0.png"), pixels(out / "images/seed5.png")
    assert np.array_equal(*same)
    line = ["edit", out / "latents", "--model", generator, "--strengths", "0"]
    again = tmp_path / "again"
    assert run(*line, "--direction", generator / "up.safetensors", "--out", again) == 0
    assert np.array_equal(pixels(again / "images/seed5.up+0.png"), same[0])


def test_mixtures_and_films_take_a_generator_alone(generator, tmp_path):
    facts = {"seed": (1, 2), "model": str(generator), "device": "cpu"}
    jobs.mix(jobs.Mix(out=tmp_path / "mixed.png", **facts))
    assert pixels(tmp_path / "mixed.png").shape[1] > 3 * 128
    pytest.importorskip("imageio")
    jobs.animate(jobs.Animate(out=tmp_path / "film.gif", frames=2, **facts))
    assert (tmp_path / "film.gif").stat().st_size


def test_photographs_need_an_encoder(generator, tmp_path, capsys):
    Image.new("RGB", (20, 20)).save(tmp_path / "me.png")
    line = ["mix", tmp_path / "me.png", "--seed", 1, "--model", generator]
    assert run(*line, "--out", tmp_path / "mixed.png") == 2
    assert "expected a model with an encoder" in capsys.readouterr().err


def test_a_model_is_told_of_by_its_generator_alone(generator, tmp_path, capsys):
    assert run("models", "info", generator) == 0
    told = capsys.readouterr().out
    assert "generator" in told and "encoder: none" in told


def test_models_draw_by_themselves_too(tmp_path):
    tiny_model().save_pretrained(tmp_path / "model")
    job = jobs.Sample(generator=str(tmp_path / "model"), n=1, out=tmp_path / "out", device="cpu")
    assert jobs.sample(job).done == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n": 0}, "n: expected a number of 1 or more"),
        ({"seed": 2**64}, "seed: expected at most"),
        ({"truncation": float("nan")}, "truncation: expected a number from -2 to 2"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        jobs.Sample(**options)
