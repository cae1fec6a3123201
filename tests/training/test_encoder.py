"""Encoder training on tiny networks: what is written, learned, and survives."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import restyle
from restyle import encoders
from restyle.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from restyle.hub.registry import load_generator
from restyle.io.checkpoints import CheckpointError, load_folder, save_folder
from restyle.io.files import read_jsonl
from restyle.model import ReStyle
from restyle.portraits.features import FeatureConfig, FeatureNetwork
from restyle.portraits.gaussian import WIDTH
from restyle.portraits.reading import CLASSES
from restyle.refine import Estimate, pool_to
from restyle.training import data
from restyle.training.attribute_pretraining import linear_codes
from restyle.training.config import EncoderTraining
from restyle.training.encoder import build_trainer, train_encoder
from restyle.training.optimisers import make_optimiser
from restyle.training.options import flat, with_options
from restyle.training.presets import ENCODERS
from restyle.training.warm_up import mixed_samples
from tests.tiny import CODES, SIZE
from tests.training.encoders import prepare

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")


def encoder_training(**options) -> EncoderTraining:
    return with_options(EncoderTraining(), **options)


@pytest.fixture
def settings(tmp_path) -> dict:
    return prepare(tmp_path)


def trainer_of(settings, **changes):
    return build_trainer(encoder_training(**{**settings, **changes}), CPU)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoint.pt", weights_only=True)["state"]["encoder"]


def same(first, second) -> bool:
    return all(torch.equal(a, second[name]) for name, a in first.items())


def pictures(count: int = 4) -> torch.Tensor:
    return torch.rand(count, 3, 16, 16) * 2 - 1


EVERYTHING = {
    "head": "e4e",
    "optimiser": "ranger",
    "w_norm": 0.01,
    "delta_norm": 2e-4,
    "adversarial": 0.1,
    "r1_interval": 3,
    "pool": 6,
    "progressive_start": 4,
    "progressive_interval": 3,
    "warmup_images": 16,
    "rollout": 0.5,
}


@pytest.mark.parametrize("encoder", ["tiny", "tiny-siamese"])
def test_a_run_writes_what_a_user_looks_for(settings, encoder):
    train_encoder(encoder_training(**{**settings, **EVERYTHING, "encoder": encoder}))
    run = settings["out"]
    for name in ("model", "best"):
        model = ReStyle.from_pretrained(run / name)
        assert model.card["training"]["head"] == "e4e"
        assert model.card["validation"]["val_loss"] > 0
        assert "hours, 1 thread(s) of" in model.card["took"]
    assert (run / "samples" / "00000080.png").exists()
    assert list(run.glob("events.out.tfevents.*"))
    records = read_jsonl(run / "stats.jsonl")
    assert {"val_loss", "val_l2", "val_mse_1", "val_mse_2", "memory_gb"} <= set(records[-1])
    names = {
        "loss",
        "l2",
        "w_norm",
        "delta_norm",
        "adversarial",
        "r1",
        "mse_first",
        "mse_last",
    }
    assert names | {"loss_d_real", "loss_d_fake", "loss_w"} <= {n for r in records for n in r}


@pytest.mark.parametrize("encoder", ["tiny", "tiny-siamese"])
@pytest.mark.parametrize("head", ["psp", "e4e"])
def test_training_lowers_the_loss(settings, head, encoder):
    options = {"lr": 3e-3, "adversarial": 0.01, "delta_norm": 1e-4}
    trainer = trainer_of(settings, head=head, encoder=encoder, **options)
    images = pictures()
    first = trainer.train_batch(images, images)["loss"]
    for _ in range(30):
        last = trainer.train_batch(images, images)["loss"]
    assert last < 0.9 * first


@pytest.mark.parametrize("encoder", ["tiny", "tiny-siamese"])
def test_warm_up_learns_the_codes(settings, encoder):
    trainer = trainer_of(settings, lr=3e-3, encoder=encoder)
    trainer.find_curvature()
    steps = [2] * 4 + [1] * 8
    losses = []
    for _ in range(150):
        known = mixed_samples(trainer.restyle, 12)
        losses.append(float(trainer.warm_up(*known, steps)["loss_w"]))
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:5])


def test_gradients_are_those_of_each_step_alone(settings):
    """The paper's truncation: nothing flows from a step to the one before."""
    trainer, images = trainer_of(settings), pictures()
    trainer.encoder.eval()
    wanted = [torch.zeros_like(p) for p in trainer.encoder.parameters()]
    start = trainer.restyle.start(4)
    for _ in range(2):
        seen = torch.cat([images, pool_to(start.image, images)], dim=1)
        ws = start.ws + trainer.encoder(seen)[0]
        image = trainer.restyle.generate(ws)
        loss = (pool_to(image, images) - images).square().mean()
        gradients = torch.autograd.grad(loss, list(trainer.encoder.parameters()))
        wanted = [a + b for a, b in zip(wanted, gradients, strict=True)]
        start = Estimate(ws, image).detach()
    list(trainer.learn(images, images, [2] * 4))
    for parameter, gradient in zip(trainer.encoder.parameters(), wanted, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)


