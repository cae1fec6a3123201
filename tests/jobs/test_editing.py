"""`restyle edit`, `mix` and `animate`: what they write, and what they refuse."""

import re

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import restyle
from restyle.editing.directions import Direction, save_direction
from restyle.editing.edits import mix
from restyle.io.files import read_jsonl
from tests.tiny import CODES, picture, tiny_model


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


SMILE = "smile.safetensors"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model, and directions of it in files of all kinds."""
    folder = tmp_path_factory.mktemp("files")
    model = tiny_model()
    model.save_pretrained(folder / "model")
    rng = torch.Generator().manual_seed(3)
    facts = {"scale": 2.0, "generator_sha256": model.editor.generator_sha256}
    for name in ("smile", "yaw"):
        direction = Direction(name, torch.randn(CODES[1], generator=rng), **facts)
        save_direction(direction, folder / f"{name}.safetensors")
    save_direction(
        Direction("hat", torch.ones(CODES), 1.0, None, "another"), folder / "hat.safetensors"
    )
    save_direction(Direction("wide", torch.ones(CODES[1] + 1), 1.0), folder / "wide.safetensors")
    torch.save(torch.ones(1, CODES[1]), folder / "age.pt")
    return folder


@pytest.fixture
def run(run, files, tmp_path):
    def call(command, *arguments, out=tmp_path / "out", model="model"):
        line = [command, *arguments, "--model", files / model, "--device", "cpu", "--out", out]
        result = run(*line)
        result.folder = out
        return result

    return call


@pytest.fixture
def edit(run, files):
    def call(*arguments, direction="smile.safetensors", **options):
        return run("edit", *arguments, "--direction", files / direction, **options)

    return call


def written(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


# Edits


def test_a_photograph_is_inverted_and_edited(edit, files, tmp_path):
    photo = picture(tmp_path / "me.png")
    result = edit(photo, "--strengths", "-1:1:3", "--steps", 2)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("1 edited, 0 failed, 0 done before")
    assert written(result.folder) == [
        "images/me.smile+0.png",
        "images/me.smile+1.png",
        "images/me.smile-1.png",
        "latents/me.smile.safetensors",
        "manifest.jsonl",
        "strips/me.smile.png",
    ]
    model = restyle.load(files / "model", "cpu")
    ws = model.invert(photo, steps=2).ws
    expected = model.edit(ws, files / "smile.safetensors", 1.0)
    kept = load_file(result.folder / "latents/me.smile.safetensors")["ws"]
    assert kept.shape == (3, *CODES)
    assert torch.allclose(kept[1], ws[0], atol=1e-5)
    assert torch.allclose(kept[2], expected.ws[0], atol=1e-5)
    found = pixels(result.folder / "images/me.smile+1.png")
    assert np.abs(found - restyle.io.images.to_uint8(expected.image[0])).max() <= 1
    strip = pixels(result.folder / "strips/me.smile.png")
    assert strip.shape[1] > 3.5 * 128  # target and three strengths
    [record] = read_jsonl(result.folder / "manifest.jsonl")
    assert record["strengths"] == [-1, 0, 1] and record["direction"] == "smile"


def test_several_edits_at_once_and_chosen_layers(edit, files):
    line = ("--seed", 5, "--strengths", "2", "--layers", "coarse")
    edit(*line, "--also", f"{files / 'yaw.safetensors'}=-1")
    result = edit(*line, "--also", f"{files / 'yaw.safetensors'}=-1")
    model = restyle.load(files / "model", "cpu")
    edits = {files / "smile.safetensors": 2.0, files / "yaw.safetensors": -1.0}
    expected = model.edit(model.sample(1, 5).ws, edits, layers="coarse").ws
    kept = load_file(result.folder / "latents/seed5.smile.safetensors")["ws"]
    assert torch.allclose(kept, expected, atol=1e-5)
    assert torch.equal(kept[:, 4:], model.sample(1, 5).ws[:, 4:])


def test_edits_start_from_the_latents_of_an_inversion(run, edit, files, tmp_path):
    photo = picture(tmp_path / "me.png")
    run("invert", photo, out=tmp_path / "inverted")
    latents = tmp_path / "inverted/latents/me.safetensors"
    result = edit(latents, "--strengths", "1.5")
    assert result.code == 0
    last = load_file(latents)["ws"][-1:]
    model = restyle.load(files / "model", "cpu")
    expected = model.edit(last, files / "smile.safetensors", 1.5).ws
    kept = load_file(result.folder / "latents/me.smile.safetensors")["ws"]
    assert torch.allclose(kept, expected, atol=1e-5)
    # What was edited can be edited further.
    again = edit(result.folder / "latents/me.smile.safetensors", "--strengths", "1", out=tmp_path)
    assert again.code == 0


def test_published_directions_are_measured_with_the_generator(edit, files):
    result = edit("--seed", 1, "--strengths", "1", direction="age.pt")
    assert result.code == 0
    model = restyle.load(files / "model", "cpu")
    moved = load_file(result.folder / "latents/seed1.age.safetensors")["ws"] - model.sample(1, 1).ws
    with torch.no_grad():
        w = model.generator.mapping(torch.randn(4000, 8))
    spread = (w @ torch.ones(8) / 8**0.5).std().item()
    assert moved[0, 0].norm().item() == pytest.approx(spread, rel=0.1)


def test_a_direction_of_another_generator_is_used_with_a_warning(edit, recwarn):
    result = edit("--seed", 1, direction="hat.safetensors")
    assert result.code == 0
    [line] = result.err.splitlines()
    assert line.startswith("restyle: warning: direction 'hat' was found with another generator")
    assert not recwarn  # it is said once


@pytest.mark.parametrize("kind", ["mp4", "gif"])
def test_a_film_of_an_edit(edit, kind):
    imageio = pytest.importorskip("imageio.v3")
    result = edit("--seed", 1, "--strengths", "-2:2:3", "--video", kind)
    assert result.code == 0
    film = np.stack(list(imageio.imiter(result.folder / f"videos/seed1.smile.{kind}")))
    assert len(film) == 98 and film.shape[1] == 256
    assert np.abs(film[1].astype(int) - film[-1]).mean() < 5  # there and back
    assert np.abs(film[0].astype(int) - film[49]).mean() > 5


def test_bad_photographs_cost_only_themselves_and_the_rest_is_not_done_again(edit, tmp_path):
    picture(tmp_path / "in/1.png")
    (tmp_path / "in/2.png").write_text("hello")
    first = edit(tmp_path / "in", "--strengths", "1")
    assert first.code == 1 and "1 edited, 1 failed" in first.out
    assert len(first.err.splitlines()) == 1 and "2.png: expected" in first.err
    again = edit(tmp_path / "in", "--strengths", "1")
    assert "0 edited, 1 failed, 1 done before" in again.out
    assert "1 edited" in edit(tmp_path / "in", "--strengths", "2").out
    assert "1 edited" in edit(tmp_path / "in", direction="yaw.safetensors").out
    assert len([name for name in written(first.folder) if name.startswith("strips")]) == 2


# Bad input


def refused(result, *words):
    assert result.code == 2, result
    [line] = result.err.splitlines()
    assert line.startswith("restyle: ") and all(word in line for word in words), line
    assert not result.folder.exists()


@pytest.mark.parametrize(
    ("arguments", "direction", "words"),
    [
        ([], "smile.safetensors", ["at least 1", "got 0"]),
        (["--seed", 1, "--strengths", "much"], "smile.safetensors", ["strengths", "'much'"]),
        (["--seed", 1, "--strengths", "nan"], "smile.safetensors", ["strengths", "'nan'"]),
        (["--seed", 1, "--strengths", "0:1:0"], "smile.safetensors", ["strengths"]),
        (["--seed", 1, "--layers", "huge"], "smile.safetensors", ["layers", "coarse"]),
        (["--seed", 1, "--layers", "4-9"], "smile.safetensors", ["layers from 0 to 5"]),
        (["--seed", 1, "--also", "yaw"], "smile.safetensors", ["yaw=-1", "'yaw'"]),
        (["--seed", 1, "--also", "yaw=x"], "smile.safetensors", ["also: ", "'yaw=x'"]),
        (["--seed", 1, "--also", "yaw=1,2"], "smile.safetensors", ["also: ", "'yaw=1,2'"]),
        (["--seed", 1, "--also", "pose=1"], "smile.safetensors", ["unknown direction 'pose'"]),
        (["--seed", -1], "smile.safetensors", ["seed"]),
        (["--seed", 1, "--video", "avi"], "smile.safetensors", ["avi", "mp4"]),
        (["--seed", 1, "--video", "gif", "--strengths", "1"], "smile.safetensors", ["strengths"]),
        (["--seed", 1], "smirk", ["unknown direction", "smirk"]),
        (["--seed", 1], "none.safetensors", ["nothing of that name"]),
        (["--seed", 1], "none.pt", ["nothing of that name"]),
        (["--seed", 1], "wide.safetensors", ["(8,) or (6, 8)", "(9,)"]),
    ],
)
def test_what_cannot_be_done_is_one_sentence(edit, arguments, direction, words):
    refused(edit(*arguments, direction=direction), *words)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path, _: None, ["nothing of that name"]),
        (lambda path, _: path.write_bytes(b""), ["an empty file"]),
        (lambda path, _: path.write_bytes(b"x" * 99), ["expected a latents file, got"]),
        (lambda path, _: save_file({"codes": torch.zeros(3)}, path), ["holds codes"]),
        (
            lambda path, _: save_file({"ws": torch.zeros(1, *CODES)}, path),
            ["model with hash", "no hash"],
        ),
        (
            lambda path, _: save_file(
                {"ws": torch.zeros(1, *CODES)}, path, {"model": "faces", "model_sha256": "ab" * 32}
            ),
            ["model with hash", "'faces' (abababababab)"],
        ),
        (
            lambda path, sha: save_file({"ws": torch.zeros(1, 4, 8)}, path, {"model_sha256": sha}),
            ["(N, 6, 8)", "(1, 4, 8)"],
        ),
        (
            lambda path, sha: save_file(
                {"ws": torch.zeros(0, *CODES)}, path, {"model_sha256": sha}
            ),
            ["(N, 6, 8)"],
        ),
        (
            lambda path, sha: save_file(
                {"ws": torch.full((1, *CODES), float("nan"))}, path, {"model_sha256": sha}
            ),
            ["finite codes"],
        ),
    ],
)
def test_latents_that_cannot_be_edited_cost_only_themselves(edit, files, tmp_path, make, words):
    path, photo = tmp_path / "me.safetensors", picture(tmp_path / "you.png")
    make(path, restyle.load(files / "model", "cpu").weights_hash())
    result = edit(path, photo, "--strengths", "1")
    assert result.code == 1 and result.out.startswith("1 edited, 1 failed")
    [line] = result.err.splitlines()
    assert line.startswith("restyle: ") and all(word in line for word in [str(path), *words]), line


def test_a_folder_of_latents_and_photographs_is_edited_together(run, edit, files, tmp_path):
    for seed in range(3):
        picture(tmp_path / f"in/{seed}.png", seed)
    run("invert", tmp_path / "in", "--steps", 2, out=tmp_path / "in/inverted")
    (tmp_path / "in/inverted/run.txt").touch()
    (tmp_path / "in/gone.png").symlink_to(tmp_path / "nothing")
    latents = tmp_path / "in/inverted/latents"
    result = edit(latents, tmp_path / "in/1.png", "--strengths", "1", "--batch-size", 2)
    assert (result.code, result.err) == (0, "") and "4 edited" in result.out
    model = restyle.load(files / "model", "cpu")
    kept = load_file(result.folder / "latents/2.smile.safetensors")["ws"]
    expected = model.edit(load_file(latents / "2.safetensors")["ws"][-1:], files / SMILE, 1.0)
    assert torch.allclose(kept, expected.ws, atol=1e-5)
    whole = edit(tmp_path / "in", "--strengths", "1", out=tmp_path / "whole")
    assert "passed over: 1 .jsonl, 1 .txt, 1 broken link" in whole.out


def test_edits_start_where_each_inversion_ends_by_itself(edit, files, tmp_path):
    photo = picture(tmp_path / "me.png")
    result = edit(photo, "--strengths", "0", "--steps", "auto")
    assert result.code == 0
    kept = load_file(result.folder / "latents/me.smile.safetensors")["ws"]
    expected = restyle.load(files / "model", "cpu").invert(photo, steps="auto")
    assert torch.allclose(kept, expected.ws, atol=1e-5)


def test_a_sample_that_has_the_name_of_a_photograph_is_kept_apart(edit, tmp_path):
    result = edit(picture(tmp_path / "seed1.png"), "--seed", 1, "--strengths", "1")
    assert result.code == 0
    assert len([name for name in written(result.folder) if name.startswith("images/")]) == 2


def test_a_missing_imageio_is_one_sentence(edit, monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "imageio.v2", None)
    assert edit("--seed", 1, "--video", "gif").code == 0
    result = edit("--seed", 1, "--video", "mp4", out=tmp_path / "film")
    assert result.code == 1 and "restyle[video]" in result.err and not result.folder.exists()


# Mixing and films of people


def test_mixing_shows_what_each_group_of_layers_brings(run, files, tmp_path):
    out = tmp_path / "mixed.png"
    result = run("mix", "--seed", 1, 2, out=out)
    assert (result.code, result.err) == (0, "")
    strip = pixels(out)
    assert strip.shape[1] > 4 * 128  # first, coarse, middle, second
    model = restyle.load(files / "model", "cpu")
    first, second = model.sample(1, 1).ws, model.sample(1, 2).ws
    assert torch.equal(mix(first, second, "coarse")[:, :4], second[:, :4])
    expected = restyle.io.images.to_uint8(model.generate(mix(first, second, "coarse"))[0])
    column = strip.shape[1] // 4
    middle = strip[strip.shape[0] - 4 - 128 : -4 : 8, column : 2 * column]
    assert np.abs(middle[:, :, None] - expected[:, None]).sum(axis=-1).min(axis=1).max() < 6


@pytest.mark.parametrize("arguments", [[], ["--seed", 1], ["--seed", 1, 2, 3]])
def test_mixing_needs_two(run, tmp_path, arguments):
    refused(run("mix", *arguments, out=tmp_path / "mixed.png"), "expected 2 of")


def test_films_of_iterations_and_of_the_way_between_people(run, tmp_path):
    imageio = pytest.importorskip("imageio.v3")
    photo = picture(tmp_path / "me.png")
    for name, line, count in [
        ("steps.gif", (photo, "--steps", 3, "--frames", 4), 3 * 4 + 1),
        ("people.gif", (photo, "--seed", 1, 2, "--frames", 5), 2 * 5 + 1),
    ]:
        result = run("animate", *line, out=tmp_path / name)
        assert result.code == 0, result.err
        assert len(list(imageio.imiter(tmp_path / name))) == count


@pytest.mark.parametrize(
    ("arguments", "name", "words"),
    [
        ([], "film.mp4", "at least 1"),
        (["--seed", 1], "film.mp4", "one sample"),
        (["--seed", 1, 2], "film.avi", ".mp4 or .gif"),
        (["nothing.png"], "film.gif", "nothing of that name"),
    ],
)
def test_films_that_cannot_be_made(run, tmp_path, arguments, name, words):
    refused(run("animate", *arguments, out=tmp_path / name), words)


def test_labels_of_the_strip_are_signed(files):
    from restyle.jobs import Edit
    from restyle.jobs.editing import make_plan

    model = restyle.load(files / "model", "cpu")
    job = Edit(direction=str(files / "smile.safetensors"), strengths="-1,0,.5,-2.66667", seed=(1,))
    plan = make_plan(model, job)
    labels = [plan.label(strength) for strength in plan.strengths]
    assert labels == ["smile -1", "smile +0", "smile +0.5", "smile -2.67"]
    assert all(re.fullmatch(r"smile [+-][\d.]+", label) for label in labels)


@pytest.mark.parametrize("command", ["edit", "mix", "animate"])
def test_photographs_are_fitted_and_told_where_they_are_unlike_the_domain(run, tmp_path, command):
    if command == "animate":
        pytest.importorskip("imageio")
    tiny_model(validation={"val_mse_max": 1e-9}).save_pretrained(tmp_path / "strict")
    wide = picture(tmp_path / "wide.png", size=(20, 40))
    save_direction(Direction("up", torch.ones(CODES), 1.0), tmp_path / "up.safetensors")
    further = {
        "edit": ["--direction", tmp_path / "up.safetensors", "--strengths", "1"],
        "mix": ["--seed", 1],
        "animate": ["--frames", 2],
    }[command]
    for fit in ("stretch", "crop"):
        name = {"edit": fit, "mix": f"{fit}.png", "animate": f"{fit}.gif"}[command]
        line = [command, wide, *further, "--steps", 1, "--fit", fit]
        result = run(*line, model=tmp_path / "strict", out=tmp_path / name)
        assert result.code == 0, result.err
        assert "wide.png: unlike the tiny that 'tiny' knows" in result.err
        told = result.out + result.err
        assert ("1 stretched (--fit crop or pad keeps the shape)" in told) == (fit == "stretch")
