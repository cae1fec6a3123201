"""Whether the same code is the same person in two styles."""

import dataclasses
import json

import pytest
import torch

from restyle.evaluation.cross_domain import evaluate_cross_domain, surviving_identity
from restyle.evaluation.settings import CrossDomainEvaluation
from restyle.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from restyle.io.checkpoints import save_folder, with_prefix
from restyle.portraits.attributes import class_names, identity_names
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


class Reader:
    """Reads from the first pixels what the test has written there."""

    def attributes(self, images):
        row = images.flatten(1)
        found = {name: row[:, i] for i, name in enumerate(identity_names)}
        for name in set(class_names) & set(identity_names):
            at = identity_names.index(name)
            bins = (row[:, at, None] * len(class_names[name])).long()
            ids = torch.arange(len(class_names[name]))
            found[name] = (bins == ids).float()
        return found


def people(count=400):
    return torch.rand(count, 3, 4, 4)


def test_the_same_pictures_keep_everything():
    images = people()
    shares = surviving_identity(Reader(), images, images)
    assert shares.keys() == {*identity_names, "mean"}
    assert all(share == pytest.approx(1) for share in shares.values())


def test_other_people_share_nothing():
    shares = surviving_identity(Reader(), people(), people())
    assert max(shares.values()) < 0.15


def test_a_shift_for_everybody_loses_nobody():
    images = people()
    moved = images.clone()
    at = identity_names.index("eye_size")
    moved.flatten(1)[:, at] = images.flatten(1)[:, at] * 2 + 5
    assert surviving_identity(Reader(), images, moved)["eye_size"] == pytest.approx(1)
    turned = images.clone()
    turned.flatten(1)[:, at] *= -1
    assert surviving_identity(Reader(), images, turned)["eye_size"] == 0


def test_classes_count_beyond_chance():
    images = people()
    other = images.clone()
    at = identity_names.index("hair_colour")
    half = torch.arange(len(images)) % 2 == 0
    other.flatten(1)[half, at] = torch.rand(int(half.sum()))
    share = surviving_identity(Reader(), images, other)["hair_colour"]
    assert share == pytest.approx(0.5, abs=0.1)


def test_people_must_be_the_same():
    with pytest.raises(ValueError, match="got 3 and 2"):
        surviving_identity(Reader(), people(3), people(2))
