"""Warm-up: known codes, of samples or of drawings, compared as much as images show of them."""

import pytest
import torch

from restyle.domains import Domain
from restyle.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from restyle.hub.registry import load_generator
from restyle.inversion.curvature import FILE, Curvature, ties
from restyle.io.checkpoints import save_folder, with_prefix
from restyle.io.files import read_jsonl
from restyle.model import ReStyle
from restyle.portraits.gaussian import WIDTH
from restyle.training import data
from restyle.training.attribute_pretraining import vectors_of
from restyle.training.encoder import train_encoder
from restyle.training.encoder_trainer import EncoderTrainer
from restyle.training.warm_up import mixed_samples, warm_up_losses
from tests.tiny import CODES, SIZE, tiny_encoder, tiny_generator
from tests.training.encoders import prepare
from tests.training.test_encoder import encoder_training, trainer_of

BATCH = 4


@pytest.fixture
def model() -> ReStyle:
    return ReStyle(tiny_generator(), tiny_encoder(0, 3), Domain("tiny", (SIZE, SIZE)), "tiny")


@pytest.fixture
def curvature() -> Curvature:
    vectors = torch.linalg.qr(torch.randn(CODES[0] * CODES[1], 3))[0]
    return Curvature(vectors, torch.tensor([5.0, 3.0, 2.0]), 0.1)


def test_what_images_show_most_counts_most(model, curvature, monkeypatch):
    """A code that is off along an eigenvector costs its eigenvalue, whatever the picture."""
    images, codes = torch.rand(BATCH, 3, SIZE, SIZE), torch.randn(BATCH, *CODES)
    wanted = codes - model.start_ws
    for column, value in enumerate(curvature.values):
        off = 0.5 * curvature.vectors[:, column].view(CODES)
        monkeypatch.setattr(model, "encode", lambda pair, ws, _, off=off: (wanted + off, None))
        (loss,) = warm_up_losses(model, curvature, images, codes, [1] * BATCH)
        torch.testing.assert_close(loss, 0.25 * value, rtol=1e-4, atol=1e-5)


def test_an_encoder_learns_on_its_own_path(model, curvature, monkeypatch):
    """Each step sees what the one before has reached, and is told what is left to the codes."""
    model = ReStyle(model.generator, tiny_encoder(), model.domain, "tiny")
    seen, off = [], 0.5 * curvature.vectors[:, 0].view(CODES)

    def encode(pair, ws, _):
        seen.append((pair, ws))
        return off.expand_as(ws), None

    monkeypatch.setattr(model, "encode", encode)
    images = torch.rand(BATCH, 3, SIZE, SIZE)
    losses = list(warm_up_losses(model, curvature, images, model.start(BATCH).ws, [3, 2, 1, 1]))
    for number, ((pair, ws), count) in enumerate(zip(seen, (4, 2, 1), strict=True)):
        torch.testing.assert_close(ws, (model.start_ws + number * off).expand(count, *CODES))
        torch.testing.assert_close(pair[:, :3], images[:count])
        torch.testing.assert_close(pair[:, 3:], model.generate(ws), rtol=1e-3, atol=1e-4)
        missed = 0.25 * (number + 1) ** 2 * curvature.values[0] * count / BATCH
        torch.testing.assert_close(losses[number], missed, rtol=1e-4, atol=1e-5)


def test_samples_come_with_their_codes(model):
    images, codes = mixed_samples(model, BATCH)
    torch.testing.assert_close(images, model.generate(codes))
    assert codes.shape == (BATCH, *CODES) and codes.std(dim=0).min() > 0


def supervised(tmp_path) -> dict:
    """Settings of a training whose generator takes vectors of portraits."""
    settings = prepare(tmp_path)
    generator = StyleGAN2(StyleGAN2Config(SIZE, WIDTH + 2, 8, (8, 8, 8), mapping_layers=2))
    generator.w_avg.copy_(generator.estimate_w_avg(256))
    config = {"kind": "generator", "generator": vars(generator.config)}
    state = with_prefix(generator.state_dict(), "generator")
    save_folder(tmp_path / "supervised", config, state)
    return settings | {
        "generator": str(tmp_path / "supervised"),
        "data": "portraits",
        "flip": False,
        "warmup_drawings": True,
        "warmup_images": 8,
        "images": 8,
        "validation_images": 2,
    }


@pytest.mark.parametrize("distillation", [0.0, 1.0])
def test_drawings_and_their_codes_belong_together(tmp_path, monkeypatch, distillation):
    settings, drawn, taught = supervised(tmp_path), [], []
    monkeypatch.setattr(
        "restyle.training.encoder_trainer.warm_up_losses",
        lambda model, curvature, *pair: drawn.append(pair[:2]) or [_none(model)],
    )
    learn = EncoderTrainer.train_batch
    monkeypatch.setattr(
        EncoderTrainer,
        "train_batch",
        lambda self, *given: taught.append((given[0], given[-1])) or learn(self, *given),
    )
    train_encoder(encoder_training(**settings, distillation=distillation))
    source, generator = data.open_source("portraits", SIZE), load_generator(settings["generator"])
    for number, (images, codes) in enumerate(drawn + taught):
        indices = data.indices_at(source, range(4 * number, 4 * number + 4))
        torch.testing.assert_close(images, data.load(source, indices))
        if number < 2 or distillation:
            z = vectors_of(source, WIDTH + 2, indices)
            torch.testing.assert_close(codes, generator.broadcast(generator.mapping(z)))
        else:
            assert codes is None
    assert len(drawn) == len(taught) == 2
    losses = {name for line in read_jsonl(settings["out"] / "stats.jsonl") for name in line}
    assert ("distillation" in losses) == bool(distillation)


def _none(model):
    return sum(p.sum() for p in model.encoder.parameters()) * 0


def test_a_training_warms_up_on_drawings(tmp_path):
    settings = supervised(tmp_path)
    train_encoder(encoder_training(**settings))
    names = [set(r) for r in read_jsonl(settings["out"] / "stats.jsonl")]
    assert any("loss_w" in one for one in names) and any("mse_last" in one for one in names)


def test_the_curvature_in_the_generators_folder_is_taken(tmp_path, curvature):
    trainer = trainer_of(supervised(tmp_path))
    tied = ties(trainer.generator, trainer.objective.of_methods(trainer.dtype), (SIZE, SIZE))
    curvature.save(tmp_path / "supervised" / FILE, *tied)
    trainer.find_curvature()
    torch.testing.assert_close(trainer.objective.curvature.values, curvature.values)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flip": True}, "expected data portraits and no flip, got data 'portraits' and flip True"),
        ({"data": "photos"}, "expected data portraits .*, got data 'photos'"),
    ],
)
def test_other_drawings_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=f"warmup_drawings: {message}"):
        encoder_training(**{**supervised(tmp_path), **changes})


def test_a_generator_that_takes_no_vectors_is_refused(tmp_path):
    settings = supervised(tmp_path) | {"generator": str(tmp_path / "generator")}
    with pytest.raises(ValueError, match=f"warmup_drawings: .* of z_dim {WIDTH} or more, got 8"):
        trainer_of(settings)
