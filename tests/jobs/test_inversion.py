"""`restyle invert`: what it writes, what it keeps, and what it refuses."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

import restyle
from restyle.io.files import read_jsonl
from restyle.model import ReStyle
from tests.tiny import CODES, SIZE, picture, tiny_model


@pytest.fixture
def invert(run, model_folder, tmp_path):
    def call(*arguments, out=tmp_path / "out"):
        device = [] if "--device" in arguments else ["--device", "cpu"]
        result = run("invert", *arguments, *device, "--model", model_folder, "--out", out)
        result.out_folder = out
        result.manifest = read_jsonl(out / "manifest.jsonl")
        return result

    return call


def files_in(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def complaints(result):
    return [line for line in result.err.splitlines() if line.startswith("restyle: ")]


def test_each_input_gives_reconstruction_strip_latents_and_a_record(invert, model_folder, tmp_path):
    source = picture(tmp_path / "me.png")
    result = invert(source, "--steps", 3)
    assert (result.code, result.err) == (0, "")
    assert "1 inverted, 0 failed, 0 done before" in result.out
    assert files_in(result.out_folder) == [
        "latents/me.safetensors",
        "manifest.jsonl",
        "reconstructions/me.png",
        "steps/me.png",
    ]
    model = restyle.load(model_folder, device="cpu")
    expected = model.invert(source, steps=3)
    with safe_open(result.out_folder / "latents/me.safetensors", "pt") as latents:
        ws, facts = latents.get_tensor("ws"), latents.metadata()
    assert torch.allclose(ws, torch.cat([step.ws for step in expected.steps]), atol=1e-5)
    assert ws.shape == (4, *CODES)
    assert facts["model_sha256"] == model.weights_hash()
    assert facts["steps"] == "3" and facts["target"] == str(source)
    with Image.open(result.out_folder / "reconstructions/me.png") as reconstruction:
        assert reconstruction.size == (SIZE, SIZE)
        pixels = np.asarray(reconstruction)
    assert np.abs(pixels - restyle.io.images.to_uint8(expected.image[0]).astype(int)).max() <= 1
    with Image.open(result.out_folder / "steps/me.png") as strip:
        assert strip.width > 5 * strip.height * 0.8  # target, average and three steps
    [record] = result.manifest
    assert record["status"] == "done" and record["input"] == str(source)
    assert record["steps"] == 3 and record["seconds"] > 0
    assert set(record["outputs"].values()) < set(files_in(result.out_folder))


def test_automatic_steps_are_those_that_each_image_took(invert, model_folder, tmp_path):
    photos = [picture(tmp_path / f"{seed}.png", seed) for seed in range(3)]
    result = invert(*photos, "--steps", "auto")
    assert (result.code, result.err) == (0, "")
    expected = restyle.load(model_folder, "cpu").invert(photos, steps="auto")
    used = [record["steps_used"] for record in result.manifest]
    assert used == expected.steps_used.tolist()
    widths = set()
    for record, one in zip(result.manifest, expected.split(), strict=True):
        assert record["steps"] == "auto"
        with safe_open(result.out_folder / record["outputs"]["latents"], "pt") as latents:
            ws = latents.get_tensor("ws")
        assert torch.allclose(ws, torch.cat([step.ws for step in one.steps]), atol=1e-5)
        assert len(ws) == record["steps_used"] + 1
        with Image.open(result.out_folder / record["outputs"]["strip"]) as strip:
            widths.add((record["steps_used"], strip.width))
    assert len({width for _, width in widths}) == len(set(used))
    assert "3 done before" in invert(*photos, "--steps", "auto").out
    assert "3 inverted" in invert(*photos, "--steps", 2).out
    assert "steps_used" not in invert(*photos, "--steps", 2).manifest[-1]


def test_equal_names_are_kept_apart(invert, tmp_path):
    photos = tmp_path / "photos"
    for seed, name in enumerate(["me.png", "me.jpg", "a/me.png", "a/b/me.png", "B/ME.png"]):
        picture(photos / name, seed)
    result = invert(photos, "--steps", 1)
    assert result.code == 0
    outputs = [record["outputs"]["latents"] for record in result.manifest]
    assert len({name.casefold() for name in outputs}) == 5
    assert "latents/a/b/me.safetensors" in outputs
    targets = {safe_open(result.out_folder / name, "pt").metadata()["target"] for name in outputs}
    assert targets == {str(path) for path in photos.rglob("*") if path.is_file()}


def test_inputs_of_a_second_call_do_not_overwrite_those_of_the_first(invert, tmp_path):
    for seed, name in enumerate(["a/me.png", "b/me.png"]):
        invert(picture(tmp_path / name, seed), "--steps", 1)
    result = invert(tmp_path / "a", tmp_path / "b", "--steps", 1)
    assert "0 inverted, 0 failed, 2 done before" in result.out
    assert len(list((result.out_folder / "latents").rglob("*.safetensors"))) == 2


def test_what_is_done_is_not_done_again(invert, tmp_path):
    first = picture(tmp_path / "in/1.png")
    assert "1 inverted" in invert(tmp_path / "in", "--steps", 2).out
    picture(tmp_path / "in/2.png", 1)
    again = invert(tmp_path / "in", "--steps", 2)
    assert "1 inverted, 0 failed, 1 done before" in again.out
    assert "2 inverted" in invert(tmp_path / "in", "--steps", 3).out
    assert "2 inverted" in invert(tmp_path / "in", "--steps", 3, "--overwrite").out
    picture(first, seed=7)  # other content under the same name
    (again.out_folder / "steps/2.png").unlink()
    assert "2 inverted" in invert(tmp_path / "in", "--steps", 3).out
    assert "2 done before" in invert(tmp_path / "in", "--steps", 3).out


def test_results_below_the_input_folder_are_no_inputs(invert, tmp_path):
    picture(tmp_path / "in/1.png")
    for expected in ("1 inverted, 0 failed, 0 done", "0 inverted, 0 failed, 1 done"):
        assert expected in invert(tmp_path / "in", "--steps", 1, out=tmp_path / "in").out


def test_an_interrupted_call_is_gone_on_with(invert, tmp_path, monkeypatch):
    for index in range(5):
        picture(tmp_path / f"in/{index}.png", index)
    whole, calls = ReStyle.invert, []

    def interrupted(self, *arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ReStyle, "invert", interrupted)
        result = invert(tmp_path / "in", "--steps", 1, "--batch-size", 2)
    assert result.code == 130
    assert complaints(result) == ["restyle: interrupted; the same command goes on from here"]
    rest = invert(tmp_path / "in", "--steps", 1, "--batch-size", 2)
    assert "3 inverted, 0 failed, 2 done before" in rest.out


def test_pictures_that_the_model_does_not_know_are_told(invert, run, tmp_path):
    tiny_model(validation={"val_mse_max": 1e-9}).save_pretrained(tmp_path / "strict")
    for index in range(2):
        picture(tmp_path / f"in/{index}.png", index, size=(20, 20))
    out = tmp_path / "out"
    line = ("invert", tmp_path / "in", "--model", tmp_path / "strict", "--out", out)
    result = run(*line, "--device", "cpu")
    assert result.code == 0
    assert "2 inverted, 0 failed, 0 done before, 2 unlike what the model knows" in result.out
    first, second = complaints(result)
    assert f"{tmp_path / 'in/0.png'}: unlike the tiny that 'tiny' knows (error 0." in first
    assert "restyle models pull restyle-psp-ffhq (faces), restyle-psp-cars" in first
    assert "1.png: unlike" in second and "pull" not in second
    assert [r["unlike_domain"] for r in read_jsonl(out / "manifest.jsonl")] == [True, True]
    for method in ("ws:1", "restyle:1+ws:1"):  # the encoder is asked whatever goes on from it
        result = run(*line, "--method", method, "--features", "none", "--device", "cpu")
        assert "2 unlike" in result.out
    known = invert(tmp_path / "in", out=tmp_path / "known")
    assert known.err == "" and "unlike" not in known.out
    assert [record["unlike_domain"] for record in known.manifest] == [False, False]


def test_a_generator_alone_knows_no_domain(run, tmp_path):
    tiny_model().generator.save_pretrained(tmp_path / "generator")
    source, out = picture(tmp_path / "me.png", size=(20, 20)), tmp_path / "out"
    line = ("invert", source, "--model", tmp_path / "generator", "--out", out, "--device", "cpu")
    result = run(*line, "--method", "ws:1", "--features", "none")
    assert (result.code, result.err) == (0, "")
    assert "unlike_domain" not in read_jsonl(out / "manifest.jsonl")[0]


def test_pictures_of_another_shape_are_stretched_cropped_or_padded(invert, model_folder, tmp_path):
    source = picture(tmp_path / "wide.png", size=(20, 40))
    picture(tmp_path / "square.png", size=(20, 20))
    model, results = restyle.load(model_folder, device="cpu"), {}
    for fit in ("stretch", "crop", "pad"):
        result = invert(tmp_path, "--steps", 1, "--fit", fit, out=tmp_path / "out")
        assert "2 inverted" in result.out  # another fit is another result
        assert ("1 stretched (--fit crop or pad" in result.out) == (fit == "stretch")
        record = result.manifest[-1]
        assert record["name"] == "wide" and record["stretched"] == (fit == "stretch")
        assert record.get("fit", "stretch") == fit
        with safe_open(tmp_path / "out/latents/wide.safetensors", "pt") as latents:
            results[fit] = latents.get_tensor("ws")
        expected = model.invert(model.prepare([source], fit), steps=1)
        assert torch.allclose(results[fit][1:], expected.ws, atol=1e-5)
    assert not torch.allclose(results["stretch"], results["crop"])
    refused(invert(source, "--fit", "squash", out=tmp_path / "none"), "--fit", "stretch")
    pasted = invert(source, "--align", "--paste-back", "--fit", "pad", out=tmp_path / "none")
    refused(pasted, "--paste-back", "got --fit pad")


# Bad input


def truncated(path):
    picture(path, size=(200, 200))
    path.write_bytes(path.read_bytes()[:2000])


def huge(path):
    import struct
    import zlib

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in chunks:
        data += struct.pack(">I", len(body)) + name + body
        data += struct.pack(">I", zlib.crc32(name + body))
    path.write_bytes(data)


def animated(path):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:], format="PNG")


BAD = {
    "text": (lambda p: p.write_text("hello"), "a JPEG, PNG or WebP image"),
    "truncated": (truncated, "an intact image"),
    "huge": (huge, "at most"),
    "animated": (animated, "an animation of 2 frames"),
    "empty": (lambda p: p.write_bytes(b""), "an empty file"),
}


def test_bad_files_cost_only_themselves(invert, tmp_path):
    folder = tmp_path / "in"
    picture(folder / "good.png")
    for name, (make, _) in BAD.items():
        make(folder / f"{name}.png")
    result = invert(folder, folder / "none.png", "--steps", 1)
    assert result.code == 1
    assert "1 inverted, 6 failed" in result.out
    lines = complaints(result)
    assert len(lines) == len(result.err.splitlines()) == 6
    records = {Path(record["input"]).stem: record for record in result.manifest}
    for name, (_, words) in (BAD | {"none": (None, "nothing of that name")}).items():
        [line] = [line for line in lines if f"{name}.png: expected " in line]
        assert words in line and ", got " in line
        assert records[name]["status"] == "failed"
        assert line == f"restyle: {records[name]['error']}"
    assert records["good"]["status"] == "done"
    assert len(files_in(result.out_folder)) == 4
    (folder / "empty.png").unlink()
    picture(folder / "empty.png", 3)  # mended
    assert (
        "1 inverted, 5 failed, 1 done before"
        in invert(folder, folder / "none.png", "--steps", 1).out
    )


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file_costs_only_itself(invert, tmp_path):
    picture(tmp_path / "in/1.png")
    picture(tmp_path / "in/2.png").chmod(0)
    result = invert(tmp_path / "in", "--steps", 1)
    assert result.code == 1 and "1 inverted, 1 failed" in result.out
    assert "2.png: expected a readable file, got" in result.err


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "I;16"])
def test_other_kinds_of_pictures_are_read(invert, tmp_path, mode):
    suffix = "jpg" if mode == "CMYK" else "png"
    path = tmp_path / f"one.{suffix}"
    if mode == "I;16":
        Image.fromarray(np.full((20, 20), 40_000, np.uint16)).save(path)
    else:
        picture(path, mode=mode)
    assert invert(path, "--steps", 1).code == 0


def refused(result, *words):
    """Misused: one clear line, nothing written."""
    assert result.code == 2
    [line] = result.err.splitlines()
    assert line.startswith("restyle: ") and all(word in line for word in words), line
    assert not result.out_folder.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--steps", "0"], ["--steps", "0"]),
        (["--steps", "many"], ["--steps", "many"]),
        (["--steps", "auto", "--preview-resolution", SIZE], ["preview", "got 'auto'"]),
        (["--batch-size", "0"], ["--batch-size"]),
        (["--device", "quantum"], ["quantum", "cpu"]),
        (["--dtype", "int8"], ["int8", "float32"]),
        (["--setps", "3"], ["--setps", "--steps"]),
    ],
)
def test_misused_options_are_refused(invert, tmp_path, arguments, words):
    refused(invert(picture(tmp_path / "me.png"), *arguments), *words)


def test_inputs_are_required(invert):
    refused(invert(), "INPUTS")


@pytest.mark.skipif(torch.cuda.is_available(), reason="has CUDA")
def test_a_device_that_is_not_there_is_refused(run, model_folder, tmp_path):
    result = run(
        *("invert", picture(tmp_path / "me.png"), "--model", model_folder),
        *("--device", "cuda", "--out", tmp_path / "out"),
    )
    result.out_folder = tmp_path / "out"
    refused(result, "cuda")


@pytest.mark.parametrize("files", [[], ["notes.txt"], [".hidden.png"]])
def test_a_folder_without_images_is_refused(invert, tmp_path, files):
    (tmp_path / "in").mkdir()
    for name in files:
        (tmp_path / "in" / name).write_text("x")
    refused(invert(tmp_path / "in"), str(tmp_path / "in"), "expected images", "got")


def test_an_unknown_model_is_refused(run, tmp_path):
    out = tmp_path / "out"
    result = run("invert", picture(tmp_path / "me.png"), "--model", "nope", "--out", out)
    result.out_folder = out
    refused(result, "unknown model 'nope'")


def test_a_damaged_model_is_refused(run, model_folder, tmp_path):
    tiny_model().save_pretrained(tmp_path / "model")
    weights = tmp_path / "model/weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    out = tmp_path / "out"
    arguments = ("--model", tmp_path / "model", "--out", out)
    result = run("invert", picture(tmp_path / "me.png"), *arguments)
    result.out_folder = out
    refused(result, str(weights), "sha256")


def test_steps_of_a_single_shot_encoder_are_one(run, tmp_path):
    tiny_model(input_channels=3).save_pretrained(tmp_path / "model")
    source, out = picture(tmp_path / "me.png"), tmp_path / "out"
    several = run("invert", source, "--model", tmp_path / "model", "--out", out, "--steps", 5)
    several.out_folder = out
    refused(several, "steps=1", "got 5")
    assert run("invert", source, "--model", tmp_path / "model", "--out", out).code == 0
    assert read_jsonl(out / "manifest.jsonl")[0]["steps"] == 1


def test_a_full_disk_is_one_line_and_leaves_no_partial_file(invert, tmp_path, monkeypatch):
    for index in range(3):
        picture(tmp_path / f"in/{index}.png", index)
    save, calls = Image.Image.save, []

    def full(self, path, *arguments, **options):
        calls.append(path)
        if len(calls) == 4:  # the second input's step strip
            Path(path).write_bytes(b"half")
            raise OSError(28, "No space left on device", str(path))
        save(self, path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", full)
        result = invert(tmp_path / "in", "--steps", 1)
    assert result.code == 1
    [line] = result.err.splitlines()
    assert "No space left on device" in line and line.startswith("restyle: ")
    assert all(not Path(name).name.startswith(".") for name in files_in(result.out_folder))
    for path in result.out_folder.rglob("*.png"):
        Image.open(path).load()
    assert "2 inverted, 0 failed, 1 done before" in invert(tmp_path / "in", "--steps", 1).out


def test_an_output_folder_that_is_a_file_is_one_line(invert, tmp_path):
    (tmp_path / "out").write_text("mine")
    result = invert(picture(tmp_path / "me.png"))
    assert result.code == 1 and len(result.err.splitlines()) == 1
    assert str(tmp_path / "out") in result.err
    assert (tmp_path / "out").read_text() == "mine"


def test_a_whole_process_inverts_without_the_optional_parts(model_folder, tmp_path):
    source = picture(tmp_path / "me.png")
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in {'skia', 'accelerate', 'dlib', 'scipy', 'pyarrow'}:\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from restyle.cli import main\n"
        "main()\n"
    )
    arguments = ["invert", source, "--model", model_folder, "--out", tmp_path / "out"]
    process = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    assert process.stderr == "" and process.stdout.startswith("1 inverted")
    assert (tmp_path / "out/latents/me.safetensors").exists()
