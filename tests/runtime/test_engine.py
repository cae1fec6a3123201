"""Networks run folded where they can: the same numbers, whatever the shape of the networks."""

import pytest
import torch
from torch import nn

from restyle.domains import Domain
from restyle.encoders import Encoder, EncoderConfig
from restyle.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from restyle.model import ReStyle
from restyle.runtime import folded_synthesis as folded_generator
from restyle.runtime.engine import Inference
from restyle.runtime.folded_encoder import _InChunks, folded
from restyle.runtime.folded_synthesis import FoldedSynthesis
from tests.tiny import SIZE, tiny_encoder, tiny_generator, tiny_model

CLOSE = {"atol": 2e-5, "rtol": 1e-5}


def random_generator(size: int, channels: tuple[int, ...], **options) -> StyleGAN2:
    """A generator in which nothing that folding could forget is zero or one."""
    torch.manual_seed(0)
    generator = StyleGAN2(StyleGAN2Config(size, 8, 10, channels, 1, **options))
    for layer in (*generator.synthesis.layers, *generator.synthesis.to_rgbs):
        nn.init.normal_(layer.bias)
        nn.init.normal_(layer.style.bias, mean=1.0)
    for layer in generator.synthesis.layers:
        nn.init.normal_(layer.noise_strength)
    return generator.eval().requires_grad_(False)


def random_encoder(**options) -> Encoder:
    torch.manual_seed(0)
    encoder = Encoder(EncoderConfig(8, 8, head_channels=8, **options))
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return encoder.eval().requires_grad_(False).to(memory_format=torch.channels_last)


@pytest.mark.parametrize("band", [4, 8, 32])
@pytest.mark.parametrize("options", [{}, {"clamp": 0.5}], ids=["", "clamped"])
def test_a_folded_generator_renders_the_same(monkeypatch, band, options):
    """Whether a level takes one band or many, at their borders and at those of the image."""
    monkeypatch.setattr(folded_generator, "BAND", band)
    generator = random_generator(64, (8, 12, 8, 16, 6), **options)
    ws = torch.randn(2, generator.num_ws, 10)
    expected = generator.synthesis(ws)
    got = FoldedSynthesis(generator.synthesis)(ws)
    torch.testing.assert_close(got, expected, **CLOSE)
    assert got.is_contiguous()
    if options:
        assert (expected.abs() > 0.5).any(), "the limit must matter for this to be a test"


@pytest.mark.parametrize("resolution", [4, 8, 32])
def test_a_folded_generator_stops_early(resolution):
    generator = random_generator(32, (8, 12, 8, 6))
    ws = torch.randn(2, generator.num_ws, 10)
    expected = generator.synthesis(ws, resolution=resolution)
    got = FoldedSynthesis(generator.synthesis)(ws, resolution)
    assert got.shape[-1] == resolution
    torch.testing.assert_close(got, expected, **CLOSE)


def test_a_folded_generator_fades_its_last_resolution():
    generator = random_generator(16, (8, 8, 8))
    generator.synthesis.fade = 0.25
    ws = torch.randn(1, generator.num_ws, 10)
    expected = generator.synthesis(ws)
    torch.testing.assert_close(FoldedSynthesis(generator.synthesis)(ws), expected, **CLOSE)


ENCODERS = {
    "ir_se": {"widths": (16, 16, 24), "units": (2, 1), "input_size": (32, 32)},
    "ir_se_strided": {
        "backbone": "ir_se_strided",
        "widths": (16, 16, 24),
        "units": (1, 2),
        "input_size": (32, 32),
    },
    "resnet": {
        "backbone": "resnet",
        "widths": (8, 8, 12),
        "units": (2, 2),
        "input_size": (24, 32),
    },
    "pyramid": {
        "widths": (16, 16, 24, 32),
        "units": (1, 2, 1),
        "input_size": (32, 32),
        "input_channels": 3,
        "head": "e4e",
        "pyramid": True,
    },
    "features": {
        "backbone": "features",
        "widths": (4, 8, 8, 12, 12),
        "units": (1, 1, 1, 1),
        "input_size": (32, 32),
        "siamese": True,
    },
}


