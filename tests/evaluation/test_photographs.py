"""LPIPS and identity similarity: what is measured, and what is said where there is no face."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from restyle.cli import main
from restyle.evaluation.compare import report_on
from restyle.evaluation.comparison import run_comparison
from restyle.evaluation.measures import Judge, PhotoNetworks
from restyle.evaluation.photographs import photo_networks
from restyle.evaluation.settings import Comparison
from restyle.faces.networks import landmark_network, proposal_network, refinement_network
from restyle.io.checkpoints import CheckpointError
from restyle.losses.lpips import LPIPS
from restyle.losses.perceptual import perceptual
from tests.importers import official
from tests.importers.test_faces import published_names


class Maps(nn.Module):
    """Stands for LPIPS in pictures of 16 pixels."""

    def maps(self, images):
        return [images]


class Faces(nn.Module):
    """Finds a face in what is not too dark, and embeds its mean colour."""

    def embed(self, images):
        colours = images.mean(dim=(2, 3)) + 1.01
        found = images.mean(dim=(1, 2, 3)) > -0.6
        return nn.functional.normalize(colours, dim=1) * found[:, None], found


def networks():
    return PhotoNetworks(Maps(), Faces())  # pyright: ignore


def test_similarity_is_none_where_a_face_is_missing():
    target = torch.rand(4, 3, 16, 16)
    image = torch.rand(4, 3, 32, 32)
    target[[1, 3]], image[[2, 3]] = -1, -1
    values = Judge(None, ("mse", "lpips", "similarity"), networks()).against(target)(image)
    assert values["no_face_in"] == [None, "target", "reconstruction", "both"]
    assert values["similarity"][1:] == [None, None, None]
    small = nn.functional.adaptive_avg_pool2d(image, 16)
    cosine = nn.functional.cosine_similarity(*(Faces().embed(x)[0][:1] for x in (target, small)))
    assert values["similarity"][0] == pytest.approx(cosine.item())
    assert values["lpips"] == perceptual(Maps(), small, target).tolist()
    assert all(isinstance(value, float) for value in values["mse"])


def test_a_measure_needs_its_network():
    for name in ("lpips", "similarity"):
        with pytest.raises(ValueError, match=f"expected a network to measure {name} with"):
            Judge(None, ("mse", name))
    with pytest.raises(ValueError, match="expected an objective to measure"):
        Judge(None, ("objective",))


def test_small_pictures_are_refused_where_lpips_cannot_see_them(model_folder, tmp_path):
    Image.effect_noise((20, 20), 80).save(tmp_path / "one.png")
    config = Comparison((model_folder,), ("restyle:1",), str(tmp_path), measures=("mse",))
    config = replace(config, out=tmp_path / "out", device="cpu")
    with pytest.raises(ValueError, match=r"at least 64 x 64 for LPIPS, got a model for \(16, 16"):
        run_comparison(config, PhotoNetworks(LPIPS("alex")))
    PhotoNetworks(LPIPS("alex")).check_size((64, 64))


def folder(path, levels):
    path.mkdir()
    for name, level in levels.items():
        Image.fromarray(np.full((16, 16, 3), level, np.uint8)).save(path / f"{name}.png")
    return str(path)


def test_images_without_a_face_are_counted_and_named(model_folder, tmp_path):
    data = folder(tmp_path / "data", {"bright": 200, "dark": 3, "grey": 130})
    config = Comparison((model_folder,), ("restyle:2",), data, measures=("mse",), features="none")
    config = replace(config, out=tmp_path / "out", device="cpu")
    found = run_comparison(config, networks())
    assert found.results["measures"] == ("mse", "lpips", "similarity")
    outcome = found.outcomes["tiny restyle:2"]
    assert outcome.images == ["bright.png", "dark.png", "grey.png"]
    assert np.isnan(outcome.values["similarity"]).tolist() == [[False, True, False]] * 3
    last = found.results["methods"]["tiny restyle:2"][-1]
    assert last["without_face"] == 1
    assert last["similarity"]["mean"] == pytest.approx(np.nanmean(outcome.values["similarity"][-1]))
    text = report_on(found).write(config.out).text()
    assert "images without a face" in text and "Faces not found" in text
    assert "| tiny restyle:2 | dark.png | target " in text
    stored = json.loads((tmp_path / "out/results.json").read_text())
    assert stored["no_face"] == [{"method": "tiny restyle:2", "image": "dark.png", "in": "target"}]
    again = run_comparison(config, networks())
    assert again.results["no_face"] == stored["no_face"]
    with pytest.raises(ValueError, match="expected a measurement with"):
        run_comparison(config)


def test_a_report_without_any_face_is_a_report(model_folder, tmp_path):
    data = folder(tmp_path / "data", {"a": 3, "b": 9})
    config = Comparison(
        (model_folder,), ("restyle:1", "restyle:2"), data, measures=("mse",), features="none"
    )
    config = replace(config, out=tmp_path / "out", device="cpu")
    found = run_comparison(config, networks())
    assert found.results["methods"]["tiny restyle:1"][-1]["similarity"] is None
    assert found.results["against_the_first"][0]["similarity"] is None
    text = report_on(found).write(config.out).text()
    assert "| none " in text and text.count("| target ") == 4


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Files as they are published: the detector's, and those of LPIPS as if they were pulled."""
    monkeypatch.setenv("RESTYLE_CACHE", str(tmp_path / "cache"))
    kinds = (proposal_network, "conv4_1"), (refinement_network, "conv5_1")
    for make, last in (*kinds, (landmark_network, "conv6_1")):
        torch.save(published_names(make(), last), tmp_path / f"{last}.pt")
    _, trunk, heads = official.lpips_files("alex")
    for name, file, table in (
        ("alexnet", "alexnet-owt-7be5be79.pth", trunk),
        ("lpips-alex", "alex.pth", heads),
    ):
        path = tmp_path / "cache/downloads" / name / file
        path.parent.mkdir(parents=True)
        torch.save(table, path)
    return [str(tmp_path / f"{last}.pt") for last in ("conv6_1", "conv4_1", "conv5_1")]