def test_gradients_flow_through_the_state_and_nothing_else(settings):
    """As in RAFT: earlier steps count 0.8 times as much, codes and images are cut off."""
    trainer, images = trainer_of(settings, encoder="tiny-siamese"), pictures()
    trainer.encoder.eval()
    start, state, total = trainer.restyle.start(4), None, torch.zeros(())
    for weight in (0.8, 1.0):
        seen = torch.cat([images, pool_to(start.image, images)], dim=1)
        residual, state = trainer.encoder(seen, start.ws, state)
        image = trainer.restyle.generate(start.ws + residual)
        total = total + weight * (pool_to(image, images) - images).square().mean()
        start = Estimate(start.ws + residual, image).detach()
    wanted = torch.autograd.grad(total, list(trainer.encoder.parameters()))
    list(trainer.learn(images, images, [2] * 4))
    for parameter, gradient in zip(trainer.encoder.parameters(), wanted, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-7)


def test_accumulated_parts_give_the_gradients_of_the_whole(settings):
    images, results = pictures(8), []
    for parts in (1, 4):
        torch.manual_seed(1)
        trainer = trainer_of(settings, batch=8, accumulate=parts, optimiser="adamw")
        trainer.encoder.eval()
        numbers = trainer.train_batch(images, images)
        results.append((numbers, trainer.encoder.state_dict()))
    (whole, before), (parts, after) = results
    for name in whole:
        torch.testing.assert_close(whole[name], parts[name], msg=name)
    # Adam's first step is the sign of the gradient: gradients near zero may differ by rounding.
    close = [torch.isclose(before[n], after[n], atol=1e-5).float().mean() for n in before]
    assert np.mean(close) > 0.99


def test_deltas_come_one_by_one(settings):
    trainer = trainer_of(
        settings, head="e4e", warmup_images=40, progressive_start=20, progressive_interval=5
    )
    found = [trainer.stage_at(4 * step) for step in (0, 19, 20, 24, 25, 39, 40, 1000)]
    assert found == [0, 0, 1, 1, 2, 4, 5, 5]
    trainer.set_progress(4 * 25)
    images = pictures()
    *_, (ws, _) = trainer.learn(images, images, [2] * 4)
    rest = (ws[:, 3:] - ws[:, :1]).abs().amax(dim=(1, 2))
    start = (trainer.restyle.start_ws[3:] - trainer.restyle.start_ws[:1]).abs().max()
    torch.testing.assert_close(rest, start.expand(4), rtol=0, atol=1e-5)
    # An exported model has all of its deltas on, so those that are not trained yet must be zero.
    exported = trainer.model().encoder
    assert exported.stage == 5
    trainer.encoder.eval()
    x = torch.cat([images, images], dim=1)
    torch.testing.assert_close(exported(x)[0], trainer.encoder(x)[0])


def test_psp_heads_have_no_stages(settings):
    trainer = trainer_of(settings, progressive_start=20, progressive_interval=5)
    assert trainer.stage_at(0) == 5


def test_deltas_that_are_off_have_zero_gradients(settings):
    trainer = trainer_of(settings, head="e4e", progressive_start=9, progressive_interval=1)
    trainer.set_progress(0)
    images = pictures()
    list(trainer.learn(images, images, [2] * 4))
    gradient = trainer.encoder.heads[0].out_weight.grad
    assert gradient[0].abs().max() > 0
    assert gradient[1:].abs().max() == 0