@pytest.mark.parametrize("options", ENCODERS.values(), ids=ENCODERS.keys())
def test_a_folded_encoder_predicts_the_same(options):
    encoder = random_encoder(**options)
    x = torch.randn(3, encoder.config.input_channels, *encoder.config.input_size)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    twin = folded(encoder)
    torch.testing.assert_close(twin(x)[0], encoder(x)[0], **CLOSE)
    norms = [m for m in twin.trunk.modules() if isinstance(m, nn.BatchNorm2d)]
    units = sum(encoder.config.units) if encoder.config.backbone.startswith("ir_se") else 0
    assert len(norms) == units, "of all norms, only those before a convolution stay"
    after = encoder.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_what_reads_attributes_finds_places_in_float32():
    encoder = random_encoder(**ENCODERS["features"])
    grid, low = encoder.attributes.pointer.grid, folded(encoder, torch.bfloat16)
    assert low.attributes.pointer.grid.equal(grid) and grid.dtype == torch.float32
    assert low.trunk.stages[1].layers[0][0][0].weight.dtype == torch.bfloat16
    x = torch.rand(3, 6, 32, 32) * 2 - 1
    found, expected = low(x.bfloat16())[0], encoder(x)[0]
    assert found.dtype == torch.float32
    assert (found - expected).square().mean() < 0.01 * expected.square().mean()


def test_a_folded_encoder_shares_the_heads_weights():
    encoder = random_encoder(**ENCODERS["ir_se"])
    mine, theirs = encoder.heads[0], folded(encoder).heads[0]
    assert mine.first.weight.data_ptr() == theirs.first.weight.data_ptr()
    assert mine.out_weight.data_ptr() == theirs.out_weight.data_ptr()
    low = folded(encoder, torch.bfloat16)
    assert low.heads[0].out_weight.dtype == torch.bfloat16
    assert mine.out_weight.dtype == torch.float32


def test_chunks_bound_how_many_images_are_seen_at_once(monkeypatch):
    monkeypatch.setattr("restyle.runtime.folded_encoder.CHUNK", 2 * 8 * 4 * 4)
    seen = []
    layer = nn.Conv2d(3, 8, 1)
    layer.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    x = torch.randn(5, 3, 4, 4)
    torch.testing.assert_close(_InChunks(layer, channels=8)(x), layer(x), **CLOSE)
    assert seen[:3] == [2, 2, 1]


def networks() -> Inference:
    generator = tiny_generator().eval().requires_grad_(False)
    return Inference(generator, tiny_encoder().eval().requires_grad_(False))


@torch.no_grad()
def test_both_networks_run_folded_and_equal():
    run = networks()
    ws, x = torch.randn(3, 6, 8), torch.randn(3, 6, SIZE, SIZE)
    torch.testing.assert_close(run.render(ws), run.generator.synthesis(ws), **CLOSE)
    torch.testing.assert_close(run.encode(x)[0], run.encoder(x)[0], **CLOSE)
    assert set(run._made) == {type(run.generator.synthesis), Encoder}


def test_changed_weights_are_seen():
    run = networks()
    ws, x = torch.randn(1, 6, 8), torch.randn(1, 6, SIZE, SIZE)
    image, codes = run.render(ws), run.encode(x)[0]
    run.generator.synthesis.layers[2].weight.mul_(-1)
    run.encoder.trunk.stem[1].running_mean.add_(1)
    assert not torch.allclose(run.render(ws), image, atol=0.01)
    torch.testing.assert_close(run.render(ws), run.generator.synthesis(ws), **CLOSE)
    assert not torch.allclose(run.encode(x)[0], codes, atol=1e-5)
    torch.testing.assert_close(run.encode(x)[0], run.encoder(x)[0], **CLOSE)


def test_folded_networks_are_made_once():
    run = networks()
    ws = torch.randn(1, 6, 8)
    run.render(ws)
    made = dict(run._made)
    run.render(ws)
    assert run._made == made
    run.dtype = torch.bfloat16
    run.render(ws)
    assert run._made != made


