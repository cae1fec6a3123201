"""Fine-tuning a generator on another style: what it starts from, and what stays."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from restyle.hub.registry import load_generator
from restyle.io.checkpoints import CheckpointError
from restyle.training.config import GeneratorTraining
from restyle.training.generator import GeneratorTrainer, train_generator
from restyle.training.loaders import load_run_state


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> GeneratorTraining:
    """A generator that was trained a little."""
    folder = tmp_path_factory.mktemp("photo")
    random = np.random.default_rng(0)
    (folder / "data").mkdir()
    for index in range(8):
        pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "data" / f"{index}.png")
    config = GeneratorTraining(
        out=folder / "run",
        data=str(folder / "data"),
        size=16,
        images=32,
        batch=8,
        channels=(8, 8, 8),
        z_dim=8,
        w_dim=8,
        mapping_layers=2,
        precision="float32",
        device="cpu",
    )
    train_generator(config)
    return config


def test_fine_tuning_keeps_what_codes_mean(photo, tmp_path):
    config = dataclasses.replace(photo, out=tmp_path / "toon", initial=photo.out)
    train_generator(config)
    before, after = load_run_state(photo.out), load_run_state(config.out)
    changed = {
        name
        for name, tensor in before["generator"].items()
        if not torch.equal(tensor, after["generator"][name])
    }
    assert changed
    assert not any(name.startswith("mapping") for name in changed)
    first, second = (load_generator(c.out / "generator") for c in (photo, config))
    torch.testing.assert_close(first.w_avg, second.w_avg)
    train_generator(dataclasses.replace(config, images=48))  # resumes with a frozen mapping
    assert load_run_state(config.out)["steps"] == 6


def test_the_discriminator_is_kept_or_fresh(photo, tmp_path):
    kept = load_run_state(photo.out)["critic"]
    for fresh in (False, True):
        config = dataclasses.replace(photo, initial=photo.out, fresh_discriminator=fresh)
        trainer = GeneratorTrainer(config, torch.device("cpu"))
        trainer.start_from(load_run_state(photo.out))
        found = trainer.adversary.state_dict()
        assert all(torch.equal(kept[name], found[name]) for name in kept) is not fresh


def test_the_export_may_keep_coarse_layers(photo, tmp_path):
    config = dataclasses.replace(photo, out=tmp_path / "b", initial=photo.out, keep_coarse=8)
    train_generator(config)
    trained = load_run_state(config.out)["ema"]
    blended, initial = (load_generator(c.out / "generator") for c in (config, photo))
    name = "synthesis.layers.0.weight"
    torch.testing.assert_close(blended.state_dict()[name], initial.state_dict()[name])
    name = "synthesis.layers.4.weight"
    torch.testing.assert_close(blended.state_dict()[name], trained[name], rtol=2e-3, atol=1e-3)


def test_another_shape_is_refused(photo, tmp_path):
    config = dataclasses.replace(photo, channels=(8, 8, 6), initial=photo.out)
    trainer = GeneratorTrainer(config, torch.device("cpu"))
    with pytest.raises(CheckpointError, match="the initial generator"):
        trainer.start_from(load_run_state(photo.out))
