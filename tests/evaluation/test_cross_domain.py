"""Whether the same code is the same person in two styles."""

import dataclasses
import json

import pytest
import torch

from restyle.evaluation.cross_domain import evaluate_cross_domain
from restyle.evaluation.settings import CrossDomainEvaluation
from restyle.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from restyle.io.checkpoints import save_folder, with_prefix
from tests.tiny import tiny_generator


def saved(folder, generator) -> str:
    config = {"kind": "generator", "generator": dataclasses.asdict(generator.config)}
    save_folder(folder, config, with_prefix(generator.state_dict(), "generator"))
    return str(folder)


@pytest.fixture
def place(tmp_path) -> str:
    return saved(tmp_path / "source", tiny_generator())


def test_everything_survives_in_the_same_generator(place, tmp_path):
    report = evaluate_cross_domain(
        CrossDomainEvaluation(place, place, samples=60, out=tmp_path / "out")
    )
    results = report.results
    assert results["skin_tone"]["survives"] == pytest.approx(1, abs=1e-6)
    assert 0.1 < results["skin_tone"]["drawn"] < 1
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == results
    assert (tmp_path / "out" / "crossing.png").exists()
    assert "| skin_tone " in report.text()


def test_less_survives_in_another_one(place, tmp_path):
    generator = tiny_generator()
    with torch.no_grad():
        for layer in generator.synthesis.layers:
            layer.weight.normal_()
    other = saved(tmp_path / "other", generator)
    config = CrossDomainEvaluation(place, other, samples=60, out=tmp_path / "out")
    results = evaluate_cross_domain(config).results
    assert results["mean"]["survives"] < 0.9


def test_generators_of_other_codes_are_refused(place, tmp_path):
    other = saved(tmp_path / "wide", StyleGAN2(StyleGAN2Config(16, 8, 12, (8, 8, 8), 2)))
    with pytest.raises(ValueError, match=r"\(6, 8\) for .* and \(6, 12\) for"):
        evaluate_cross_domain(CrossDomainEvaluation(place, other, out=tmp_path / "out"))
