"""Encoders are what their configurations say, and their heads what separate blocks would be."""

import json
from dataclasses import asdict, replace

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, leaky_relu

from restyle.encoders import Encoder, EncoderConfig
from restyle.encoders.config import (
    E4E_FACES,
    PORTRAITS,
    PORTRAITS_PLAIN,
    PSP_FACES,
    RESTYLE_CARS,
    RESTYLE_FACES,
)
from restyle.encoders.heads import MapToStyle
from restyle.io.checkpoints import Unfilled
from restyle.runtime.folded_encoder import folded

PRESETS = [RESTYLE_FACES, RESTYLE_CARS, PSP_FACES, E4E_FACES, PORTRAITS, PORTRAITS_PLAIN]


def tiny(**changes):
    settings = {
        "num_ws": 8,
        "w_dim": 4,
        "widths": (16, 16, 32, 32),
        "units": (1, 1, 1),
        "input_size": (32, 24),
        "head_channels": 6,
    }
    return Encoder(EncoderConfig(**settings | changes)).eval()


@pytest.mark.parametrize("config", PRESETS, ids=["faces", "cars", "psp", "e4e", "small", "plain"])
def test_presets_survive_json(config):
    assert EncoderConfig(**json.loads(json.dumps(asdict(config)))) == config
    with torch.device("cpu" if config.reads_attributes else "meta"):  # meta has no autocast
        encoder = Encoder(config)
        codes = encoder(torch.empty(2, config.input_channels, *config.input_size))[0]
    assert codes.shape == (2, config.num_ws, config.w_dim)


def test_a_portrait_encoder_is_so_small_that_the_box_holds_six():
    with torch.device("meta"):
        encoder = Encoder(PORTRAITS)
        trunk = encoder.trunk(torch.empty(1, PORTRAITS.trunk_channels, *PORTRAITS.input_size))
    assert trunk.shape == (1, 96, 8, 8)
    assert sum(p.numel() for p in encoder.parameters()) == pytest.approx(3.0e6, rel=0.02)


