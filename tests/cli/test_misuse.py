"""What cannot be done is refused in one line that says what was expected, before any work."""

import subprocess
import sys

import pytest
import torch
from PIL import Image

import restyle
from restyle.cli import main
from tests.tiny import CODES, tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny_model().save_pretrained(folder)
    Image.new("RGB", (20, 20), "red").save(folder / "me.png")
    return folder


LINES = {
    "rate": ("invert {m}/me.png --model {m} --out {o} --features none --method ws:5@1e30", "rate"),
    "iterations": ("invert {m}/me.png --model {m} --out {o} --method ws:9999999999", "100,000"),
    "seed": ("edit --seed 99999999999999999999 --model {m} --direction x --out {o}", "--seed"),
    "model": ("invert {m}/me.png --out {o} --model ?", "after '--model'"),
    "out=": ("invert {m}/me.png --model {m} --out=", "after '--out'"),
    "out": ("invert {m}/me.png --model {m} --out ?", "after '--out'"),
    "fraction": ("invert {m}/me.png --model {m} --out {o} --steps 1.5", "whole number, got 1.5"),
    "steps": ("invert {m}/me.png --model {m} --out {o} --steps 1000000", "at most 1,000"),
    "strength": ("edit --seed 1 --model {m} --direction x --out {o} --strengths 1e20", "1000"),
    "strengths": (
        "edit --seed 1 --model {m} --direction x --out {o} --strengths 0:1:9999",
        "-3:3:7",
    ),
    "picture": ("directions import {m}/me.png --generator {m} --out {o}", ".pt or .npy"),
    "folder": ("directions list {o}", "expected a folder"),
    "part": ("invert {m}/me.png --model {m}/weights.safetensors --out {o}", "whose folder"),
    "import": ("models import {m}/me.png --out {o}", "me.png: expected"),
}


@pytest.mark.parametrize(("line", "words"), LINES.values(), ids=LINES)
def test_one_line_says_what_was_expected(model, tmp_path, capsys, line, words):
    filled = line.format(m=model, o=tmp_path / "out").split()
    with pytest.raises(SystemExit) as caught:
        main([word.replace("?", "") for word in filled])
    [told] = capsys.readouterr().err.splitlines()
    assert caught.value.code == 2 and not (tmp_path / "out").exists(), told
    assert told.startswith("restyle: ") and "expected" in told and words in told


def test_files_are_not_written_over(model, tmp_path, capsys):
    own, strip = tmp_path / "own.png", tmp_path / "strip.png"
    Image.new("RGB", (20, 20)).save(own)
    before = own.read_bytes()

    def mix(*words):
        line = ["mix", model / "me.png", own, "--model", model, *words]
        with pytest.raises(SystemExit) as caught:
            main([str(word) for word in line])
        return caught.value.code, capsys.readouterr().err

    for words in ([], ["--overwrite"]):
        code, told = mix("--out", own, *words)
        assert code == 2 and "than the inputs" in told and own.read_bytes() == before
    assert mix("--out", strip)[0] == 0
    first = strip.stat().st_mtime_ns
    code, told = mix("--out", strip)
    assert code == 2 and "--overwrite" in told and strip.stat().st_mtime_ns == first
    assert mix("--out", strip, "--overwrite")[0] == 0


CODES_THAT_ARE_NONE = {
    "shape": torch.zeros(1, CODES[0] + 1, CODES[1]),
    "rows": torch.zeros(CODES),
    "none": torch.zeros(0, *CODES),
    "type": torch.zeros(1, *CODES, dtype=torch.long),
    "NaN": torch.full((1, *CODES), torch.nan),
    "size": torch.full((1, *CODES), 1e20),
}


@pytest.mark.parametrize("ws", CODES_THAT_ARE_NONE.values(), ids=CODES_THAT_ARE_NONE)
def test_what_are_no_codes_is_refused(ws):
    model = tiny_model()
    with pytest.raises(ValueError, match="expected codes"):
        model.generate(ws)


@pytest.mark.parametrize("image", [torch.zeros(3, 0, 0), torch.zeros(1, 3, 0, 4)])
def test_an_image_without_pixels_is_refused(image):
    with pytest.raises(ValueError, match="got .*0"):
        tiny_model().invert(image)


def imported(model, out, kind):
    """The line of a command that writes what has a fixed name, and what it writes."""
    direction, foreign = model / "age.pt", model / "stylegan2.pt"
    return {
        "import": (["directions", "import", direction, "--generator", model, "--out"], "age"),
        "components": (
            ["directions", "components", "--generator", model, "--count", 2, "--out"],
            "ganspace-2",
        ),
        "model": (["models", "import", foreign, "--out"], "weights"),
    }[kind]


@pytest.mark.parametrize("kind", ["import", "components", "model"])
def test_imports_are_not_written_over_files_of_others(model, tmp_path, capsys, kind):
    from tests.importers import official

    torch.save(torch.ones(1, CODES[1]), model / "age.pt")
    torch.save({"g_ema": official.generator()}, model / "stylegan2.pt")
    words, name = imported(model, tmp_path, kind)
    file = tmp_path / f"{name}.safetensors"
    words.append(file if kind == "import" else tmp_path)
    file.write_text("mine")

    def call(*further):
        with pytest.raises(SystemExit) as caught:
            main([str(word) for word in (*words, *further)])
        return caught.value.code, capsys.readouterr().err

    code, told = call()
    assert code == 2 and f"{file}: expected a new file" in told and "--overwrite" in told
    assert file.read_text() == "mine" and len(list(tmp_path.iterdir())) == 1
    assert call("--overwrite")[0] == 0 and file.read_bytes() != b"mine"
    assert call()[0] == 2


def test_networks_that_a_training_does_without_have_empty_names(tmp_path, capsys):
    line = ["train", "encoder", "--preset", "portraits-single-shot", "--initial", ""]
    with pytest.raises(SystemExit) as caught:
        main([*line, "--out", str(tmp_path / "run"), "--dry-run"])
    assert caught.value.code == 0 and "from random weights" in capsys.readouterr().out


def test_a_reader_that_has_seen_enough_is_no_error():
    code = "from restyle.cli import main; main(['models', 'list'])"
    command = f'{sys.executable} -c "{code}" | true'
    ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


CALLS = {
    "batch": (lambda m: m.invert(torch.zeros(3, 8, 8), batch_size=1.5), "batch_size .* got 1.5"),
    "method": (
        lambda m: m.invert(torch.zeros(3, 8, 8), method="ws:1", batch_size="2"),
        "batch_size .* got '2'",
    ),
    "resolution": (lambda m: m.generate(m.average.ws, 7), "a power of two from 4 to 16, got 7"),
    "larger": (lambda m: m.generate(m.average.ws, 32), "a power of two from 4 to 16, got 32"),
    "name": (lambda m: restyle.load(""), "got an empty one"),
}


@pytest.mark.parametrize(("call", "words"), CALLS.values(), ids=CALLS)
def test_what_a_call_cannot_take_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call(tiny_model())
