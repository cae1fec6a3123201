"""`restyle bootstrap`: what it writes, and what it refuses."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

import restyle
from restyle.io.files import read_jsonl
from tests.tiny import CODES, SIZE, picture, tiny_model


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(["source", "target"]):
        tiny_model(seed).save_pretrained(folder / name)
    tiny_model(input_channels=3).save_pretrained(folder / "single")
    return folder


@pytest.fixture
def bootstrap(run, models, tmp_path):
    def call(*arguments, source="source", target="target"):
        out = tmp_path / "out"
        names = ["--source", models / source, "--target", models / target, "--out", out]
        result = run("bootstrap", *arguments, *names, "--device", "cpu")
        result.folder = out
        return result

    return call


def test_codes_strip_and_image_are_the_librarys(bootstrap, models, tmp_path):
    photo = picture(tmp_path / "me.png")
    result = bootstrap(photo, "--steps", 3)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("1 translated, 0 failed, 0 done before")
    source, target = (restyle.load(models / name, "cpu") for name in ("source", "target"))
    expected = restyle.bootstrap(photo, source, target, source_steps=1, steps=3)
    with safe_open(result.folder / "latents/me.safetensors", "pt") as latents:
        ws, facts = latents.get_tensor("ws"), latents.metadata()
    assert ws.shape == (5, *CODES)  # start, one source step, three target steps
    assert torch.allclose(ws, torch.cat([step.ws for step in expected.steps]), atol=1e-5)
    assert facts["model_sha256"] == target.weights_hash()
    assert facts["source_model_sha256"] == source.weights_hash()
    with Image.open(result.folder / "reconstructions/me.png") as image:
        found = np.asarray(image).astype(int)
    assert found.shape == (SIZE, SIZE, 3)
    assert np.abs(found - restyle.io.images.to_uint8(expected.image[0])).max() <= 1
    with Image.open(result.folder / "steps/me.png") as strip:
        assert strip.width // strip.height in (4, 5)  # photo, one source step, three target steps
    [record] = read_jsonl(result.folder / "manifest.jsonl")
    assert record["status"] == "done" and (record["source_steps"], record["steps"]) == (1, 3)


def test_bad_files_cost_only_themselves_and_the_rest_is_not_done_again(bootstrap, tmp_path):
    picture(tmp_path / "in/1.png")
    (tmp_path / "in/2.png").write_text("hello")
    first = bootstrap(tmp_path / "in")
    assert first.code == 1 and "1 translated, 1 failed" in first.out
    [line] = first.err.splitlines()
    assert "2.png: expected a JPEG, PNG or WebP image" in line
    picture(tmp_path / "in/2.png", 1)
    again = bootstrap(tmp_path / "in")
    assert again.code == 0 and "1 translated, 0 failed, 1 done before" in again.out
    other = bootstrap(tmp_path / "in", "--source-steps", 2)
    assert "2 translated" in other.out


@pytest.mark.parametrize(
    ("arguments", "models_", "words"),
    [
        (["--steps", 0], {}, "--steps"),
        ([], {"target": "nope"}, "unknown model"),
        (["--steps", 2], {"target": "single"}, "steps=1 for a single-shot encoder"),
        (["--source-steps", 2], {"source": "single"}, "steps=1 for a single-shot encoder"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(bootstrap, tmp_path, arguments, models_, words):
    result = bootstrap(picture(tmp_path / "me.png"), *arguments, **models_)
    assert result.code == 2 and words in result.err
    assert len(result.err.splitlines()) == 1 and not result.folder.exists()


def test_models_of_other_codes_do_not_fit_together(models):
    source, target = (restyle.load(models / name, "cpu") for name in ("source", "target"))
    target.start_ws = target.start_ws[:4]
    with pytest.raises(ValueError, match=r"codes \(6, 8\).*got \(4, 8\)"):
        restyle.bootstrap(torch.zeros(3, SIZE, SIZE), source, target)
