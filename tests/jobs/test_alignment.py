"""`restyle align`, and `restyle invert --align`."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

import restyle
from restyle.cli import main
from restyle.editing.directions import Direction, save_direction
from restyle.io.files import read_jsonl
from restyle.io.images import read_image
from tests.tiny import CODES, tiny_model

pytest.importorskip("dlib")
pytest.importorskip("skia")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two photographs with a face, one without, and a file that is none."""
    from restyle.portraits.dataset import Portraits

    folder = tmp_path_factory.mktemp("photos")
    people = Portraits("val", 200)
    for i in (0, 2):
        Image.fromarray(people[i].image).save(folder / f"person{i}.png")
    Image.new("RGB", (120, 90), "green").save(folder / "meadow.png")
    (folder / "noise.png").write_bytes(b"nothing")
    return folder


def run(*arguments):
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return caught.value.code


def records(out):
    return {record["name"]: record for record in read_jsonl(out / "manifest.jsonl")}


def test_align_goes_on_past_what_fails(photos, tmp_path, capsys):
    assert run("align", photos, "--out", tmp_path, "--size", 64) == 1
    told = capsys.readouterr()
    assert "2 aligned, 2 failed, 0 done before" in told.out
    assert f"{photos / 'meadow.png'}: expected a face, got none" in told.err
    assert "non-commercial" in told.err
    found = records(tmp_path)
    assert {name: record["status"] for name, record in found.items()} == {
        "meadow": "failed",
        "noise": "failed",
        "person0": "done",
        "person2": "done",
    }
    assert "non-commercial" in str(found["person0"]["faces_found_with"])
    crop = read_image(tmp_path / found["person0"]["outputs"]["aligned"])
    (expected,) = restyle.faces.align_faces(read_image(photos / "person0.png"), 64)
    assert crop.tobytes() == expected.crop.tobytes()
    np.testing.assert_allclose(found["person0"]["faces"][0]["quad"], expected.quad, atol=1e-3)

    assert run("align", photos, "--out", tmp_path, "--size", 64) == 1
    assert "0 aligned, 2 failed, 2 done before" in capsys.readouterr().out


def test_all_faces_or_a_numbered_one(photos, tmp_path):
    pictures = [read_image(photos / f"person{i}.png") for i in (0, 2)]
    group = Image.new("RGB", (640, 320), (120, 130, 140))
    group.paste(pictures[0], (20, 60))
    group.paste(pictures[1].resize((300, 300)), (300, 10))
    group.save(tmp_path / "group.png")
    every, second = tmp_path / "every", tmp_path / "second"
    assert run("align", tmp_path / "group.png", "--out", every, "--face", "all") == 0
    assert run("align", tmp_path / "group.png", "--out", second, "--face", 2) == 0
    assert run("align", tmp_path / "group.png", "--out", second, "--face", 9) == 1
    assert run("align", tmp_path / "group.png", "--out", second, "--face", 0) == 2
    assert len(records(every)["group"]["faces"]) >= 2
    crops = [every / "aligned/group.face2.png", second / "aligned/group.png"]
    assert read_image(crops[0]).tobytes() == read_image(crops[1]).tobytes()


def test_aligned_inversion_is_alignment_then_inversion(photos, tmp_path, capsys):
    tiny_model().save_pretrained(tmp_path / "model")
    align, invert = tmp_path / "align", tmp_path / "invert"
    command = ["invert", photos, "--model", tmp_path / "model", "--device", "cpu", "--steps", 2]
    assert run("align", photos, "--out", align) == 1
    assert run(*command, "--align", "--out", invert) == 1
    assert "2 inverted, 2 failed, 0 done before" in capsys.readouterr().out
    found = records(invert)
    assert [name for name, record in found.items() if "a face" in record.get("error", "")] == [
        "meadow"
    ]
    model = restyle.load(tmp_path / "model", device="cpu")
    for name in ("person0", "person2"):
        crop = read_image(invert / "aligned" / f"{name}.png")
        assert crop.tobytes() == read_image(align / "aligned" / f"{name}.png").tobytes()
        with safe_open(invert / "latents" / f"{name}.safetensors", "pt") as latents:
            ws, facts = latents.get_tensor("ws"), latents.metadata()
        expected = model.invert(crop, steps=2)
        torch.testing.assert_close(ws, torch.cat([step.ws for step in expected.steps]))
        assert "non-commercial" in facts["faces_found_with"]
        assert found[name]["faces"][0]["quad"]

    # Without alignment these are other results.
    assert run(*command, "--out", invert) == 1
    assert "3 inverted, 1 failed, 0 done before" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["invert", "edit", "bootstrap"])
def test_faces_are_put_back_into_the_photograph(photos, tmp_path, command):
    model = tmp_path / "model"
    tiny_model().save_pretrained(model)
    line = [command, photos / "person0.png", "--device", "cpu", "--steps", 1]
    line += ["--source", model, "--target", model] if command == "bootstrap" else ["--model", model]
    if command == "edit":
        save_direction(Direction("up", torch.ones(CODES), 1.0), tmp_path / "up.safetensors")
        line += ["--direction", tmp_path / "up.safetensors", "--strengths", "2"]
    out = tmp_path / "out"
    assert run(*line, "--align", "--out", out) == 0 and not (out / "pasted").exists()
    assert run(*line, "--align", "--paste-back", "--out", out) == 0
    record = records(out)["person0"]
    [pasted] = [path for what, path in record["outputs"].items() if what.startswith("pasted")]
    photo, whole = read_image(photos / "person0.png"), read_image(out / pasted)
    changed = (np.asarray(photo) != np.asarray(whole)).any(axis=2)
    assert whole.size == photo.size and changed.any()
    quad = np.array(record["faces"][0]["quad"])
    rows, columns = np.nonzero(changed)
    assert columns.min() >= quad[:, 0].min() - 2 and rows.max() <= quad[:, 1].max() + 2


def test_faces_are_put_back_only_where_they_were_cut_out(photos, tmp_path, capsys):
    assert run("invert", photos, "--paste-back", "--out", tmp_path / "out") == 2
    assert "--align" in capsys.readouterr().err
