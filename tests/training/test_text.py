import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from restyle.portraits.attributes import Attributes, sample
from restyle.portraits.captions import facts
from restyle.portraits.features import FeatureConfig, FeatureNetwork
from restyle.portraits.text import TextConfig, TextNetwork
from restyle.portraits.wording import WORDS
from restyle.training.text import (
    LEVELS,
    Memory,
    altered,
    contrast,
    facts_of,
    fits,
    numbers_of,
    take_trunk,
    tell_levels,
    train_text,
)
from restyle.training.text_config import TextTraining

pytest.importorskip("skia")


@pytest.fixture(scope="module")
def trunk(tmp_path_factory):
    torch.manual_seed(2)
    folder = tmp_path_factory.mktemp("trunk")
    FeatureNetwork(FeatureConfig(16, (4, 8, 8, 8, 8), 12, 8)).save_pretrained(folder)
    return folder


@pytest.fixture
def config(trunk, tmp_path):
    return TextTraining(
        out=tmp_path / "run",
        export=tmp_path / "portraits-text",
        images=256,
        batch=16,
        fresh=0.25,
        pool=64,
        initial=str(trunk),
        hidden=16,
        embedding=16,
        width=16,
        lr=4e-3,
        device="cpu",
    )


def test_levels_have_numbers_and_come_back():
    for person in range(20):
        told = facts(sample(person))
        assert facts_of(numbers_of(told).tolist()) == told
    assert (numbers_of({}) == -1).all()


def test_captions_fit_the_pictures_that_show_all_that_they_say():
    glasses = Attributes(glasses="thin", hair_style="bald")
    others = [glasses, glasses.with_(glasses="thick"), glasses.with_(glasses="none")]
    pictures = torch.from_numpy(np.stack([numbers_of(facts(a)) for a in others]))
    said = [{"any_glasses": "some"}, {"glasses": "thin"}, {"glasses": "thin", "smile": "frown"}]
    captions = torch.from_numpy(np.stack([numbers_of(told) for told in said]))
    assert fits(captions, pictures).tolist() == [
        [True, True, False],
        [True, False, False],
        [False, False, False],
    ]


def test_an_altered_caption_is_wrong_in_one_fact():
    rng = np.random.default_rng(0)
    told = facts(sample(1))
    for _ in range(50):
        other = altered(told, rng)
        differing = [name for name in told if other[name] != told[name]]
        assert set(other) == set(told) and len(differing) == 1
        assert other[differing[0]] in WORDS[differing[0]]


def test_the_loss_is_that_of_clip_where_every_caption_fits_one_picture():
    images, texts, wrong = (
        torch.nn.functional.normalize(torch.randn(3, 4), dim=1) for _ in range(3)
    )
    true = torch.cat([torch.eye(3), torch.zeros(3, 3)], dim=1).bool()
    to_text, to_image = contrast(images, texts, wrong, true, torch.tensor(5.0))
    scores = (5 * images @ torch.cat([texts, wrong]).T).exp()
    expected = -(scores[range(3), range(3)] / scores.sum(1)).log().mean()
    assert to_text.item() == pytest.approx(expected.item(), rel=1e-5)
    columns = scores[:, :3]
    expected = -(columns[range(3), range(3)] / columns.sum(0)).log().mean()
    assert to_image.item() == pytest.approx(expected.item(), rel=1e-5)


def test_captions_that_fit_other_pictures_are_no_examples_of_what_does_not_fit():
    images, texts = torch.eye(2, 4), torch.eye(2, 4).flip(0)  # each other's text comes first
    wrong = torch.eye(4)[2:]
    true = torch.zeros(2, 4).bool()
    true[[0, 1], [0, 1]] = True
    hard, _ = contrast(images, texts, wrong, true, torch.tensor(9.0))
    true[:, :2] = True
    easy, back = contrast(images, texts, wrong, true, torch.tensor(9.0))
    assert hard > 8 and easy == pytest.approx(math.log(3), abs=1e-4) and back == 0


def test_levels_that_no_picture_has_do_not_count():
    network = TextNetwork(TextConfig(FeatureConfig(16, (4,) * 5, 8, 12), width=8))
    images = torch.nn.functional.normalize(torch.randn(2, 12), dim=1)
    levels = torch.full((2, len(WORDS)), -1)
    rng = np.random.default_rng(0)
    assert tell_levels(network, images, levels, torch.tensor(5.0), rng) == 0
    levels[0, list(WORDS).index("hat")] = LEVELS["hat"].index("beanie")
    loss = tell_levels(network, images, levels, torch.tensor(5.0), rng)
    loss.backward()
    assert loss > 0 and bool(network.words.project.weight.grad.isfinite().all())


def test_the_memory_repeats_what_the_trunk_saw(trunk, config):
    network = FeatureNetwork.from_pretrained(trunk)
    memory = Memory(network, config, 0, 1)
    rng = np.random.default_rng(0)
    first = memory.batch(8, 2, rng)
    assert memory.drawn == 8
    again = memory.batch(8, 2, rng)
    assert memory.drawn == 10
    rows = {tuple(row.tolist()) for row in first.levels}
    assert sum(tuple(row.tolist()) in rows for row in again.levels) == 6
    assert first.levels[3].tolist() == numbers_of(facts(sample(3))).tolist()
    assert first.found.dtype == torch.float16 and len(first.found) == 8


def test_the_trunk_is_taken_over_and_stays_as_it_is(trunk):
    network = FeatureNetwork(FeatureConfig(16, (4, 8, 8, 8, 8), 16, 16))
    take_trunk(network, FeatureNetwork.from_pretrained(trunk))
    learned = {name.partition(".")[0] for name, p in network.named_parameters() if p.requires_grad}
    assert learned == {"hidden", "identity", "values", "logits"}
    images = torch.rand(2, 3, 16, 16)
    expected, _ = FeatureNetwork.from_pretrained(trunk).observe(images)
    torch.testing.assert_close(network.observe(images)[0], expected)


@pytest.mark.slow
def test_training_learns_resumes_and_exports(config, tmp_path, monkeypatch):
    monkeypatch.setattr("restyle.training.zero_shot.CANDIDATES", 20)
    train_text(replace(config, images=128))
    config = replace(config, images=640)
    result = train_text(config)
    rows = [json.loads(line) for line in (config.out / "stats.jsonl").read_text().splitlines()]
    assert [row["images"] for row in rows] == [128, 640]
    assert rows[1]["prompts"] < rows[0]["prompts"] and rows[1]["values"] < rows[0]["values"]
    network = TextNetwork.from_pretrained(tmp_path / "portraits-text")
    assert network.config.image.hidden == 16
    card = (tmp_path / "portraits-text/card.md").read_text()
    assert "640 images seen" in card and "restyle train text" in card and "| hat |" in card
    assert "Took: 0.0 hours" in card
    assert result == json.loads((config.out / "evaluation.json").read_text())
    again = train_text(config)  # only measured
    assert again == result


def test_an_export_is_not_written_over_something_else(config, trunk):
    with pytest.raises(ValueError, match="export: expected a folder for 'text', got one of 'feat"):
        train_text(replace(config, export=trunk))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"fresh": 2}, "fresh: expected a number of 0 to 1"), ({"processes": 3}, "multiple of 3")],
)
def test_options_out_of_range_are_refused(config, change, message):
    with pytest.raises(ValueError, match=message):
        replace(config, **change)
