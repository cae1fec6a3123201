"""The training of one-pass edits: on a generator whose pictures are read by a known network."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from restyle.editing.one_pass import OnePass, OnePassConfig
from restyle.io.checkpoints import CheckpointError
from restyle.training import one_pass
from restyle.training.one_pass import mixed_codes, pair_loss, train_one_pass
from restyle.training.text_config import OnePassTraining
from tests.editing.text_stubs import Colours
from tests.tiny import CODES, tiny_generator, tiny_model

CONFIG = OnePassTraining(pictures=256, images=8_000, batch=64, hidden=16, lr=1e-2, device="cpu")


@pytest.fixture
def train(monkeypatch, tmp_path):
    model = tiny_model()
    monkeypatch.setattr(one_pass, "load_model", lambda *_: model)
    monkeypatch.setattr(one_pass, "load_text", lambda _: Colours())
    monkeypatch.setattr(one_pass, "PART", 100)
    monkeypatch.setattr(one_pass, "HELD_OUT", 40)

    def call(**options):
        config = replace(CONFIG, out=tmp_path / "run", export=tmp_path / "network", **options)
        return train_one_pass(config)

    call.model, call.folder = model, tmp_path
    return call


def test_a_trained_network_makes_the_changes_that_are_asked_for(train):
    found = train()
    assert found["cosine"] > 0.5 and 0.2 < found["reached"] < 1.5
    assert found["milliseconds"] > 0
    network = OnePass.from_pretrained(train.folder / "network")
    assert network.config.generator_sha256 == train.model.editor.generator_sha256
    assert "one-pass" in (train.folder / "network" / "card.md").read_text()
    # Repeating it measures the finished run again, without rendering anything a second time.
    before = {path: path.stat().st_mtime_ns for path in (train.folder / "run/pictures").iterdir()}
    assert len(before) == 3
    again = train()
    assert again["cosine"] == pytest.approx(found["cosine"], abs=1e-4)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())


def test_layers_are_mixed_of_two_samples():
    generator = tiny_generator()
    ws = mixed_codes(generator, 50, 3)
    pair = [generator.sample_w(50, seed)[:, None] for seed in (6, 7)]
    first, second = ((ws == one).all(dim=2) for one in pair)
    assert (first ^ second).all() and 100 < int(first.sum()) < 200


def test_the_loss_is_zero_for_exact_steps():
    network = OnePass(OnePassConfig(*CODES, 4, 8))
    torch.nn.init.zeros_(network.step.weight)
    codes = torch.randn(1, 5, *CODES).expand(2, -1, -1, -1)
    embeddings = torch.randn(2, 5, 4)
    assert pair_loss(network, codes, embeddings, 0.3).item() == 0
    apart = torch.stack([codes[0], codes[0] + 2 * network.spread])
    assert pair_loss(network, apart, embeddings, 0.3).item() == pytest.approx(4)


def test_a_step_is_a_deviation_of_the_embeddings_long():
    network = OnePass(OnePassConfig(*CODES, 4, 8))
    network.covariance.copy_(torch.diag(torch.tensor([4.0, 1.0, 1.0, 2.0])))
    change, embedding = torch.tensor([1.0, 0.0, 0.0, 0.0]), torch.randn(3, 4)
    seen = []
    network.register_forward_pre_hook(lambda _, given: seen.append(given))
    network.step_for(change, embedding)
    wanted, before = seen[0]
    unit = 2.0**0.5
    torch.testing.assert_close(wanted * unit, 2 * change.expand(3, -1))
    torch.testing.assert_close(before * unit, embedding)


def test_what_cannot_be_trained_is_refused(tmp_path):
    with pytest.raises(ValueError, match="processes: expected 1"):
        OnePassTraining(processes=2)
    with pytest.raises(ValueError, match="pictures"):
        OnePassTraining(pictures=0)
    tiny_model().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="export: expected a folder for 'one-pass'"):
        train_one_pass(replace(CONFIG, out=Path(tmp_path / "run"), export=tmp_path))
    with pytest.raises(CheckpointError, match="expected a network of one-pass edits"):
        OnePass.from_pretrained(tmp_path)
