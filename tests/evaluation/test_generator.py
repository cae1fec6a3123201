import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from restyle.evaluation.generator import (
    SHARED,
    evaluate_generators,
    judged,
    octave_ratios,
    shares,
    visible_labels,
)
from restyle.evaluation.settings import GeneratorEvaluation
from restyle.hub.registry import load_features, load_generator
from restyle.metrics.distributions import frechet_distance
from restyle.metrics.spectra import octave_energy, radial_power
from restyle.portraits import Attributes, Portraits
from restyle.portraits.attributes import class_names


def test_shares_count_what_is_to_be_seen():
    people = [Attributes(hair_style="bald"), Attributes(hair_colour="red"), Attributes(age=80)]
    labels = visible_labels(people)
    colours = labels[:, SHARED.index("hair_colour")]
    assert colours.tolist() == [-1, class_names["hair_colour"].index("red"), -1]
    rows = shares({"true_labels": labels, "labels": labels}, {"labels": labels[:2]})
    found = {(row["attribute"], row["class"]): row for row in rows}
    assert found["hair_style", "bald"]["truth"] == pytest.approx(1 / 3)
    assert found["hair_style", "bald"]["samples"] == pytest.approx(1 / 2)
    assert found["hair_style", "bald"]["ratio"] == pytest.approx(3 / 2)
    assert found["hair_colour", "red"]["truth"] == 1  # of the one whose hair colour is seen
    assert found["hat", "beanie"]["ratio"] is None


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory, generator_folder, judge_folder):
    out = tmp_path_factory.mktemp("out")
    config = GeneratorEvaluation(
        (generator_folder,), out, samples=30, images=3, iterations=5, judge=judge_folder
    )
    return evaluate_generators(config), config


def test_a_generator_is_judged(evaluated, generator_folder, judge_folder):
    report, config = evaluated
    (result,), out = report.results, config.out
    judge, generator = load_features(judge_folder), load_generator(generator_folder)
    pixels = torch.from_numpy(Portraits("test", 16).images(range(30))).permute(0, 3, 1, 2)
    real = judged(judge, pixels / 127.5 - 1)["features"]
    z = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
    fake = judged(judge, generator(z))["features"]
    assert result["frechet"] == pytest.approx(frechet_distance(real, fake), rel=1e-3)
    assert result["images_seen"] == 7 and result["size"] == 16
    assert 0 <= result["precision"] <= 1 and 0 <= result["recall"] <= 1
    assert json.loads((out / "results.json").read_text())[0]["sha256"] == result["sha256"]
    text = report.text()
    assert f"{result['frechet']:.2f}" in text and "beanie" in text


def test_sharpness_is_measured_against_the_data(evaluated, generator_folder):
    report, config = evaluated
    (result,), out = report.results, config.out
    generator = load_generator(generator_folder)
    pixels = torch.from_numpy(Portraits("test", 16).images(range(30))).permute(0, 3, 1, 2)
    z = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
    energy = [
        octave_energy(radial_power(images)).mean().item()
        for images in (generator(z).detach(), pixels / 127.5 - 1)
    ]
    assert result["octaves"][0] == pytest.approx(energy[0] / energy[1], rel=1e-3)
    (part,) = out.glob("*/projection/*.npz")
    kept = np.load(part)
    of_first = octave_energy(radial_power(pixels[:1] / 127.5 - 1)).item()
    assert kept["energy"][0] == pytest.approx(of_first, rel=1e-3)
    missed = kept["missed"].sum() / kept["energy"].sum()
    assert result["projection_missed"]["mean"] == pytest.approx(missed, rel=1e-6)
    assert f"{result['octaves'][1]:.2f}" in report.text()


def test_octaves_are_compared_each_with_its_own():
    real = np.ones((3, 9), dtype=np.float32)
    fake = real[:2] * np.where(np.arange(9) > 4, 0.5, 0.8).astype(np.float32)
    assert octave_ratios(real, fake) == pytest.approx([0.5, 0.8])


def test_repeating_an_evaluation_changes_nothing(evaluated):
    report, config = evaluated
    (result,), out = report.results, config.out
    next(out.glob("*/projection/*.npz")).unlink()  # as if it had been interrupted
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.npz")}
    (again,) = evaluate_generators(config).results
    assert before.items() < {path: path.stat().st_mtime_ns for path in out.rglob("*.npz")}.items()
    assert again["frechet"] == result["frechet"]
    np.testing.assert_allclose(
        again["projection_mse"]["mean"], result["projection_mse"]["mean"], rtol=1e-3
    )


def test_another_measurement_needs_another_folder(evaluated):
    _, config = evaluated
    with pytest.raises(ValueError, match="choose another folder"):
        evaluate_generators(replace(config, samples=40))