def test_a_single_shot_encoder_sees_the_target_alone(settings):
    trainer = trainer_of(settings, single_shot=True, rollout=0.9)
    assert trainer.encoder.config.input_channels == 3
    images = pictures()
    numbers = trainer.train_batch(images, images)
    assert numbers["mse_first"] == numbers["mse_last"]
    assert trainer.depths_of(10_000, 99) == [1] * 99
    assert trainer.model().single_shot


def test_a_run_may_be_validated_with_more_steps_than_it_updates_after(settings):
    changes = {"steps": 1, "rollout": 0.5, "validation_steps": 3, "images": 8}
    train_encoder(encoder_training(**{**settings, **changes}))
    assert read_jsonl(settings["out"] / "stats.jsonl")[-1]["val_mse_3"] > 0


def test_some_images_go_on(settings):
    trainer = trainer_of(settings, steps=1, rollout=0.65, warmup_images=100)
    depths = trainer.depths_of(100, 4000)
    assert depths == trainer.depths_of(100, 4000) == sorted(depths, reverse=True)
    assert depths[0] == 10 and 2.7 < np.mean(depths) < 2.9
    assert 0.33 < depths.count(1) / 4000 < 0.37
    few = trainer.depths_of(50, 4000)  # half way through the warm-up
    assert 1.4 < np.mean(few) < 1.55 and trainer.depths_of(0, 4000) == [1] * 4000