def test_compiled_networks_do_not_replace_folded_ones(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda network: lambda *inputs: network(*inputs))
    run = networks()
    ws = torch.randn(1, 6, 8)
    image = run.render(ws)
    for run.compiled in (True, False):
        torch.testing.assert_close(run.render(ws), image, **CLOSE)
        made = run._made[type(run.generator.synthesis)][1]
        assert isinstance(made, FoldedSynthesis) is not run.compiled


def test_gradients_flow_where_they_are_asked_for():
    run = networks()
    ws = torch.randn(1, 6, 8, requires_grad=True)
    x = torch.randn(1, 6, SIZE, SIZE, requires_grad=True)
    (run.render(ws).sum() + run.encode(x)[0].sum()).backward()
    assert ws.grad is not None and ws.grad.abs().sum() > 0
    assert x.grad is not None and x.grad.abs().sum() > 0
    assert not run.render(ws.detach()).requires_grad


def test_lower_precision_is_near():
    run = networks()
    ws, x = torch.randn(2, 6, 8), torch.randn(2, 6, SIZE, SIZE)
    image, codes = run.render(ws), run.encode(x)[0]
    run.dtype = torch.bfloat16
    low_image, low_codes = run.render(ws), run.encode(x)[0]
    assert low_image.dtype == low_codes.dtype == torch.float32
    for low, exact in ((low_image, image), (low_codes, codes)):
        assert not torch.equal(low, exact)
        assert (low - exact).abs().mean() < 0.03 * exact.std()


def test_results_are_not_copied():
    model = tiny_model()
    result = model.invert(torch.rand(3, 3, SIZE, SIZE), steps=1)
    start = result.steps[0].image
    assert start.data_ptr() == model.average.image.data_ptr()
    assert start.stride(0) == 0


@torch.no_grad()
def test_previews_are_small_and_the_last_step_is_full():
    generator = random_generator(32, (8, 8, 8, 8))
    encoder = Encoder(
        EncoderConfig(8, 10, widths=(16, 16), units=(1,), input_size=(16, 16), head_channels=8)
    )
    model = ReStyle(generator, encoder, Domain("tiny", (16, 16)), "tiny")
    targets = torch.rand(2, 3, 16, 16) * 2 - 1
    result = model.invert(targets, steps=3, preview=16)
    assert [step.image.shape[-1] for step in result.steps] == [32, 16, 16, 32]
    for step in result.steps[1:3]:
        torch.testing.assert_close(step.image, model.generate(step.ws, 16), **CLOSE)
    torch.testing.assert_close(result.image, model.generate(result.ws), **CLOSE)
    exact = model.invert(targets, steps=3)
    assert not torch.equal(result.ws, exact.ws)
    full = model.invert(targets, steps=3, preview=32)
    torch.testing.assert_close(full.ws, exact.ws, atol=0, rtol=0)
    for wrong in (8, 24, 64):
        with pytest.raises(ValueError, match=f"power of two from 16 to 32, got {wrong}"):
            model.invert(targets, steps=3, preview=wrong)
    with pytest.raises(ValueError, match="got 'auto'"):
        model.invert(targets, steps="auto", preview=16)


def test_a_network_in_training_is_run_as_it_is():
    """Fused optimisers change weights without a trace that a folded form could be renewed by."""
    encoder = tiny_encoder().eval().requires_grad_(True)
    inference = Inference(tiny_generator(), encoder)
    optimiser = torch.optim.Adam(encoder.parameters(), lr=0.1, fused=True)
    pair = torch.randn(2, 6, *encoder.config.input_size)
    for _ in range(2):
        inference.encode(pair)[0].square().mean().backward()
        optimiser.step()
        with torch.no_grad():
            torch.testing.assert_close(inference.encode(pair)[0], encoder(pair)[0])


def test_a_feature_map_and_the_picture_come_in_one_pass():
    generator = random_generator(32, (8, 8, 8, 8))
    inference, ws = Inference(generator, None), generator.sample_ws(1)
    for resolution in (4, 16, 32):
        features, image = inference.features_and_image(ws, resolution)
        assert torch.equal(features, inference.features(ws, resolution))
        assert torch.allclose(image, inference.render(ws), **CLOSE)
