"""A student has the codes of its teacher, found once, and learns them."""

import json
import math

import pytest
import torch
from safetensors import safe_open

import restyle
from restyle.domains import Domain
from restyle.io.checkpoints import CheckpointError
from restyle.io.files import read_jsonl
from restyle.losses.codes import curved_distance
from restyle.model import ReStyle
from restyle.training import teacher
from restyle.training.config import EncoderTraining
from restyle.training.data import draw, from_uint8, indices_at, open_source
from restyle.training.encoder import train_encoder
from restyle.training.options import with_options
from tests.tiny import CODES, SIZE, tiny_encoder, tiny_generator
from tests.training.encoders import prepare


def training(settings, **changes) -> EncoderTraining:
    return with_options(EncoderTraining(), **{**settings, **changes})


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(teacher, "PART", 4)
    domain = Domain("tiny", (SIZE, SIZE))
    ReStyle(tiny_generator(), tiny_encoder(3), domain, "tiny").save_pretrained(tmp_path / "teacher")
    return {
        **prepare(tmp_path),
        "flip": False,
        "single_shot": True,
        "distillation": 1.0,
        "teacher": "restyle:2",
        "teacher_model": str(tmp_path / "teacher"),
        "taught_images": 10,
        "images": 32,
    }


def codes(settings):
    parts = sorted((settings["out"] / teacher.FOLDER).iterdir())
    return torch.cat([teacher._read(part, facts(part)) for part in parts])


def facts(part):
    with safe_open(part, "pt") as file:
        return json.loads(file.metadata()["facts"])


@pytest.mark.parametrize("skip", [0, 3])
def test_the_codes_are_the_teachers(settings, skip):
    train_encoder(training(settings, skip=skip))
    found = codes(settings)
    source = open_source(settings["data"], (SIZE, SIZE), split="train")
    images = from_uint8(torch.from_numpy(source.images(range(skip, skip + 10))))
    expected = restyle.load(settings["teacher_model"], device="cpu").invert(images, steps=2).ws
    torch.testing.assert_close(found.float(), expected, atol=2e-3, rtol=1e-3)
    assert any("distillation" in line for line in read_jsonl(settings["out"] / "stats.jsonl"))


def test_a_stopped_teacher_goes_on(settings, monkeypatch):
    calls = []
    write = teacher._write

    def fails(path, ws, facts):
        calls.append(path.name)
        if len(calls) == 2:
            raise OSError("disk full")
        write(path, ws, facts)

    monkeypatch.setattr(teacher, "_write", fails)
    with pytest.raises(OSError, match="disk full"):
        train_encoder(training(settings))
    train_encoder(training(settings))
    first, second, third = (f"{n:08d}.safetensors" for n in (0, 4, 8))
    assert calls == [first, second, second, third]
    assert len(codes(settings)) == 10


def test_images_and_codes_are_shuffled_alike(settings):
    source = teacher.ImagesFrom(open_source(settings["data"], SIZE, split="train"), 0, 10)
    whole, positions = source.images(range(10)), range(7, 27)
    drawn = draw(source, positions, seed=5)
    for at, image in zip(indices_at(source, positions, seed=5), drawn, strict=True):
        assert (whole[at] == image).all()


def test_images_without_codes_are_learned_from_beside_the_taught_ones(settings):
    train_encoder(training(settings, untaught_images=6))
    assert len(codes(settings)) == 10
    lines = read_jsonl(settings["out"] / "stats.jsonl")
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses and all(math.isfinite(loss) for loss in losses)
    taught = torch.randn(10, 2, 3).half()
    found = teacher.codes_of(taught, [3, 15, 9, 10])
    torch.testing.assert_close(found[[0, 2]], taught[[3, 9]].float())
    assert found[[1, 3]].isnan().all()


def test_distances_are_measured_by_the_curvature():
    ws, wanted = torch.randn(3, 2, 4), torch.randn(3, 2, 4)
    matrix = torch.randn(8, 8)
    found = curved_distance(ws, wanted, lambda x: x @ (matrix.T @ matrix))
    expected = ((ws - wanted).flatten(1) @ matrix.T).square().sum(dim=1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_student_needs_images(settings):
    with pytest.raises(ValueError, match=r"skip: expected less than \d+, all images, got 5,000"):
        train_encoder(training(settings, skip=5000))


def test_a_teacher_of_another_generator_is_refused(settings, tmp_path):
    domain = Domain("tiny", (SIZE, SIZE))
    ReStyle(tiny_generator(1), tiny_encoder(), domain, "x").save_pretrained(tmp_path / "other")
    with pytest.raises(ValueError, match=r"teacher_model: expected one of the generator .*other"):
        train_encoder(training(settings, teacher_model=str(tmp_path / "other")))


def test_codes_of_another_method_are_refused(settings):
    train_encoder(training(settings))
    part = settings["out"] / teacher.FOLDER / "00000000.safetensors"
    with pytest.raises(CheckpointError, match="expected codes of"):
        teacher._read(part, {**facts(part), "teacher": "restyle:3"})
    spoiled = torch.full((4, *CODES), torch.nan)
    teacher._write(part, spoiled, facts(part))
    with pytest.raises(CheckpointError, match="expected finite codes, got NaN"):
        teacher._read(part, facts(part))
    part.write_bytes(part.read_bytes()[:50])
    with pytest.raises(CheckpointError, match="expected a teacher's codes, got"):
        teacher._read(part, {})


def test_mirrored_images_have_no_teacher(settings):
    with pytest.raises(ValueError, match="distillation: a teacher's codes are those of the images"):
        training(settings, flip=True)