def test_what_goes_on_is_learned_from_at_every_step(settings):
    trainer, images = trainer_of(settings, steps=1, lr=0.0), pictures()
    trainer.encoder.eval()
    found = trainer.model().invert(images, 3).steps[1:]
    depths = [3, 2, 1, 1]
    numbers = trainer.train_batch(images, images, depths)
    errors = [(pool_to(step.image, images) - images).square().mean(dim=(1, 2, 3)) for step in found]
    wanted = torch.cat([errors[0], errors[1][:2], errors[2][:1]])
    torch.testing.assert_close(numbers["l2"], wanted.mean(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(numbers["mse_first"], errors[0].mean(), rtol=1e-4, atol=1e-6)
    steps = list(trainer.learn(images, images, depths))
    assert [len(codes) for codes, _ in steps] == [4, 2, 1]


def test_a_step_counts_alike_for_every_image(settings):
    trainer, images = trainer_of(settings, steps=1), pictures()
    trainer.encoder.eval()
    list(trainer.learn(images, images, [2, 1, 1, 1]))
    found = [p.grad.clone() for p in trainer.encoder.parameters()]
    trainer.optimiser.zero_grad()
    for row in range(4):
        list(trainer.learn(images[row : row + 1], images[row : row + 1], [2 if row == 0 else 1]))
    for parameter, gradient in zip(trainer.encoder.parameters(), found, strict=True):
        torch.testing.assert_close(parameter.grad / 4, gradient, rtol=1e-4, atol=1e-6)


def first_norm(trainer):
    return next(m for m in trainer.encoder.modules() if isinstance(m, torch.nn.BatchNorm2d))


def test_norms_are_settled_over_all_steps(settings):
    trainer, images = trainer_of(settings, validation_steps=3), pictures(6)
    norm, momentum = first_norm(trainer), first_norm(trainer).momentum
    seen = []
    hook = norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    steps = trainer.model().invert(images, 2).steps
    shown = [steps[i % 3].image[min(i, len(steps[i % 3].image) - 1)] for i in range(6)]
    trainer.encoder.eval()
    trainer.restyle.encode(torch.cat([images, pool_to(torch.stack(shown), images)], dim=1))
    trainer.recalibrate_batch_norms(images)
    hook.remove()
    wanted = seen[0].mean(dim=(0, 2, 3))
    torch.testing.assert_close(norm.running_mean, wanted, rtol=1e-4, atol=1e-5)
    assert norm.momentum == momentum and norm.training


def test_frozen_norms_stay_as_they_are_in_use(settings):
    trainer, images = trainer_of(settings, freeze_norms=True, rollout=0.5), pictures()
    assert trainer.encoder.training and not first_norm(trainer).training
    statistics = [b.clone() for b in trainer.encoder.buffers()]
    trainer.recalibrate_batch_norms(images)
    settled = [b.clone() for b in trainer.encoder.buffers()]
    assert not same(dict(enumerate(statistics)), dict(enumerate(settled)))
    trainer.train_batch(images, images, [4, 3, 2, 2])
    assert not first_norm(trainer).training
    assert same(dict(enumerate(settled)), dict(enumerate(trainer.encoder.buffers())))


def test_norms_that_were_frozen_are_not_settled_again(settings, tmp_path):
    frozen = {**settings, "freeze_norms": True}
    train_encoder(encoder_training(**{**frozen, "out": tmp_path / "first"}))
    first = str(tmp_path / "first" / "model")
    train_encoder(encoder_training(**{**frozen, "out": tmp_path / "second", "initial": first}))
    before, after = (
        {k: v for k, v in weights(tmp_path / run).items() if "running_" in k}
        for run in ("first", "second")
    )
    assert before and same(before, after)


def test_images_may_be_skipped(settings, monkeypatch):
    seen = []

    def draw(source, positions, *settings):
        seen.extend(positions)
        return encoder_draw(source, positions, *settings)

    encoder_draw = data.draw
    monkeypatch.setattr(data, "draw", draw)
    train_encoder(encoder_training(**{**settings, "images": 16, "skip": 100}))
    assert seen == list(range(100, 116))


def test_pairs_are_compared_with_their_targets(settings):
    trainer, images = trainer_of(settings), pictures()
    trainer.encoder.eval()
    alike = trainer.train_batch(images, images)["mse_first"]
    trainer = trainer_of(settings)
    trainer.encoder.eval()
    assert trainer.train_batch(images, -images)["mse_first"] != alike


def test_resuming_is_the_same_as_not_stopping(settings, tmp_path):
    config = encoder_training(**{**settings, **EVERYTHING, "decay": 0.0})
    train_encoder(with_options(config, out=tmp_path / "whole"))
    for images in (24, 64):
        train_encoder(with_options(config, out=tmp_path / "parts", images=images))
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


def test_a_run_s_folder_is_a_model_and_has_a_generator(settings):
    train_encoder(encoder_training(**settings))
    run, best = settings["out"], ReStyle.from_pretrained(settings["out"] / "best")
    assert restyle.load(run, "cpu").weights_hash() == best.weights_hash()
    generator = load_generator(run).state_dict()
    assert same(generator, load_generator(run / "best").state_dict())


def test_a_finished_run_tells_where_the_model_is_and_does_nothing_more(settings, capsys):
    config = encoder_training(**settings)
    train_encoder(config)
    said = capsys.readouterr().err
    assert f"{settings['out']}: training on cpu in float32" in said
    assert f"the model is in {settings['out'] / 'best'} " in said
    before = (settings["out"] / "stats.jsonl").read_text()
    train_encoder(config)
    assert "nothing to do: 64 images were asked for, 64 are done" in capsys.readouterr().err
    assert (settings["out"] / "stats.jsonl").read_text() == before


def test_a_run_does_not_go_on_with_another_generator(settings):
    train_encoder(encoder_training(**settings))
    folder = Path(settings["generator"])
    config, tensors = load_folder(folder)
    save_folder(folder, config, {name: 1.1 * tensor for name, tensor in tensors.items()})
    with pytest.raises(ValueError, match="has other weights than when this training began"):
        train_encoder(encoder_training(**{**settings, "images": 96}))


def test_a_run_that_was_killed_before_its_last_validation_makes_up_for_it(settings, monkeypatch):
    config = encoder_training(**settings)
    monkeypatch.setattr("restyle.training.encoder.validate", None)  # not callable
    with pytest.raises(TypeError):
        train_encoder(config)
    monkeypatch.undo()
    train_encoder(config)
    assert ReStyle.from_pretrained(settings["out"] / "model").card["images_seen"] == 64


def start(settings: dict) -> subprocess.Popen:
    changes = [f"{name}={value}" for name, value in settings.items()]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.encoders", *changes],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.timeout(400)
@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_nothing_had_happened(settings, tmp_path):
    changes = {**settings, **EVERYTHING, "images": 400, "out": tmp_path / "killed"}
    worker = start({**changes, "checkpoint_minutes": 0.005})
    end = time.monotonic() + 200
    while not (tmp_path / "killed" / "model").exists():
        assert worker.poll() is None, worker.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.02)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    reached = torch.load(tmp_path / "killed" / "checkpoint.pt", weights_only=True)["images"]
    assert 0 < reached < 416
    train_encoder(encoder_training(**changes))
    train_encoder(encoder_training(**{**changes, "out": tmp_path / "whole"}))
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "killed"))


