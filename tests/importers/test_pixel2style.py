"""Official models open, whatever their small print, and are refused when anything differs."""

import argparse
import json

import numpy as np
import pytest
import torch

from restyle import importers
from restyle.domains import CARS, CHURCHES, FACES
from restyle.generators.stylegan2 import StyleGAN2
from restyle.importers.pixel2style import read_model
from restyle.io.checkpoints import CheckpointError
from restyle.model import ReStyle

from . import golden, official


@pytest.fixture
def save(tmp_path):
    def saved(content, legacy=False):
        path = tmp_path / "model.pt"
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
        return path

    return saved


@pytest.mark.parametrize("name", golden.CHECKPOINTS)
def test_golden_values(name, tmp_path):
    expected = json.loads(golden.VALUES.read_text(encoding="utf-8"))[name]
    np.testing.assert_allclose(golden.compute(name, tmp_path), expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("legacy", [False, True])
def test_options_of_a_training_script_are_read_in_both_formats(save, legacy):
    content = official.restyle_model(learning_rate=np.float64(1e-4), steps=np.int64(5))
    content["opts"] = argparse.Namespace(**content["opts"])
    content |= {"global_step": 7, "best_val_loss": np.float32(0.5)}
    model = importers.read(save(content, legacy))
    assert isinstance(model, ReStyle)
    assert model.domain == FACES
    assert model.encoder.config.units == (1, 2, 1, 1)
    assert torch.equal(model.start_ws, content["latent_avg"])


@pytest.mark.parametrize("shape", [(official.W_DIM,), (1, official.W_DIM)])
def test_one_average_serves_all_layers(save, shape):
    content = official.restyle_model()
    content["latent_avg"] = content["latent_avg"][0].reshape(shape)
    model = importers.read(save(content))
    assert torch.equal(model.start_ws, content["latent_avg"].expand(official.CODES, -1))
    assert torch.equal(model.generator.w_avg, content["latent_avg"].flatten())


def test_a_missing_average_is_estimated_and_said_so(save):
    content = official.restyle_model()
    del content["latent_avg"]
    with pytest.warns(UserWarning, match="no average latent code"):
        model = importers.read(save(content))
    expected = model.generator.estimate_w_avg(samples=10_000, seed=0)
    assert torch.equal(model.start_ws, expected.expand(official.CODES, -1))
    assert "estimated" in model.card["w_avg"]


def test_a_single_shot_model_may_predict_whole_codes(save):
    weights, kind = golden.CHECKPOINTS["psp"]()
    relative = importers.read(save(official.model(weights, kind)))
    absolute = importers.read(save(official.model(weights, kind, start_from_latent_avg=False)))
    x = golden.target()
    moved = relative.invert(x).ws - relative.start_ws
    torch.testing.assert_close(absolute.invert(x).ws, moved, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("dataset", "domain"), [("cars_encode", CARS), ("church_encode", CHURCHES)]
)
def test_the_data_set_decides_the_domain(save, dataset, domain):
    model = importers.read(save(official.restyle_model(dataset_type=dataset)))
    assert model.domain == domain
    assert model.encoder.config.input_size == domain.input_size


@pytest.mark.parametrize("dataset", ["ffhq_encode", "ffhq_frontalize", "toonify"])
def test_models_that_translate_are_marked(save, dataset):
    card = importers.read(save(official.restyle_model(dataset_type=dataset))).card
    assert bool(card.get("translates")) == (dataset != "ffhq_encode")


def test_an_unknown_data_set_is_a_domain_of_its_own(save):
    model = importers.read(save(official.restyle_model(dataset_type="cats_encode")))
    assert model.domain.name == "cats_encode"
    assert model.domain.input_size == FACES.input_size


def test_a_generator_alone(save):
    average = torch.ones(official.W_DIM)
    path = save({"g_ema": official.generator(), "latent_avg": average, "g": {}, "args": None})
    generator = importers.read(path)
    assert isinstance(generator, StyleGAN2)
    assert generator.config.channels == (16, 16, 16)
    assert torch.equal(generator.w_avg, average)


def remove(content, key):
    del content["state_dict"][key]


def add(content, key):
    content["state_dict"][key] = torch.zeros(1)


def spoil(content, key):
    content["state_dict"][key] = content["state_dict"][key] * float("nan")


def cut(content, key):
    content["state_dict"][key] = content["state_dict"][key][..., :-1]


@pytest.mark.parametrize("change", [remove, spoil, cut])
@pytest.mark.parametrize(
    ("key", "ours"),
    [
        ("encoder.body.1.res_layer.3.weight", "trunk.stages.1.0.conv2.weight"),
        ("encoder.styles.2.linear.bias", "heads.0.out_bias"),
        ("decoder.convs.1.conv.modulation.bias", "synthesis.layers.2.style.bias"),
        ("decoder.noises.noise_3", "synthesis.layers.3.noise"),
        ("decoder.style.2.weight", "mapping.layers.1.weight"),
    ],
)
def test_damaged_weights_are_named(save, change, key, ours):
    content = official.restyle_model()
    change(content, key)
    with pytest.raises(CheckpointError) as error:
        importers.read(save(content))
    text = str(error.value)
    assert "model.pt" in text
    assert key.split(".", 1)[1] in text or ours in text


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("value", [torch.zeros(()), torch.zeros(0), torch.zeros(2, 1, 2, 1, 2)])
def test_no_shape_makes_a_reader_stumble(value):
    content = official.restyle_model()
    weights = content["state_dict"]
    # A scalar is as good as the one value of a noise strength, and as a count of batches.
    single = ("noise.weight", "num_batches_tracked") if value.ndim == 0 else ()
    for key in [key for key in weights if not key.endswith(single)]:
        with pytest.raises(CheckpointError, match=r"model\.pt"):
            read_model(content | {"state_dict": weights | {key: value}}, "model.pt")
            print(f"{key} was not missed")


@pytest.mark.parametrize("key", ["encoder.body.1.extra", "decoder.extra", "extra"])
def test_surplus_weights_are_named(save, key):
    content = official.restyle_model()
    add(content, key)
    with pytest.raises(CheckpointError, match="unexpected: .*extra"):
        importers.read(save(content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strange": 1}, "unexpected: strange"),
        ({"opts": None}, "expected opts, got NoneType"),
        ({"opts": {"encoder_type": "Mystery"}}, "encoder_type of BackboneEncoder.*got Mystery"),
        ({"latent_avg": torch.zeros(5, 16)}, r"latent_avg of one of .*\(5, 16\)"),
        ({"latent_avg": torch.full((16,), torch.nan)}, "finite latent_avg"),
        ({"state_dict": {"encoder.x": 3}}, "by name, got others: encoder.x"),
    ],
)
def test_other_contents_are_refused(save, change, message):
    with pytest.raises(CheckpointError, match=message):
        importers.read(save(official.restyle_model() | change))


def test_swapped_encoder_and_decoder_are_refused(save):
    content = official.restyle_model()
    swap = {"encoder": "decoder", "decoder": "encoder"}
    content["state_dict"] = {
        f"{swap[name.split('.')[0]]}.{name.split('.', 1)[1]}": tensor
        for name, tensor in content["state_dict"].items()
    }
    with pytest.raises(CheckpointError, match=r"model\.pt"):
        importers.read(save(content))


def test_an_encoder_for_another_size_is_refused(save):
    content = official.model(
        official.encoder(official.ir_se((1, 2, 1, 1)), codes=official.CODES + 2), "BackboneEncoder"
    )
    with pytest.raises(CheckpointError, match=r"expected an encoder of \(6, 16\)"):
        importers.read(save(content))


def test_another_filter_is_refused(save):
    weights = official.generator()
    weights["to_rgbs.0.upsample.kernel"] = official.FIR
    with pytest.raises(CheckpointError, match="to_rgbs.0.upsample.kernel to be the filter"):
        importers.read(save({"g_ema": weights}))
