import json
from dataclasses import replace

import pytest
import torch

from restyle.editing.mapper import Mapper
from restyle.editing.styleclip import covariance_of, deviations
from restyle.portraits.features import FeatureConfig, FeatureNetwork
from restyle.portraits.text import TextConfig, TextNetwork
from restyle.training.mapper import SEEDS, crossed_samples, train_mapper
from restyle.training.text_config import MapperTraining
from tests.tiny import CODES, tiny_generator


@pytest.fixture
def config(tmp_path):
    torch.manual_seed(4)
    shape = FeatureConfig(16, (4, 8, 8, 8, 8), 12, 8)
    FeatureNetwork(shape).save_pretrained(tmp_path / "features")
    TextNetwork(TextConfig(shape, width=8)).save_pretrained(tmp_path / "text")
    tiny_generator().save_pretrained(tmp_path / "generator")
    return MapperTraining(
        out=tmp_path / "run",
        text="a person with glasses",
        generator=str(tmp_path / "generator"),
        text_network=str(tmp_path / "text"),
        identity_network=str(tmp_path / "features"),
        images=96,
        batch=8,
        lr=1e-2,
        l2=0.05,
        device="cpu",
    )


def test_a_mapper_learns_resumes_and_is_tied_to_its_generator(config):
    train_mapper(replace(config, images=48))
    folder = train_mapper(config)
    [row] = [json.loads(line) for line in (config.out / "stats.jsonl").read_text().splitlines()][1:]
    assert row["images"] == 96 and row["length"] > 0
    generator = tiny_generator()
    mapper = Mapper.from_pretrained(folder)
    assert mapper.config.text == "a person with glasses"
    ws = crossed_samples(generator, 64, 5)
    length = deviations(mapper.step(ws), covariance_of(generator)).mean()
    assert length == pytest.approx(1, abs=0.3)
    network = TextNetwork.from_pretrained(config.text_network)
    wanted = network.embed_text([config.text])[0]
    before, after = (
        network.embed_image(generator.synthesis(x)) @ wanted for x in (ws, ws + mapper(ws))
    )
    assert after.mean() > before.mean()


def test_every_group_of_layers_has_a_sample_of_its_own():
    ws = crossed_samples(tiny_generator(), 4, 1)
    assert ws.shape == (4, *CODES)
    assert bool((ws[:, :4] == ws[:, :1]).all()) and bool((ws[:, 4:] == ws[:, 4:5]).all())
    assert bool((ws[:, 0] != ws[:, 4]).any())
    assert crossed_samples(tiny_generator(), 2, SEEDS).shape == (2, *CODES)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "text: expected words, got none"), ("a zebra", "does not know: zebra")],
)
def test_texts_that_cannot_be_used_are_refused_before_anything_is_written(config, text, message):
    with pytest.raises(ValueError, match=message):
        train_mapper(replace(config, text=text))
    assert not config.out.exists()
