"""`restyle invert` with a method by name: what it writes, and what it refuses."""

import weakref

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

import restyle
from restyle.cli import main
from restyle.inversion.methods import Chain, build, networks_of, tuned_model
from restyle.io.files import read_jsonl
from restyle.io.images import to_uint8
from restyle.jobs.inverters import spread, strip_steps
from restyle.losses.pixels import l2
from restyle.refine import Estimate
from tests.tiny import CODES, picture, tiny_model


@pytest.fixture
def invert(run, model_folder, tmp_path):
    def call(*arguments):
        folder = tmp_path / "out"
        names = ["--model", model_folder, "--out", folder, "--device", "cpu"]
        result = run("invert", *arguments, *names)
        result.folder, result.manifest = folder, read_jsonl(folder / "manifest.jsonl")
        return result

    return call


def latents(path):
    with safe_open(path, "pt") as file:
        return file.get_tensor("ws"), file.metadata()


def test_the_results_are_those_of_the_library(invert, model_folder, tmp_path):
    photo = picture(tmp_path / "me.png")
    result = invert(photo, "--method", "restyle:2+ws:40")
    assert (result.code, result.err) == (0, "")
    model = restyle.load(model_folder, "cpu")
    target = model.prepare([photo])
    start = model.start(1)
    estimates = [start, *build("restyle:2+ws:40", networks_of(model, l2))(target, start)]
    shown = [0, 2, 3, 4, 6, 11, 21, 42]  # of the optimisation 1, 2, 4, 9, 19, 40
    ws, facts = latents(result.folder / "latents/me.safetensors")
    wanted = torch.cat([estimates[step].ws for step in shown])
    assert ws.shape == (8, *CODES)
    torch.testing.assert_close(ws, wanted, atol=1e-4, rtol=0)
    assert facts["method"] == "restyle:2+ws:40" and facts["shown"] == str(shown)
    [record] = result.manifest
    assert record["method"] == "restyle:2+ws:40" and record["iterations"] == 42
    assert record["shown"] == shown and record["features"] == "none" and record["seconds"] > 0
    with Image.open(result.folder / "reconstructions/me.png") as image:
        difference = np.asarray(image).astype(int) - to_uint8(estimates[-1].image[0])
    assert np.abs(difference).max() <= 1
    with Image.open(result.folder / "steps/me.png") as strip:
        assert strip.width > 9 * strip.height * 0.8  # target, and eight estimates


def test_what_is_done_with_a_method_is_not_done_again(invert, tmp_path):
    photos = [picture(tmp_path / f"{seed}.png", seed) for seed in range(3)]
    assert "3 inverted" in invert(*photos, "--method", "ws:2", "--batch-size", 2).out
    assert "0 inverted, 0 failed, 3 done" in invert(*photos, "--method", "ws:2").out
    assert "3 inverted" in invert(*photos, "--method", "ws:3").out
    assert "3 inverted" in invert(*photos, "--steps", 1).out
    assert "3 inverted" in invert(*photos, "--method", "ws:3").out


def test_each_image_has_the_generator_that_was_tuned_for_it(invert, model_folder, tmp_path):
    photos = [picture(tmp_path / f"{seed}.png", seed) for seed in range(2)]
    result = invert(*photos, "--method", "restyle:1+pti:5", "--batch-size", 2)
    assert (result.code, result.err) == (0, "")
    model = restyle.load(model_folder, "cpu")
    for record in result.manifest:
        path = result.folder / record["outputs"]["generator"]
        assert path == result.folder / f"generators/{record['name']}.safetensors"
        assert record["generator_bytes"] == path.stat().st_size
        ws, _ = latents(result.folder / record["outputs"]["latents"])
        image = tuned_model(model, path).generate(ws[-1:])[0]
        with Image.open(result.folder / record["outputs"]["reconstruction"]) as reconstruction:
            difference = np.asarray(reconstruction).astype(int) - to_uint8(image.detach())
        assert np.abs(difference).max() <= 1
    again = invert(*photos, "--method", "restyle:1+pti:5")
    assert "0 inverted, 0 failed, 2 done before" in again.out
    path.unlink()
    assert "1 inverted, 0 failed, 1 done" in invert(*photos, "--method", "restyle:1+pti:5").out


def test_methods_stop_by_themselves_where_they_are_told_to(invert, tmp_path, monkeypatch):
    monkeypatch.setenv("RESTYLE_CACHE", str(tmp_path / "cache"))
    photos = [picture(tmp_path / f"{seed}.png", seed) for seed in range(2)]
    result = invert(*photos, "--method", "restyle:1+newton@inner=2", "--steps", "auto")
    assert result.code == 0 and "2 inverted" in result.out
    assert {record["method"] for record in result.manifest} == {"restyle:1+newton:auto@inner=2"}
    assert "2 done before" in invert(*photos, "--method", "restyle:1+newton:auto@inner=2").out


def test_memory_does_not_grow_with_the_iterations(invert, tmp_path, monkeypatch):
    alive, most = weakref.WeakSet(), []

    class Tracked(Estimate):
        __hash__ = object.__hash__

    def long(target, start):
        for _ in range(500):
            estimate = Tracked(start.ws.clone(), start.image.clone())
            alive.add(estimate)
            most.append(len(alive))
            yield estimate

    chain = Chain("ws:500", (long,), (500,))
    monkeypatch.setattr("restyle.jobs.inverters.build", lambda *_: chain)
    assert invert(picture(tmp_path / "me.png"), "--method", "ws:500").code == 0
    assert len(most) == 500 and max(most) <= 6 + 3  # those that are shown, and those under way


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--method", "adam"],
            "expected a method of restyle, w, projector, ws, newton, pti, got 'adam'",
        ),
        (["--method", "ws:0"], "expected ws:STEPS with a positive number, got 'ws:0'"),
        (["--method", "pti+ws"], "expected pti as the last of the methods, got 'pti+ws'"),
        (["--method", "ws:9", "--steps", 5], "expected --steps or --method, got both"),
        (["--method", "ws:9", "--preview-resolution", 16], "--preview-resolution without --method"),
        (["--features", "none"], "expected --features together with --method"),
        (["--method", "ws:9", "--features", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_done_is_one_line(invert, tmp_path, arguments, words):
    result = invert(picture(tmp_path / "me.png"), *arguments)
    assert result.code == 2 and not result.folder.exists()
    [line] = result.err.splitlines()
    assert line.startswith("restyle: ") and words in line


def test_a_single_shot_encoder_can_begin(capsys, tmp_path):
    tiny_model(input_channels=3).save_pretrained(tmp_path / "model")
    arguments = ["--model", tmp_path / "model", "--out", tmp_path / "out", "--device", "cpu"]
    photo = picture(tmp_path / "me.png")
    for method, code in (("restyle+ws:2", 0), ("restyle:2", 2)):
        with pytest.raises(SystemExit) as caught:
            main(["invert", *map(str, [photo, "--method", method, *arguments])])
        assert caught.value.code == code
    assert read_jsonl(tmp_path / "out/manifest.jsonl")[0]["method"] == "restyle:1+ws:2"


def test_a_few_steps_are_shown():
    assert spread(4) == [1, 2, 3, 4]
    assert spread(1000) == [1, 4, 16, 63, 251, 1000]
    assert all(spread(n)[-1] == n and len(spread(n)) <= 6 for n in range(1, 2000))
    chain = build("restyle:5+ws:3+pti:2", networks_of(tiny_model(), l2))
    assert strip_steps(chain) == {
        0: "average", 5: "restyle 5", 8: "ws 3", 9: "pti 1", 10: "pti 2"
    }  # fmt: skip
