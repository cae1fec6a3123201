"""Style space: the table of its layers, and that styles render what codes render."""

import pytest
import torch

from restyle.generators.styles import affine, channel_name, style_layers
from restyle.runtime.engine import Inference
from tests.tiny import CODES, tiny_generator, tiny_model

CHANNELS = 8 * 8


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def test_the_table_covers_every_channel_once_and_marks_colours(model):
    layers = model.style_layers
    assert [layer.start for layer in layers] == [0, *(layer.stop for layer in layers[:-1])]
    names = ["4.conv1", "4.rgb", "8.conv0", "8.conv1", "8.rgb", "16.conv0", "16.conv1", "16.rgb"]
    assert [layer.name for layer in layers] == names
    assert [layer.name for layer in layers if layer.rgb] == ["4.rgb", "8.rgb", "16.rgb"]
    assert [layer.row for layer in layers] == [0, 1, 1, 2, 3, 3, 4, 5]
    assert layers[-1].stop == CHANNELS
    assert channel_name(layers, 17) == "8.conv0/1"


@pytest.mark.parametrize("differentiable", [False, True])
@pytest.mark.parametrize("resolution", [None, 8])
def test_styles_render_what_codes_render(model, differentiable, resolution):
    ws = model.generator.broadcast(model.generator.sample_w(3)).clone()
    ws[:, 2:] += torch.randn(3, CODES[0] - 2, CODES[1])  # no two rows alike
    ws.requires_grad_(differentiable)
    styles = model.styles(ws)
    assert styles.shape == (3, CHANNELS)
    found, expected = model.generate(styles=styles, resolution=resolution), None
    expected = model.generate(ws, resolution)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    if differentiable:
        gradients = [torch.autograd.grad(x.square().sum(), ws)[0] for x in (found, expected)]
        torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)


def test_the_folded_form_takes_styles_that_no_code_has(model):
    styles = model.styles(model.sample(2).ws)
    styles = styles + torch.randn_like(styles)
    folded = model.generate(styles=styles)
    plain = model.generate(styles=styles.clone().requires_grad_(True))
    torch.testing.assert_close(folded, plain.detach(), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(folded, model.sample(2).image, atol=1e-2)


def test_each_layer_reads_its_own_styles():
    generator = tiny_generator()
    layers, engine = style_layers(generator.synthesis), Inference(generator, None)
    styles = engine.styles(generator.sample_ws(1))
    before = engine.render_styles(styles)
    for layer in layers:
        moved = styles.clone()
        moved[:, layer.start : layer.stop] *= 2
        after = engine.render_styles(moved)
        # Demodulation takes a common factor out again; colours have none.
        assert torch.allclose(after, before, atol=1e-5) != layer.rgb, layer.name


def test_styles_are_affine_in_the_code():
    generator = tiny_generator()
    matrix, bias = affine(generator.synthesis)
    w = generator.sample_w(4)
    expected = torch.cat(generator.synthesis.styles(generator.broadcast(w)), dim=1)
    torch.testing.assert_close(w @ matrix.T + bias, expected)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "expected ws or styles, got neither"),
        ({"ws": torch.zeros(1, *CODES), "styles": torch.zeros(1, CHANNELS)}, "got both"),
        ({"styles": torch.zeros(1, CHANNELS + 1)}, rf"\(B, {CHANNELS}\), got \(1, {CHANNELS + 1}"),
        ({"styles": torch.zeros(CHANNELS)}, r"expected styles"),
        ({"styles": torch.zeros(1, CHANNELS, dtype=torch.int64)}, "of floats, got torch.int64"),
        ({"styles": torch.full((1, CHANNELS), float("nan"))}, "got nan"),
    ],
)
def test_what_are_no_styles_is_refused(model, given, complaint):
    with pytest.raises(ValueError, match=complaint):
        model.generate(**given)
