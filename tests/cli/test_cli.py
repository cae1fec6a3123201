"""The `restyle` command, called in this process where a new one is not what is tested."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

import restyle
from restyle.cli import main
from restyle.cli.training import add_training
from restyle.cli.training import app as train_app
from restyle.io.files import read_jsonl
from restyle.model import ReStyle
from restyle.training.presets import FEATURES, GENERATORS
from tests.tiny import CODES, SIZE, tiny_model

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny_model(images=99).save_pretrained(folder)
    return folder


@pytest.fixture
def run(capsys):
    """Run a command line: its exit code, and what it wrote."""

    def call(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return SimpleNamespace(code=caught.value.code, out=out, err=err)

    return call


@pytest.fixture
def invert(run, model_folder, tmp_path):
    def call(*arguments, out=tmp_path / "out"):
        device = [] if "--device" in arguments else ["--device", "cpu"]
        result = run("invert", *arguments, *device, "--model", model_folder, "--out", out)
        result.out_folder = out
        result.manifest = read_jsonl(out / "manifest.jsonl")
        return result

    return call


def picture(path, seed=0, size=(20, 24), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, bands), np.uint8)
    Image.fromarray(pixels.squeeze(), mode).save(path)
    return path


def files_in(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def complaints(result):
    return [line for line in result.err.splitlines() if line.startswith("restyle: ")]


# Inversion


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


def test_tracebacks_are_shown_when_asked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("RESTYLE_TRACEBACK", "1")
    with pytest.raises(ValueError, match="unknown model"):
        main(["models", "info", "nope"])


# Models


def test_models_are_listed_and_described(run, model_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("restyle.io.bundled.WEIGHTS", tmp_path)
    tiny_model().save_pretrained(tmp_path / "tiny")
    listed = run("models", "list")
    assert listed.code == 0
    assert re.search(r"^tiny +tiny +16 x 16 +16 x 16 +0\.\d MB$", listed.out, re.MULTILINE)
    told = run("models", "info", model_folder)
    assert told.code == 0
    assert restyle.load(model_folder, "cpu").weights_hash() in told.out
    assert "images: 99" in told.out and "input_channels: 6" in told.out
    assert run("models", "info", tmp_path / "nope").code == 2


def test_models_and_directions_are_told_in_one_screen_and_as_json(run, tmp_path):
    listed = run("models", "list")
    assert max(map(len, listed.out.splitlines())) <= 100
    assert listed.out.count("NVIDIA Source Code License") == 2  # each licence once
    everything = json.loads(run("models", "list", "--json").out)
    assert {"portraits"} < {model["name"] for model in everything["bundled"]}
    assert all(model["licence"] for model in everything["public"])
    card = {"training": {f"option{k}": "long" * 50 for k in range(60)}, "licence": "MIT"}
    tiny_model(**card).save_pretrained(tmp_path / "model")
    told = run("models", "info", tmp_path / "model").out.splitlines()
    assert len(told) <= 50 and max(map(len, told)) <= 100
    assert "option59" in run("models", "info", tmp_path / "model", "--history").out
    as_json = json.loads(run("models", "info", tmp_path / "model", "--json").out)
    assert as_json["card"] == card and as_json["generator"]["size"] == SIZE
    assert "smile" in {one["name"] for one in json.loads(run("directions", "list", "--json").out)}


def test_a_checkpoint_is_pushed_with_its_card(run, model_folder, monkeypatch):
    taken = []
    monkeypatch.setattr(
        "restyle.hub.huggingface.push", lambda *given: taken.append(given) or "an address"
    )
    told = run("models", "push", model_folder, "user/model", "--private")
    assert told.code == 0 and "an address" in told.out
    assert taken == [(model_folder, "user/model", True)]


def test_images_that_were_left_out_are_a_failure_of_the_evaluation(run, monkeypatch):
    report = SimpleNamespace(text=lambda: "a report", left_out={})
    monkeypatch.setattr("restyle.evaluation.compare.compare", lambda _: report)
    assert run("evaluate").code == 0
    report.left_out["broken.png"] = "expected an image"
    assert run("evaluate").code == 1


# Portraits


def test_portraits_are_drawn_with_a_table_of_what_they_show(run, tmp_path):
    pytest.importorskip("skia")
    from restyle.portraits import Portraits

    out = tmp_path / "portraits"
    draw = ("portraits", "render", "--out", out, "--size", 32, "--split", "val", "--start", 5)
    assert run(*draw, "--count", 2).code == 0
    before = (out / "images/00000005.png").stat().st_mtime_ns
    assert run(*draw, "--count", 3, "--parquet").code == 0
    assert (out / "images/00000005.png").stat().st_mtime_ns == before
    rows = read_jsonl(out / "metadata.jsonl")
    assert [row["number"] for row in rows] == [5, 6, 7]
    portrait = Portraits("val", 32)[6]
    assert rows[1]["caption"] == portrait.caption and rows[1]["identity"] == portrait.identity
    assert np.allclose(rows[1]["landmarks"], portrait.landmarks, atol=1e-3)
    with Image.open(out / rows[1]["file"]) as image:
        assert np.array_equal(np.asarray(image), portrait.image)
    parquet = pytest.importorskip("pyarrow.parquet")
    assert parquet.read_table(out / "metadata.parquet").to_pylist() == rows


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--style", "toon"], "expected portraits with style 'toon'"),
        (["--start", "49999"], "got start + count = 50,009"),
        (["--count", "0"], "--count"),
        (["--split", "none"], "--split"),
    ],
)
def test_impossible_portraits_are_refused(run, tmp_path, arguments, words):
    pytest.importorskip("skia")
    draw = ["portraits", "render", "--out", tmp_path, "--size", "32", "--split", "test"]
    run(*draw, "--count", 1)
    result = run(*draw, "--count", 10, *arguments)
    assert result.code == 2 and words in result.err


def test_a_missing_renderer_is_one_line(tmp_path):
    code = "import sys; sys.modules['skia'] = None; from restyle.cli import main; main()"
    arguments = ["portraits", "render", "--out", str(tmp_path / "out"), "--count", "1"]
    process = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True
    )
    assert process.returncode == 1 and not (tmp_path / "out").exists()
    [line] = process.stderr.splitlines()
    assert line.startswith("restyle: ") and "skia" in line and "restyle[portraits]" in line


# Training


def test_training_options_are_the_fields_of_the_configuration(run, monkeypatch):
    taken = []
    monkeypatch.setattr("restyle.training.generator.train_generator", taken.append)
    line = "train generator --out x --size 32 --channels 8 8 4 4 --lr 1e-4 --no-flip"
    assert run(*line.split()).code == 0
    preset = GENERATORS["stylegan2"]
    assert taken == [replace(preset, out=Path("x"), size=32, channels=(8, 8, 4, 4), lr=1e-4)]
    assert run("train", "generator", "--flip").code == 0
    assert taken[1] == replace(preset, flip=True)
    assert preset.channels == ()  # the official ones, which fit every size


def test_options_change_a_preset(run, monkeypatch):
    taken = []
    monkeypatch.setattr("restyle.training.features.train_features", taken.append)
    run("train", "features")
    run("train", "features", "--preset", "judge", "--images", "10")
    assert taken[0] == FEATURES["train"]
    assert taken[1].images == 10 and taken[1].widths == FEATURES["judge"].widths
    result = run("train", "features", "--preset", "none")
    assert result.code == 2 and "judge" in result.err and len(taken) == 2


def test_a_trainer_says_what_it_cannot_do_in_one_line(run, tmp_path):
    result = run("train", "generator", "--size", "65", "--out", tmp_path)
    assert result.code == 2
    assert result.err.strip().splitlines() == [
        "restyle: size: expected a power of two from 16 to 1024, got 65"
    ]


def test_several_processes_are_started_with_the_same_command(run, monkeypatch):
    started = []
    monkeypatch.setattr(
        "restyle.training.parallel.launch", lambda count, line: started.append((count, line)) or 1
    )
    monkeypatch.setattr(sys, "argv", ["restyle", "train", "generator", "--processes", "2"])
    assert run("train", "generator", "--processes", "2").code == 1
    assert started == [(2, ["train", "generator", "--processes", "2"])]


def test_a_configuration_may_have_a_field_called_preset(run, monkeypatch):
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Config:
        """A configuration.

        Attributes:
            preset: A field.
            processes: Processes.
        """

        preset: str = "small"
        processes: int = 1

    taken = []
    monkeypatch.setattr("restyle.training.generator.train_generator", taken.append)
    add_training(
        "test", "A test.", {"only": Config()}, "restyle.training.generator:train_generator"
    )
    try:
        run("train", "test", "--preset", "large")
    finally:
        del train_app["test"]
    assert taken == [Config(preset="large")]


# The process itself


def test_help_is_quick_and_imports_nothing_heavy():
    code = (
        "import sys, time; start = time.perf_counter()\n"
        "from restyle.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'torch', 'numpy', 'PIL', 'skia', 'scipy', 'accelerate'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    started = time.perf_counter()
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert "invert" in process.stdout
    assert time.perf_counter() - started < 5  # 0.3 s on an idle machine


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


def test_the_committed_help_is_current():
    process = subprocess.run(
        [sys.executable, ROOT / "docs/make_cli.py"], capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    current = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    assert process.stdout == current, "run: python docs/make_cli.py > docs/cli.md"