def test_a_model_whose_writing_was_cut_off_is_written_anew(settings, tmp_path):
    (tmp_path / "run" / "best").mkdir(parents=True)  # and killed before there was more
    train_encoder(encoder_training(**{**settings, "out": tmp_path / "run"}))
    ReStyle.from_pretrained(tmp_path / "run" / "best")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_processes_give_the_losses_of_one(settings, tmp_path):
    losses = {}
    for name, processes in (("two", 2), ("one", 1)):
        folder = tmp_path / name
        changes = {
            **settings,
            "out": folder,
            "processes": processes,
            "rollout": 0.4,
            "batch": 8,
            "accumulate": 2 // processes,  # how often images go on is drawn for a part
            "freeze_norms": True,  # else each process has statistics of its own images
        }
        if processes == 2:
            worker = start(changes)
            _, errors = worker.communicate(timeout=300)
            assert worker.returncode == 0, errors
        else:
            train_encoder(encoder_training(**changes))
        losses[name] = written(folder / "stats.jsonl")
    compared = [key for key in losses["two"] if "loss" in key[1] or "mse" in key[1]]
    assert (64, "loss") in compared and (64, "val_loss") in compared
    for key in compared:
        assert losses["two"][key] == pytest.approx(losses["one"][key], rel=2e-4), key


def written(path):
    """What a run wrote, by images and name: how many lines it took is a matter of time."""
    return {(record["images"], k): v for record in read_jsonl(path) for k, v in record.items()}


def test_a_full_disk_is_told_and_spares_the_checkpoint(settings, monkeypatch):
    train_encoder(encoder_training(**settings))
    before = (settings["out"] / "checkpoint.pt").read_bytes()

    def full(_content, path):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match=r"checkpoint\.pt: cannot write.*No space left"):
        train_encoder(encoder_training(**{**settings, "images": 80}))
    assert (settings["out"] / "checkpoint.pt").read_bytes() == before


def test_validation_counts_every_image_once(settings):
    trainer = trainer_of(settings, batch=4)
    from restyle.training.data import load, open_source
    from restyle.training.validation import validate

    source = open_source(settings["data"], 16)
    assert len(source) % 4 == 0
    source.chosen = range(23)  # the last batch of four is not full
    found, _ = validate(trainer, source)
    result = trainer.model().invert(load(source, range(23)), 2)
    image = pool_to(result.image, result.target)
    wanted = (image - result.target).square().mean()
    assert found["val_mse_2"] == pytest.approx(float(wanted), rel=1e-4)
    assert found["val_loss"] == pytest.approx(float(wanted), rel=1e-4)
    largest = (image - result.target).square().mean((1, 2, 3)).max()
    assert found["val_mse_max"] == pytest.approx(float(largest), rel=1e-4)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_trains(settings, precision, monkeypatch):
    monkeypatch.setattr("restyle.runtime.devices.computes_bfloat16", lambda device: True)
    trainer = trainer_of(settings, precision=precision, lr=3e-3)
    assert trainer.scaler.is_enabled() == (precision == "fp16")
    images = pictures()
    losses = [float(trainer.train_batch(images, images)["loss"]) for _ in range(20)]
    assert losses[-1] < losses[0]
    state = trainer.state_dict()
    other = trainer_of(settings, precision=precision, lr=3e-3)
    other.load_state_dict(state)
    assert other.scaler.state_dict() == trainer.scaler.state_dict()


def test_compiling_changes_speed_alone(settings, monkeypatch):
    compiled = []

    def seen(function, **_):
        return lambda *inputs: compiled.append(function) or function(*inputs)

    def numbers(**options):
        torch.manual_seed(0)
        return trainer_of(settings, **options).train_batch(pictures(), pictures())

    plain = numbers()
    monkeypatch.setattr(torch, "compile", seen)
    assert numbers(compile=True) == plain
    assert {function.__name__ for function in compiled} == {"_call_impl"}


def test_an_encoder_starts_from_a_trained_one(settings, tmp_path):
    train_encoder(encoder_training(**settings))
    trainer = trainer_of(settings, initial=str(tmp_path / "run" / "model"))
    stored = ReStyle.from_pretrained(tmp_path / "run" / "model").encoder.state_dict()
    assert same(stored, trainer.encoder.state_dict())


