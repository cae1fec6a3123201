"""What `--dry-run` says."""

import pytest
import torch

from restyle.cli import main
from restyle.training.config import EncoderTraining
from restyle.training.dry_run import dry_run, memory_estimate
from restyle.training.encoder import build_trainer
from restyle.training.options import with_options
from tests.training.encoders import prepare


def test_a_training_is_described_without_being_started(tmp_path):
    settings = prepare(tmp_path)
    changes = {"w_norm": 0.005, "optimiser": "ranger", "head": "e4e"}
    text = dry_run(with_options(EncoderTraining(), **{**settings, **changes}))
    assert "24 images, one in 20 held out, mirrored at random" in text
    assert "16 px, 6 codes of 8" in text and "e4e heads, 6 x 16 x 16" in text
    assert "l2 1, w_norm 0.005" in text
    assert "16 updates by batches of 4, learning from 2 refinements each" in text
    assert "ranger, learning rate 0.001" in text and " GB a process" in text
    assert not (tmp_path / "run").exists()


def test_a_compiled_training_is_described_as_well(tmp_path):
    settings = prepare(tmp_path)
    plain, compiled = (
        dry_run(with_options(EncoderTraining(), **settings, compile=compile))
        for compile in (False, True)
    )
    assert compiled == plain


def test_the_memory_estimate_grows_with_the_batch(tmp_path):
    trainer = build_trainer(
        with_options(EncoderTraining(), **prepare(tmp_path)), torch.device("cpu")
    )
    small, large = memory_estimate(trainer, 2), memory_estimate(trainer, 8)
    # Nearly four times as much: the scaled weights of the generator do not depend on the batch.
    assert 3 < large["activations"] / small["activations"] < 4
    assert small["weights"] == large["weights"]
    parameters = sum(p.numel() for p in trainer.encoder.parameters())
    assert small["gradients"] == 4 * parameters and small["moments"] == 8 * parameters


def test_the_estimate_is_what_a_step_keeps(tmp_path):
    """The same step with numbers keeps as many bytes for its backward pass."""
    settings = with_options(EncoderTraining(), **prepare(tmp_path))
    estimate = memory_estimate(build_trainer(settings, torch.device("cpu")), 4)["activations"]
    trainer = build_trainer(settings, torch.device("cpu"))
    parts = (trainer.encoder, trainer.generator)
    known = {t.data_ptr() for part in parts for t in (*part.parameters(), *part.buffers())}
    kept = {}

    def keep(tensor):
        if tensor.data_ptr() not in known:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    images = torch.rand(4, 3, 16, 16)
    trainer.restyle.start(4)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        next(iter(trainer.learn(images, images, [1] * 4)))
    measured = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    assert 0.7 < estimate / measured < 1.4


def test_the_command_line_describes(tmp_path, capsys):
    settings = prepare(tmp_path)
    names = ("generator", "data", "out", "encoder", "images", "perceptual", "identity")
    options = [f"--{name}={settings[name]}" for name in names]
    options += ["--initial=", "--no-warmup-drawings", "--distillation=0"]
    with pytest.raises(SystemExit) as ended:
        main(["train", "encoder", "--preset", "portraits-single-shot-e4e", *options, "--dry-run"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "delta_norm 0.0002, adversarial 0.1" in text
    assert "30,000 samples with known codes, then 64 images" in text
    assert not (tmp_path / "run").exists()


def test_a_generator_s_training_is_described_as_well(tmp_path, capsys):
    prepare(tmp_path)
    options = f"--data {tmp_path / 'data'} --out {tmp_path / 'run'} --size 16 --channels 8 8 8"
    options += " --z-dim 8 --w-dim 8 --batch 8 --images 80 --supervised-images 0"
    options += " --supervised-weight 0 --discriminator-channels 8 8 8 --dry-run"
    with pytest.raises(SystemExit) as ended:
        main(["train", "generator", *options.split()])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "data: 24 images" in text and "16 px, 6 codes of 8" in text
    assert "80 images, the first 0 to be drawn: 10 updates by batches of 8" in text
    assert "GB a process: weights" in text and not (tmp_path / "run").exists()
