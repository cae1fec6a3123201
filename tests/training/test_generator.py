"""Generator training on tiny networks: resuming, growing, penalties, and folders of images."""

import copy
import dataclasses
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from restyle.cli import main
from restyle.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from restyle.hub.registry import load_generator
from restyle.io.checkpoints import CheckpointError
from restyle.io.files import read_jsonl
from restyle.portraits.attributes import continuous_names
from restyle.training import attribute_pretraining as pretraining
from restyle.training.config import GeneratorTraining
from restyle.training.data import load, open_source
from restyle.training.generator import GeneratorTrainer, train_generator
from restyle.training.presets import GENERATORS


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for index in range(10):
        pixels = random.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def training(out: Path, data: Path, **changes) -> GeneratorTraining:
    settings = {
        "out": out,
        "data": str(data),
        "size": 16,
        "images": 32,
        "batch": 8,
        "channels": (8, 8, 8),
        "z_dim": 8,
        "w_dim": 8,
        "mapping_layers": 2,
        "precision": "float32",
        "snapshot_images": 16,
        "device": "cpu",
        "noise": True,
        "path_length_weight": 2.0,
    }
    return GeneratorTraining(**{**settings, **changes})


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_generator(folder).state_dict()


def test_training_writes_what_a_user_looks_for(tmp_path, pictures, capsys):
    train_generator(training(tmp_path / "run", pictures, precision="float32"))
    run = tmp_path / "run"
    assert f"{run}: training on cpu in float32" in capsys.readouterr().err
    assert load_generator(run / "generator").config.size == 16
    assert load_generator(run / "snapshots" / "00000016").num_ws == 6
    assert (run / "samples" / "00000032.png").exists()
    (line,) = read_jsonl(run / "stats.jsonl")
    assert line["images"] == 32
    assert {"loss_d", "loss_g", "r1", "path_length", "images_per_second"} <= set(line)