@pytest.fixture
def embedding(tmp_path):
    path = tmp_path / "ir_se.pth"
    torch.save(official.fill([*official.ir_se((1, 1, 1, 1), 3), *OUTPUT]), path)
    return str(path)


def test_the_command_takes_the_published_files(files, embedding, model_folder, tmp_path, capsys):
    data = folder(tmp_path / "data", {"a": 100, "b": 200})
    line = ["evaluate", "--model", model_folder, "--methods", "restyle:1", "--data", data]
    line += ["--measures", "mse", "--identity-network", embedding, "--mtcnn", *files]
    with pytest.raises(SystemExit) as caught:
        main([*line, "--out", str(tmp_path / "out"), "--device", "cpu"])
    out, _ = capsys.readouterr()
    assert caught.value.code == 0
    assert "identity similarity" in out and "| a.png | both " in out  # 16 pixels are no face


def test_networks_are_found_by_file_and_name(files, embedding):
    found = photo_networks("alex", embedding, files)
    assert isinstance(found.lpips, LPIPS) and found.measures == ("lpips", "similarity")
    assert found.faces is not None and not found.faces.training
    assert len(found.faces.detector.landmarks.outputs) == 3  # pyright: ignore
    embeddings, there = found.faces.embed(torch.zeros(1, 3, 64, 64))
    assert embeddings.shape == (1, 512) and there.shape == (1,)
    assert photo_networks(None, None, []).measures == ()


OUTPUT = [
    *official.norm("output_layer.0", 64),
    ("output_layer.3.weight", (512, 64 * 7 * 7)),
    ("output_layer.3.bias", (512,)),
    *official.norm("output_layer.4", 512),
]


@pytest.mark.parametrize(
    ("network", "mtcnn", "complaint"),
    [
        ("x.pth", [], "expected --identity-network and --mtcnn together, got --identity-network"),
        (None, [0, 1, 2], "expected --identity-network and --mtcnn together, got --mtcnn alone"),
        ("x.pth", [0, 1], "expected the three networks .* got landmarks, proposal"),
        ("nothing.pth", [0, 1, 2], "expected a network's file, got nothing at 'nothing.pth'"),
    ],
)
def test_incomplete_networks_are_refused(files, network, mtcnn, complaint):
    with pytest.raises(ValueError, match=complaint):
        photo_networks(None, network, [files[i] for i in mtcnn])


def test_a_file_of_another_network_is_named(files):
    with pytest.raises(CheckpointError, match=r"conv4_1.pt: expected a face recognition network"):
        photo_networks(None, files[1], files)
    with pytest.raises(ValueError, match="restyle models pull vgg16"):
        photo_networks("vgg", None, [])