def test_the_card_tells_all_trainings_even_if_the_name_of_the_first_has_a_new_meaning(
    settings, tmp_path
):
    first, second = tmp_path / "first", tmp_path / "second"
    train_encoder(encoder_training(**{**settings, "out": first, "lr": 0.002}))
    changes = {**settings, "out": second, "initial": str(first / "model")}
    train_encoder(encoder_training(**{**changes, "images": 32}))
    train_encoder(encoder_training(**{**settings, "out": tmp_path / "other", "lr": 0.004}))
    shutil.rmtree(first)
    (tmp_path / "other").rename(first)
    train_encoder(encoder_training(**changes))  # goes on
    card = ReStyle.from_pretrained(second / "model").card
    assert card["images_seen"] == 64 and card["initial"]["training"]["lr"] == 0.002
    assert card["initial"]["images_seen"] == 64 and "initial" not in card["initial"]


def test_an_encoder_with_other_heads_is_no_start(settings, tmp_path):
    train_encoder(encoder_training(**settings))
    other = "e4e" if encoder_training(**settings).head == "psp" else "psp"
    with pytest.raises(CheckpointError, match=rf"expected {other} heads, got "):
        trainer_of(settings, initial=str(tmp_path / "run" / "model"), head=other)


def test_an_encoder_of_other_codes_or_none_is_no_start(settings):
    with pytest.raises(CheckpointError, match=r"codes, as the generator takes, got \(12, 128\)"):
        trainer_of(settings, initial="portraits")
    with pytest.raises(CheckpointError, match="expected an encoder, got a 'generator'"):
        trainer_of(settings, initial=settings["generator"])


def test_an_encoder_starts_from_a_single_shot_one(settings, tmp_path):
    train_encoder(encoder_training(**{**settings, "single_shot": True}))
    single = ReStyle.from_pretrained(tmp_path / "run" / "model").encoder
    both = trainer_of(settings, initial=str(tmp_path / "run" / "model")).encoder.eval()
    images, other = pictures(), pictures().flip(0)
    expected = single(images)[0]
    torch.testing.assert_close(both(torch.cat([images, other], dim=1))[0], expected)
    assert not torch.allclose(both(torch.cat([other, images], dim=1))[0], expected)


