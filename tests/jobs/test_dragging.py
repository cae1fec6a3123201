"""`restyle drag`: what it writes, where it takes points to be, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import restyle
from restyle.faces import AlignedFace
from restyle.faces.alignment import into_square
from restyle.io.files import read_jsonl
from restyle.io.images import ImageError, to_uint8
from restyle.jobs import Drag, dragging
from restyle.jobs.dragging import marked, pull_of
from tests.tiny import CODES, SIZE, picture, tiny_model

PULL = ("--from", "5,7", "--to", "7,7")


@pytest.fixture
def drag(run, model_folder, tmp_path):
    def call(*arguments, pull=PULL, out=tmp_path / "out"):
        line = ("drag", *arguments, *pull, "--steps", 3, "--model", model_folder)
        result = run(*line, "--device", "cpu", "--out", out)
        result.folder = out
        return result

    return call


def written(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_photograph_is_inverted_and_dragged(drag, model_folder, tmp_path):
    photo = picture(tmp_path / "me.png", size=(20, 24))  # 24 wide, 20 high: stretched to 16 x 16
    result = drag(photo, "--inversion-steps", 2)
    assert result.code == 0 and result.out.startswith("1 dragged, 0 failed, 0 done before")
    assert written(result.folder) == [
        "images/me.png",
        "latents/me.safetensors",
        "manifest.jsonl",
        "strips/me.png",
    ]
    model = restyle.load(model_folder, "cpu")
    before = model.invert(photo, steps=2).ws
    handle = ((5 + 0.5) * 16 / 24 - 0.5, (7 + 0.5) * 16 / 20 - 0.5)
    target = ((7 + 0.5) * 16 / 24 - 0.5, (7 + 0.5) * 16 / 20 - 0.5)
    *_, last = model.drag(before, [handle], [target], steps=3)
    kept = load_file(result.folder / "latents/me.safetensors")["ws"]
    assert kept.shape == (2, *CODES)
    assert torch.allclose(kept, torch.cat([before, last.ws]), atol=1e-5)
    with Image.open(result.folder / "images/me.png") as image:
        found = np.asarray(image).astype(int)
    assert np.abs(found - to_uint8(last.image[0])).max() <= 1
    with Image.open(result.folder / "strips/me.png") as strip:
        assert strip.width > 5 * 256  # target, start and three steps
    [record] = read_jsonl(result.folder / "manifest.jsonl")
    assert record["steps_used"] == 3 and record["from"] == ["5,7"]
    assert record["distances"] == pytest.approx(last.distances.tolist(), abs=1e-2)


@pytest.mark.parametrize(
    ("fit", "handle"),
    [
        ("crop", ((13 + 0.5 - 4) * 16 / 20 - 0.5, (7 + 0.5) * 16 / 20 - 0.5)),
        ("pad", ((13 + 0.5) * 16 / 28 - 0.5, (7 + 0.5 + 4) * 16 / 28 - 0.5)),
    ],
)
def test_points_go_where_a_picture_is_cropped_or_padded(model_folder, tmp_path, fit, handle):
    photo = picture(tmp_path / "me.png", size=(20, 28))  # 28 wide, 20 high
    model = restyle.load(model_folder, "cpu")
    job = Drag(inputs=[photo], from_=["13,7"], to=["14,7"], fit=fit)
    with Image.open(photo) as image:
        mask = Image.new("L", image.size, "black")
        mask.paste(255, (10, 0, 28, 20))
        pull = pull_of(job, model, photo, image, None, mask)
    np.testing.assert_allclose(pull.handles[0].numpy(), handle, atol=1e-5)
    left, right = pull.mask[8, int(handle[0]) - 4], pull.mask[8, int(handle[0])]
    assert left == 0 and right == 1
    if fit == "crop":
        with (
            pytest.raises(ImageError, match="in the picture, as --fit crop leaves it"),
            Image.open(photo) as image,
        ):
            pull_of(replace(job, from_=["1,7"]), model, photo, image, None, None)


def test_a_photograph_that_the_model_does_not_know_is_told_of(run, tmp_path):
    tiny_model(validation={"val_mse_max": 1e-9}).save_pretrained(tmp_path / "strict")
    photo, out = picture(tmp_path / "me.png", size=(20, 24)), tmp_path / "out"
    line = ("drag", photo, *PULL, "--steps", 1, "--model", tmp_path / "strict", "--out", out)
    result = run(*line, "--device", "cpu")
    assert result.code == 0 and "1 stretched" in result.out and "1 unlike" in result.out
    assert "me.png: unlike the tiny that 'tiny' knows" in result.err
    [record] = read_jsonl(out / "manifest.jsonl")
    assert record["unlike_domain"] and record["stretched"]


def test_what_has_not_arrived_is_said(drag):
    result = drag("--seed", 1, pull=("--from", "1,1", "--to", "14,14"))
    assert result.code == 0
    [line] = result.err.splitlines()
    assert line.startswith("restyle: seed1: 1 of 1 points have not arrived after 3 steps")


def test_it_is_done_once_unless_points_differ(drag, tmp_path):
    photo = picture(tmp_path / "me.png")
    assert "1 dragged" in drag(photo).out
    assert "1 done before" in drag(photo).out
    assert "1 dragged" in drag(photo, pull=("--from", "5,7", "--to", "8,7")).out


def test_latents_are_dragged_in_pixels_of_the_render_and_further(drag, run, model_folder, tmp_path):
    first = drag("--seed", 4)
    latents = first.folder / "latents/seed4.safetensors"
    second = drag(latents, out=tmp_path / "again")
    assert second.code == 0
    ws = load_file(latents)["ws"][-1:]
    *_, last = restyle.load(model_folder, "cpu").drag(ws, [(5, 7)], [(7, 7)], steps=3)
    kept = load_file(tmp_path / "again/latents/seed4.safetensors")["ws"]
    assert torch.allclose(kept[-1:], last.ws, atol=1e-5)


def test_several_points_and_a_mask(drag, tmp_path):
    photo = picture(tmp_path / "me.png", size=(20, 24))
    mask = np.zeros((20, 24), np.uint8)
    mask[:, :12] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    pull = ("--from", "5,7", "9,9", "--to", "7,7", "9,11")
    whole = drag(photo, pull=pull, out=tmp_path / "whole")
    half = drag(photo, "--mask", tmp_path / "mask.png", pull=pull)
    assert (whole.code, half.code) == (0, 0)
    found = [load_file(r.folder / "latents/me.safetensors")["ws"] for r in (whole, half)]
    assert torch.equal(found[0][0], found[1][0]) and not torch.equal(found[0][1], found[1][1])


def test_a_film_of_a_drag(drag):
    imageio = pytest.importorskip("imageio.v3")
    result = drag("--seed", 1, "--video", "gif")
    assert result.code == 0, result.err
    film = list(imageio.imiter(result.folder / "videos/seed1.gif"))
    assert len(film) == 4  # the start and three steps; the last one rests


# Where points are


def job(**points):
    return Drag(inputs=["me.png"], **points)


def test_points_of_an_aligned_face_are_turned_into_its_crop(tmp_path):
    model = tiny_model()
    photo = Image.new("RGB", (200, 100))
    quad = np.array([[60.0, 20.0], [50.0, 60.0], [90.0, 70.0], [100.0, 30.0]])
    face = AlignedFace(None, quad, Image.new("RGB", (256, 256)))
    # Corners of the quad are corners of the crop; the middle is the middle.
    at = pull_of(job(from_=("75,45",), to=("62,25",)), model, tmp_path, photo, face, None)
    assert at.handles[0].tolist() == pytest.approx([SIZE / 2 - 0.5] * 2, abs=0.3)
    matrix = into_square(quad, SIZE)
    expected = matrix[:, :2] @ [62.5, 25.5] + matrix[:, 2] - 0.5
    assert at.targets[0].tolist() == pytest.approx(expected.tolist(), abs=1e-4)
    with pytest.raises(ValueError, match="in the largest face's square, got 5,5"):
        pull_of(job(from_=("5,5",), to=("62,25",)), model, tmp_path, photo, face, None)


def test_aligned_faces_are_dragged_and_put_back(drag, monkeypatch, tmp_path):
    photo = picture(tmp_path / "me.png", size=(40, 40))
    quad = np.array([[4.0, 4.0], [4.0, 35.0], [35.0, 35.0], [35.0, 4.0]])
    with Image.open(photo) as whole:
        crop = whole.crop((4, 4, 36, 36))
    face = type("Face", (), {"box": (4, 4, 36, 36), "score": 1.0})
    found = [AlignedFace(face, quad, crop)]
    monkeypatch.setattr("restyle.jobs.inversion.align_file", lambda path: found)
    result = drag(photo, "--align", "--paste-back", pull=("--from", "12,20", "--to", "14,20"))
    assert result.code == 0, result.err
    assert written(result.folder)[0] == "aligned/me.png"
    with Image.open(result.folder / "pasted/me.png") as pasted, Image.open(photo) as whole:
        before, after = np.asarray(whole), np.asarray(pasted)
    assert after.shape == before.shape and (after != before).any()
    assert (after[:3] == before[:3]).all()


def test_points_are_drawn_where_they_are():
    shown = np.asarray(marked(-torch.ones(3, 16, 16), torch.tensor([[4.0, 4.0]]), torch.ones(1, 2)))
    assert shown.shape == (256, 256, 3)
    assert shown[72, 72].tolist() == [255, 0, 0]  # the middle of pixel 4 of 16, sixteen times
    assert shown[24, 24].tolist() == [0, 0, 255]
    large = marked(torch.zeros(3, 512, 1024), torch.zeros(1, 2), torch.zeros(1, 2))
    assert large.size == (256, 128)


# Bad input


@pytest.mark.parametrize(
    ("arguments", "pull", "words"),
    [
        ((), PULL, ["at least 1", "got 0"]),
        (("--seed", 1), ("--from", "5", "--to", "7,7"), ["--from: expected x,y", "'5'"]),
        (("--seed", 1), ("--from", "5,x", "--to", "7,7"), ["--from: expected x,y"]),
        (("--seed", 1), ("--from", "5,7", "--to", "nan,7"), ["--to: expected x,y"]),
        (("--seed", 1), ("--from", "5,7", "6,7", "--to", "7,7"), ["--to: expected 2", "got 1"]),
        (("--seed", 1), ("--from", "5,7", "--to", "17,7"), ["--seed 1", "17,7 (of 16 x 16"]),
        (("--seed", 1), (*PULL, "--layers", "9"), ["layers from 0 to 5"]),
        (("--seed", 1), (*PULL, "--mask", "none.png"), ["none.png", "nothing of that name"]),
        (("--seed", 1), (*PULL, "--paste-back"), ["--align"]),
        (("--seed", 1), (*PULL, "--video", "avi"), ["avi"]),
    ],
)
def test_what_cannot_be_done_is_one_sentence(drag, arguments, pull, words):
    result = drag(*arguments, pull=pull)
    assert result.code == 2, result
    [line] = result.err.splitlines()
    assert line.startswith("restyle: ") and all(word in line for word in words), line
    assert not result.folder.exists()


def test_steps_are_a_number():
    with pytest.raises(ValueError, match="steps: expected a number of 1 or more, got 0"):
        job(from_=("1,1",), to=("2,2",), steps=0)
    with pytest.raises(ValueError, match="from_: expected at least one point"):
        job(from_=(), to=())


def test_a_picture_without_the_point_or_of_another_size_costs_only_itself(drag, tmp_path):
    picture(tmp_path / "in/1.png", size=(20, 24))
    picture(tmp_path / "in/2.png", size=(6, 6))
    Image.new("L", (24, 20), "white").save(tmp_path / "mask.png")
    result = drag(tmp_path / "in")
    assert result.code == 1 and "1 dragged, 1 failed" in result.out
    assert "2.png: expected points in the picture, got 5,7 (of 6 x 6 pixels)" in result.err
    masked = drag(tmp_path / "in", "--mask", tmp_path / "mask.png", out=tmp_path / "masked")
    assert masked.code == 1 and "1 dragged, 1 failed" in masked.out
    assert "mask.png: expected 6 x 6 pixels, the size of the picture, got 24 x 20" in masked.err
    Image.new("L", (24, 20)).save(tmp_path / "mask.png")
    black = drag(tmp_path / "in/1.png", "--mask", tmp_path / "mask.png", out=tmp_path / "black")
    assert black.code == 1 and "something white, got a black one" in black.err


def test_from_python(model_folder, tmp_path):
    summary = dragging.drag(
        Drag(
            seed=(1,),
            from_=("5,7",),
            to=("7,7",),
            steps=1,
            model=str(model_folder),
            device="cpu",
            out=tmp_path / "out",
        )
    )
    assert summary.done == 1 and (tmp_path / "out/images/seed1.png").is_file()