@pytest.mark.parametrize("size", [(16, 16), (12, 16), (5, 8)])
def test_heads_equal_separate_blocks(size):
    """Each block: stride-2 convolutions with slope 0.01, then a linear layer scaled by 1/sqrt."""
    heads = MapToStyle(in_channels=5, channels=6, out_channels=3, count=4, depth=4)
    nn.init.normal_(heads.out_bias)
    x = torch.randn(2, 5, *size)
    outputs = []
    for block in range(4):
        part = slice(6 * block, 6 * block + 6)
        y = conv2d(x, heads.first.weight[part], heads.first.bias[part], stride=2, padding=1)
        for weight, bias in zip(heads.weights, heads.biases, strict=True):
            kernel = weight[block].view(3, 3, 6, 6).permute(3, 2, 0, 1)
            y = conv2d(leaky_relu(y, 0.01), kernel, bias[block, 0], stride=2, padding=1)
        y = leaky_relu(y, 0.01).flatten(1)
        outputs.append(y @ heads.out_weight[block] / 6**0.5 + heads.out_bias[block])
    torch.testing.assert_close(heads(x), torch.stack(outputs, dim=1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pyramid", [False, True])
def test_stages_switch_deltas_on_one_by_one(pyramid):
    encoder = tiny(head="e4e", pyramid=pyramid)
    x = torch.randn(2, 6, 32, 24)
    assert encoder.stage == 7
    full = encoder(x)[0]
    for stage in range(8):
        encoder.stage = stage
        codes = encoder(x)[0]
        torch.testing.assert_close(codes[:, : stage + 1], full[:, : stage + 1])
        assert torch.equal(codes[:, stage + 1 :], codes[:, :1].expand(-1, 7 - stage, -1))


def test_deltas_that_are_off_have_gradients_of_zero():
    encoder = tiny(head="e4e").train()
    encoder.stage = 2
    encoder(torch.randn(2, 6, 32, 24))[0].square().sum().backward()
    gradient = encoder.heads[0].out_bias.grad
    assert (gradient[:3].abs().sum(dim=(1, 2)) > 0).all()
    assert not gradient[3:].any()
    assert all(p.grad is not None for p in encoder.parameters())


def test_pyramid_codes_see_what_their_level_sees():
    """The finest map reaches the fine codes only; the coarsest all of them."""
    encoder = tiny(pyramid=True)
    x = torch.randn(1, 6, 32, 24)
    before = encoder(x)[0]
    for lateral, changed in ((1, slice(7, 8)), (0, slice(3, 8))):
        nn.init.normal_(encoder.laterals[lateral].bias)
        moved = (encoder(x)[0] - before).abs().sum(dim=(0, 2)) > 0
        assert moved[changed].all() and not moved[: changed.start].any()


@pytest.mark.parametrize("num_ws", [2, 3, 6, 7, 8])
def test_small_generators_need_fewer_levels(num_ws):
    encoder = tiny(num_ws=num_ws, pyramid=True, head="e4e")
    assert encoder(torch.randn(1, 6, 32, 24))[0].shape == (1, num_ws, 4)


def test_autocast_predicts_float32_codes():
    encoder = tiny().to(memory_format=torch.channels_last)
    x = torch.randn(2, 6, 32, 24).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        codes = encoder(x)[0]
    assert codes.dtype == torch.float32
    torch.testing.assert_close(codes, encoder(x)[0], rtol=0.1, atol=0.1)


@pytest.mark.parametrize("head", ["psp", "e4e"])
@torch.no_grad()
def test_a_siamese_encoder_compares_what_it_reads(head):
    encoder = tiny(siamese=True, head=head)
    encoder.centre.normal_()
    first, second, target = torch.rand(3, 2, 3, 32, 24) * 2 - 1
    average, other = encoder.centre.expand(2, -1, -1), torch.randn(2, 8, 4)

    def read(images):
        return encoder.read(images)

    def predict(current, ws, state=None):
        found = [one(torch.cat([target, current], dim=1), ws, state) for one in (encoder, fast)]
        for mine, theirs in zip(*found, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
        return found[0]

    fast = folded(encoder)
    residual, state = predict(first, average)
    torch.testing.assert_close(residual, read(target))  # from the average to the target's code
    assert state.equal(residual)
    there = average + residual
    torch.testing.assert_close(predict(first, there, state)[0], read(target) - read(first))
    back = encoder.config.pull * (there - other)  # to what was read of the target
    torch.testing.assert_close(predict(second, other, state)[0], read(target) - read(second) + back)
    assert predict(target, there, state)[0].abs().max() < 1e-5  # nothing is left to do
    bright = 3 * target.sign()  # beyond what a picture shows
    torch.testing.assert_close(predict(bright, there, state)[0], read(target) - read(target.sign()))
    # The first step goes to the target's code, wherever it begins.
    torch.testing.assert_close(predict(first, other)[0] + other, encoder.centre + read(target))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_channels": 4}, "expected 3 or 6, got 4"),
        ({"head": "other"}, "expected 'psp' or 'e4e', got 'other'"),
        ({"input_size": (32, 20)}, r"expected multiples of 8 \(3 halvings\), got \(32, 20\)"),
        ({"units": (1, 1)}, "expected 3 widths"),
        ({"backbone": "vgg"}, "expected a family of .* got 'vgg'"),
        ({"units": (1,), "widths": (16, 16), "pyramid": True}, "expected at least 3 stages"),
        ({"siamese": True, "pyramid": True}, "siamese: expected 6 channels and no pyramid"),
        ({"siamese": True, "input_channels": 3}, "siamese: expected 6 channels and no pyramid"),
        ({"backbone": "features"}, "backbone: 'features' expects square images"),
    ],
)
def test_impossible_configurations_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny(**changes)


def test_a_file_that_claims_a_huge_image_takes_no_memory(monkeypatch):
    monkeypatch.setattr("restyle.portraits.reading.Pointer", lambda config: 1 / 0)
    huge = replace(PORTRAITS, input_size=(2**16, 2**16))
    with Unfilled(3_000_000), pytest.raises(RuntimeError, match="many times more than"):
        Encoder(huge)


@pytest.mark.parametrize("shape", [(1, 3, 32, 24), (1, 6, 24, 32), (6, 32, 24)])
def test_other_images_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected images of \(channels, h, w\)"):
        tiny()(torch.zeros(shape))