@pytest.fixture
def reading(settings, tmp_path, monkeypatch):
    """Settings of an encoder that begins as a feature network, and that network."""
    network = FeatureNetwork(FeatureConfig(SIZE, (4, 6, 8, 8, 8)))
    for norm in (m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.running_mean.normal_()
    network.save_pretrained(tmp_path / "features")
    shape = {"backbone": "features", "widths": (4, 6, 8, 8, 8), "units": (1, 1, 1, 1)}
    tiny = replace(encoders.PRESETS["tiny"], **shape, siamese=True)
    monkeypatch.setitem(encoders.PRESETS, "reading", tiny)
    begun = {"encoder": "reading", "initial": str(tmp_path / "features"), "freeze_norms": True}
    return {**settings, **begun}, network.eval()


@pytest.mark.parametrize("single_shot", [True, False])
def test_an_encoder_begins_as_what_reads_attributes(reading, tmp_path, single_shot):
    settings, network = reading
    supervised = StyleGAN2(StyleGAN2Config(SIZE, WIDTH + 2, 8, (8, 8, 8), mapping_layers=2))
    supervised.w_avg.copy_(supervised.estimate_w_avg(256))
    supervised.save_pretrained(tmp_path / "supervised")
    settings |= {"generator": str(tmp_path / "supervised"), "single_shot": single_shot}
    trainer = trainer_of(settings)
    encoder, images = trainer.encoder.eval(), pictures()
    weight, bias = linear_codes(supervised, network)
    heads = network.heads(images)
    chances = [one.softmax(dim=1) for one in heads["logits"].split(CLASSES, dim=1)]
    expected = torch.cat([heads["values"], *chances], dim=1) @ weight.t() + bias
    found, _ = encoder(images if single_shot else torch.cat([images, images], dim=1))
    torch.testing.assert_close(found, expected.unsqueeze(1).expand(-1, *CODES[:1], -1))
    if not single_shot:
        torch.testing.assert_close(encoder.centre, trainer.restyle.start_ws)


@pytest.mark.parametrize("single_shot", [True, False])
def test_a_siamese_encoder_and_a_single_shot_one_begin_as_each_other(reading, single_shot):
    settings = reading[0]
    train_encoder(encoder_training(**{**settings, "images": 8, "single_shot": single_shot}))
    first = ReStyle.from_pretrained(settings["out"] / "model")
    again = {**settings, "initial": str(settings["out"] / "model"), "single_shot": not single_shot}
    trainer = trainer_of(again)
    encoder, images = trainer.encoder.eval(), pictures()
    torch.testing.assert_close(encoder.read(images)[0], first.encoder.read(images)[0])


def test_norms_of_a_feature_network_are_kept(reading, tmp_path):
    settings, network = reading
    train_encoder(encoder_training(**{**settings, "images": 8}))
    mean = ReStyle.from_pretrained(tmp_path / "run" / "model").encoder.trunk.stem[1].running_mean
    torch.testing.assert_close(mean, network.levels[0][1].running_mean, rtol=1e-3, atol=1e-3)


def test_another_backbone_begins_as_no_feature_network(reading):
    with pytest.raises(ValueError, match="expected a 'ir_se' trunk .* with other layers"):
        trainer_of({**reading[0], "encoder": "tiny"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"identity": 0.1, "moco": 0.5}, "got both: identity 0.1, moco 0.5"),
        ({"l2": 0.0}, "positive weight for one of l2"),
        ({"w_norm": -1.0}, "w_norm: expected a number of 0 or more, got -1.0"),
        ({"batch": 6, "accumulate": 4}, "multiple of 4"),
        ({"domain": "toon", "style": "toon"}, "trained on photos"),
        ({"steps": 0}, "steps: expected a number of 1 or more, got 0"),
        ({"batch": 0}, "batch: expected a number of 1 or more, got 0"),
        ({"lr": -1.0}, "lr: expected a number of 0 or more, got -1.0"),
        ({"images": -5}, "images: expected a number of 1 or more, got -5"),
        ({"l2": float("nan")}, "l2: expected a number of 0 or more, got nan"),
        ({"precision": "fp8"}, "precision: expected one of auto, float32, bf16, fp16, got 'fp8'"),
        ({"skip": -1}, "skip: expected a number of 0 or more, got -1"),
        ({"rollout": 1.0}, "rollout: expected a number of 0 to 0.99, got 1.0"),
        ({"optimiser": "sgd"}, "expected one of ranger, adam, adamw, muon, got 'sgd'"),
    ],
)
def test_what_cannot_be_trained_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        encoder_training(**{"perceptual": 0.0, "identity": 0.0, **changes})


def test_no_loss_is_required():
    """A model needs neither an identity nor a MoCo network to train."""
    assert encoder_training(perceptual=0.0, identity=0.0).losses.weights == {"l2": 1.0}


def test_presets_are_those_of_the_papers():
    faces, cars, wild = (ENCODERS[name] for name in ("faces", "cars-e4e", "wild"))
    options = flat(wild)
    assert faces.losses.weights == {"l2": 1.0, "perceptual": 0.8, "identity": 0.1}
    assert cars.losses.weights == {
        "l2": 1.0,
        "perceptual": 0.8,
        "moco": 0.5,
        "delta_norm": 2e-4,
        "adversarial": 0.1,
    }
    assert options["images"] == 40_000 * 8
    assert options["optimiser"] == "ranger" and options["lr"] == 1e-4
    pace = [flat(cars)[f"progressive_{name}"] for name in ("start", "interval")]
    assert pace == [20_000, 2_000]
    toon = ENCODERS["portraits-toon"]
    assert (toon.data.style, toon.domain, toon.generator) == ("photo", "toon", "portraits-toon")
    assert toon.data.warmup_drawings  # samples would be toons as input
    official = ENCODERS["toon"]
    assert official.losses.identity == 1.0 and official.losses.w_norm == 0.025
    assert not official.data.warmup_images
    folders = [preset.out for preset in ENCODERS.values()]
    assert len(set(folders)) == len(folders)


def test_an_unknown_optimiser_is_refused():
    with pytest.raises(ValueError, match="got 'sgd'"):
        make_optimiser("sgd", [torch.nn.Parameter(torch.zeros(1))], 0.1)