def test_files_that_cannot_be_read_are_listed(tmp_path, pictures):
    data = shutil.copytree(pictures, tmp_path / "data")
    (data / "3.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="skipped"):
        train_generator(training(tmp_path / "run", data, images=16))
    broken = json.loads((tmp_path / "run" / "broken.json").read_text())
    assert list(broken) == [str(data / "3.png")] and "3.png" in broken[str(data / "3.png")]


def test_processes_that_cannot_share_the_batch_are_refused_before_they_start(monkeypatch, capsys):
    monkeypatch.setattr("restyle.training.parallel.launch", None)  # not callable
    with pytest.raises(SystemExit) as ended:
        main(["train", "generator", "--batch", "8", "--processes", "3"])
    assert ended.value.code not in (0, None)
    assert capsys.readouterr().err.count("expected a multiple of 3") == 1


def test_a_resumed_training_equals_one_in_one_go(tmp_path, pictures):
    train_generator(training(tmp_path / "whole", pictures))
    train_generator(training(tmp_path / "halves", pictures, images=16))
    train_generator(training(tmp_path / "halves", pictures, images=32))
    whole, halves = weights(tmp_path / "whole/generator"), weights(tmp_path / "halves/generator")
    for name, value in whole.items():
        torch.testing.assert_close(halves[name], value, rtol=0, atol=0, msg=name)


def test_a_killed_training_goes_on_as_if_nothing_had_happened(tmp_path, pictures):
    def command(name: str, images: int) -> list[str]:
        options = vars(training(tmp_path / name, pictures, images=images, checkpoint_minutes=0.002))
        given = ["out", "data", "size", "images", "batch", "channels", "z_dim", "w_dim"]
        given += ["mapping_layers", "precision", "device", "checkpoint_minutes"]
        values = {f"--{key.replace('_', '-')}": options[key] for key in given}
        words = [[k, *map(str, v if isinstance(v, tuple) else (v,))] for k, v in values.items()]
        return [sys.executable, "-m", "restyle", "train", "generator", *sum(words, [])]

    killed = subprocess.Popen(command("killed", 100_000), stderr=subprocess.DEVNULL)
    checkpoint, end = tmp_path / "killed" / "checkpoint.pt", time.monotonic() + 120
    while not checkpoint.exists():
        assert killed.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    images = torch.load(checkpoint, weights_only=True)["images"] + 32
    for name in ("killed", "whole"):
        subprocess.run(command(name, images), check=True, stderr=subprocess.DEVNULL)
    killed, whole = (weights(tmp_path / name / "generator") for name in ("killed", "whole"))
    for name, value in whole.items():
        torch.testing.assert_close(killed[name], value, rtol=0, atol=0, msg=name)


def test_a_grown_generator_starts_as_the_smaller_one_enlarged(tmp_path, pictures):
    small = training(tmp_path / "small", pictures)
    train_generator(small)
    large = training(
        tmp_path / "large", pictures, size=32, channels=(8, 8, 8, 6), grow_from=small.out
    )
    before = GeneratorTrainer(small, torch.device("cpu"))
    state = torch.load(small.out / "checkpoint.pt", weights_only=True)["state"]
    before.load_state_dict(state)
    after = GeneratorTrainer(large, torch.device("cpu"))
    after.grow_from(state)
    after.set_progress(0)
    z = torch.randn(2, 8)
    with torch.no_grad():
        little = before.ema.model(z)
        grown = after.ema.model.synthesis
        ws = after.ema.model.broadcast(after.ema.model.mapping(z))
        torch.testing.assert_close(grown(ws, resolution=16), little)
        images = torch.randn(4, 3, 16, 16)
        doubled = images.repeat_interleave(2, 2).repeat_interleave(2, 3)
        # With nothing faded in, only the coarse path scores: near the smaller network's score.
        scores = after.adversary.pixels(doubled), before.adversary.pixels(images)
    assert scores[0].shape == scores[1].shape
    after.set_progress(large.fade_images)
    assert after.adversary.pixels.fade == grown.fade == 1.0
    train_generator(large)
    assert load_generator(large.out / "generator").config.size == 32


def test_growing_may_leave_the_discriminator_behind(tmp_path, pictures):
    small = training(tmp_path / "small", pictures)
    wide = {"channels": (8, 8, 8, 6), "discriminator_channels": (6, 6, 10, 6), "size": 32}
    large = training(tmp_path / "large", pictures, grow_from=small.out, **wide)
    state = GeneratorTrainer(small, torch.device("cpu")).state_dict()
    with pytest.raises(CheckpointError, match="smaller discriminator"):
        GeneratorTrainer(large, torch.device("cpu")).grow_from(state)
    large = dataclasses.replace(large, fresh_discriminator=True)
    after = GeneratorTrainer(large, torch.device("cpu"))
    after.grow_from(state)
    block = next(name for name in state["generator"] if name.startswith("synthesis."))
    torch.testing.assert_close(after.generator.state_dict()[block], state["generator"][block])


def test_the_preset_of_128_pixels_grows_from_that_of_64():
    small, large = GENERATORS["portraits-64"], GENERATORS["portraits-128"]
    assert large.grow_from == small.out and large.size == 2 * small.size
    state = GeneratorTrainer(small, torch.device("cpu")).state_dict()
    GeneratorTrainer(large, torch.device("cpu")).grow_from(state)  # or it raises


def test_what_draws_further_at_128_pixels_keeps_the_codes():
    large, further = GENERATORS["portraits-128"], GENERATORS["portraits"]
    assert further.initial == large.out / "generator" and not further.train_mapping
    assert further.images == further.supervised_images
    for name in ("size", "channels", "z_dim", "w_dim", "mapping_layers", "feature_network"):
        assert getattr(further, name) == getattr(large, name)


def test_growing_from_other_widths_is_refused(tmp_path, pictures):
    small = training(tmp_path / "small", pictures, images=8)
    train_generator(small)
    other = training(tmp_path / "o", pictures, size=32, channels=(6, 6, 6, 6), grow_from=small.out)
    with pytest.raises(CheckpointError, match="smaller generator"):
        train_generator(other)


def test_a_batch_that_processes_cannot_share_is_refused(tmp_path, pictures, monkeypatch):
    monkeypatch.setattr("restyle.training.run.process_count", lambda: 3)
    with pytest.raises(ValueError, match="multiple of 3 .*, got 8"):
        train_generator(training(tmp_path / "run", pictures))


SUPERVISED = {
    "z_dim": 64,
    "w_dim": 128,
    "mapping_layers": 5,
    "noise": False,
    "path_length_weight": 0.0,
    "feature_network": "portraits-features",
    "supervised_images": 16,
    "supervised_weight": 1.0,
}


def test_a_generator_learns_to_draw_portraits_from_their_vectors(tmp_path):
    config = training(tmp_path, "portraits", **{**SUPERVISED, "supervised_images": 10_000})
    trainer = GeneratorTrainer(config, torch.device("cpu"))
    real = load(open_source("portraits", 16), range(8))
    z = trainer.pretraining.vectors(range(8))
    numbers = [trainer.step(real, 0, z) for _ in range(40)]
    for name in ("l1", "perceptual"):
        assert numbers[-1][name] < 0.7 * numbers[0][name]
    discriminator = GeneratorTrainer(config, torch.device("cpu")).adversary.state_dict()
    assert discriminator.keys() == trainer.adversary.state_dict().keys()
    assert trainer.optimisers[0].param_groups[0]["betas"] == (0.9, 0.99)


def test_compiling_changes_speed_alone(tmp_path, monkeypatch):
    compiled = []

    def seen(function, **_):
        return lambda *inputs: compiled.append(function.__name__) or function(*inputs)

    def numbers(**options):
        torch.manual_seed(0)
        config = training(tmp_path, "portraits", **SUPERVISED, **options)
        trainer = GeneratorTrainer(config, torch.device("cpu"))
        real = load(open_source("portraits", 16), range(8))
        return trainer.step(real, 0, trainer.pretraining.vectors(range(8)))

    plain = numbers()
    monkeypatch.setattr(torch, "compile", seen)
    assert numbers(compile=True) == plain
    assert compiled == ["_call_impl", "loss"]


def test_known_portraits_take_part_in_adversarial_steps(tmp_path):
    config = training(tmp_path, "portraits", **SUPERVISED, discriminator_warmup=8)
    trainer = GeneratorTrainer(config, torch.device("cpu"))
    real = load(open_source("portraits", 16), range(8))
    z = trainer.pretraining.vectors(range(4))
    waiting = trainer.step(real, 16, z)
    assert "loss_d" in waiting and "loss_g" not in waiting
    numbers = trainer.step(real, 24, z)
    assert {"loss_d", "loss_g", "l1", "perceptual"} <= set(numbers)
    assert trainer.optimisers[0].param_groups[0]["betas"] == (0.0, 0.99)
    with torch.no_grad():
        drawn = trainer.generator.synthesis(trainer._codes(z), "none")
    expected = (drawn - real[:4]).abs().mean()
    assert trainer.step(real, 32, z)["l1"] == pytest.approx(float(expected), rel=1e-3)


def test_without_an_initial_generator_there_is_nothing_to_keep(tmp_path):
    with pytest.raises(ValueError, match="rebuild_mapping: .* got initial None"):
        training(tmp_path, "portraits", rebuild_mapping=True)


@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_a_supervised_training_resumes_as_if_it_had_not_stopped(tmp_path, optimiser):
    config = training(tmp_path / "whole", "portraits", **SUPERVISED, optimiser=optimiser)
    train_generator(config)
    for images in (8, 24, 32):
        train_generator(dataclasses.replace(config, out=tmp_path / "parts", images=images))
    whole, parts = (weights(tmp_path / name / "generator") for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_mappings_are_built_for_codes_that_are_linear_in_the_attributes():
    """What a class is, too: no code lies between two, but for those of one portrait in thirty."""
    generator = StyleGAN2(StyleGAN2Config(16, 64, 128, (8, 8, 8), 5))
    pretraining.build_mapping(generator, fresh=True)
    z = torch.randn(4000, 64)
    known = pretraining._known(z)
    with torch.no_grad():
        ws = generator.mapping(z)
    line = torch.cat([ws, torch.ones(4000, 1)], dim=1)  # attributes are linear in the codes as well
    found = line @ torch.linalg.lstsq(line[:2000], known[:2000]).solution
    missed = (found - known)[2000:].square().mean(dim=0) / known.var(dim=0)
    assert missed.mean() < 0.004 and missed.max() < 0.03
    between = (found - known)[2000:, len(continuous_names) :].abs() > 0.25 * pretraining.CONTRAST
    assert between.any(dim=1).float().mean() < 0.05


def test_a_rebuilt_mapping_means_what_the_old_one_did():
    """Synthesis takes back what codes are shifted by."""
    generator = StyleGAN2(StyleGAN2Config(16, 64, 128, (8, 8, 8), 4))
    pretraining.build_mapping(generator, fresh=True)
    generator.mapping.layers[-1].bias.data -= 50  # some codes are bent by the last activation
    rebuilt = copy.deepcopy(generator)
    pretraining.build_mapping(rebuilt, fresh=False)
    z = torch.randn(32, 64)
    with torch.no_grad():
        ws, now = generator.mapping(z), rebuilt.mapping(z)
        images = generator.synthesis(generator.broadcast(ws), "none")
        again = rebuilt.synthesis(rebuilt.broadcast(now), "none")
    assert (now - ws).mean(dim=0).abs().min() > 0.1  # or there is nothing to take back
    assert (again - images).square().mean() < 0.02 * images.var()


def test_a_training_may_begin_with_a_rebuilt_mapping(tmp_path):
    first = training(tmp_path / "first", "portraits", **SUPERVISED)
    train_generator(first)
    second = dataclasses.replace(
        first, out=tmp_path / "second", initial=first.out / "generator", rebuild_mapping=True
    )
    trainer = GeneratorTrainer(second, torch.device("cpu"))
    trainer.begin()
    old, new = load_generator(first.out / "generator").state_dict(), trainer.generator.state_dict()
    changed = {name for name in new if not torch.equal(old[name], new[name])}
    assert any(name.startswith("mapping.") for name in changed)
    assert all("mapping." in name or name.endswith("style.bias") for name in changed)
    for name, tensor in trainer.ema.model.state_dict().items():
        assert torch.equal(tensor, new[name])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "photos"}, "expected data portraits and a feature_network, got data 'photos'"),
        ({"feature_network": ""}, "feature_network ''"),
        ({"w_dim": 8}, "w_dim: expected at least 124, got 8"),
        ({"mapping_layers": 3}, "mapping_layers: expected at least 4, got 3"),
        ({"z_dim": 8}, "z_dim: expected at least 42, got 8"),
    ],
)
def test_only_portraits_can_supervise(tmp_path, changes, message):
    settings = {"data": "portraits", **SUPERVISED, **changes}
    config = training(tmp_path, settings.pop("data"), **settings)
    with pytest.raises(ValueError, match=message):
        GeneratorTrainer(config, torch.device("cpu"))
