"""StyleGAN2: shapes, noise, truncation; the shared convolution equals one kernel a sample."""

import math

import pytest
import torch
import torch.nn.functional as F

from restyle.discriminators.stylegan2 import Discriminator, DiscriminatorConfig, minibatch_deviation
from restyle.generators.stylegan2 import StyledLayer, StyleGAN2, StyleGAN2Config
from restyle.nn.layers import downsample, upsample


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    network = StyleGAN2(StyleGAN2Config(32, 8, 10, (12, 12, 8, 8), 2))
    for layer in network.synthesis.layers:
        torch.nn.init.constant_(layer.noise_strength, 0.1)
    network.w_avg.copy_(network.estimate_w_avg(100))
    return network.eval().requires_grad_(False)


@pytest.fixture
def ws(generator):
    z = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    return generator.broadcast(generator.mapping(z))


def test_a_styled_layer_equals_modulated_weights_for_each_sample():
    torch.manual_seed(0)
    layer = StyledLayer(5, 7, 4, resolution=6, up=False)
    torch.nn.init.constant_(layer.noise_strength, 0.3)
    torch.nn.init.normal_(layer.bias)
    x, w = torch.randn(2, 5, 6, 6), torch.randn(2, 4)
    styles = layer.style(w)
    got = layer(x, styles, "fixed")
    for sample in range(2):
        weight = layer.weight / math.sqrt(5 * 9) * styles[sample][None, :, None, None]
        weight = weight / (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        plain = F.conv2d(x[sample : sample + 1], weight, padding=1)
        plain = plain + 0.3 * layer.noise + layer.bias[None, :, None, None]
        expected = F.leaky_relu(plain, 0.2) * math.sqrt(2)
        torch.testing.assert_close(got[sample : sample + 1], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [16, 64, 1024])
def test_official_shapes(size):
    config = StyleGAN2Config(size)
    assert config.num_ws == 2 * int(math.log2(size)) - 2
    assert config.channels[0] == 512
    assert config.channels[-1] == min(512, 32768 // size)


def test_what_is_no_size_is_refused():
    with pytest.raises(ValueError, match="power of two from 16 to 1024, got 48"):
        StyleGAN2Config(48)
    with pytest.raises(ValueError, match="expected 3 widths"):
        StyleGAN2Config(16, channels=(8, 8))


def test_fixed_noise_repeats_and_fresh_noise_does_not(generator, ws):
    torch.testing.assert_close(generator.synthesis(ws), generator.synthesis(ws))
    assert not torch.equal(generator.synthesis(ws, "fresh"), generator.synthesis(ws, "fresh"))
    assert not torch.equal(generator.synthesis(ws, "none"), generator.synthesis(ws))


def test_rows_steer_their_own_layers(generator, ws):
    """The last two rows belong to the last resolution: the picture at half the size is unmoved."""
    changed = ws.clone()
    changed[:, -2:] += 1
    before = generator.synthesis(ws, resolution=16)
    torch.testing.assert_close(generator.synthesis(changed, resolution=16), before)
    assert not torch.allclose(generator.synthesis(changed), generator.synthesis(ws))


def test_stopping_early_gives_smaller_pictures(generator, ws):
    assert generator.synthesis(ws, resolution=16).shape == (3, 3, 16, 16)
    assert generator.synthesis(ws).shape == (3, 3, 32, 32)


def test_results_do_not_depend_on_the_batch(generator, ws):
    together = generator.synthesis(ws)
    alone = torch.cat([generator.synthesis(row[None]) for row in ws])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_truncation_goes_to_the_average(generator, ws):
    torch.testing.assert_close(generator.truncate(ws, 1.0), ws)
    average = generator.broadcast(generator.w_avg[None]).expand_as(ws)
    torch.testing.assert_close(generator.truncate(ws, 0.0), average)
    cut = generator.truncate(ws, 0.0, cutoff=2)
    torch.testing.assert_close(cut[:, 2:], ws[:, 2:])
    torch.testing.assert_close(cut[:, :2], average[:, :2])


def test_codes_for_other_layers_are_refused(generator):
    with pytest.raises(ValueError, match=r"expected \(B, 8, w_dim\)"):
        generator.synthesis(torch.zeros(1, 6, 10))


def test_labels_choose_what_is_drawn():
    torch.manual_seed(0)
    network = StyleGAN2(StyleGAN2Config(16, 8, 8, (4, 4, 4), 2, label_dim=3))
    z = torch.randn(2, 8)
    first, second = (network.mapping(z, F.one_hot(torch.tensor([k, k]), 3).float()) for k in (0, 1))
    assert not torch.allclose(first, second)
    with pytest.raises(ValueError, match="one-hot"):
        network.mapping(z)


def test_golden_image(generator, ws):
    """Values that this code gave when it matched the reference's; they must not drift."""
    image = generator.synthesis(ws)
    summary = torch.stack([image.mean(), image.std(), image[0, 0, 3, 5], image[2, 1, 30, 17]])
    torch.testing.assert_close(summary, GOLDEN, atol=1e-5, rtol=1e-4)


def test_resampling_keeps_constants_inside():
    x = torch.ones(1, 2, 8, 8)
    torch.testing.assert_close(upsample(x)[..., 2:-2, 2:-2], torch.ones(1, 2, 12, 12))
    torch.testing.assert_close(downsample(x)[..., 1:-1, 1:-1], torch.ones(1, 2, 2, 2))


def test_the_discriminator_scores_each_image_and_fades_its_finest_block():
    torch.manual_seed(0)
    network = Discriminator(DiscriminatorConfig(32, (8, 8, 8, 6)))
    images = torch.randn(4, 3, 32, 32)
    whole = network(images)
    assert whole.shape == (4,)
    network.fade = 0.0
    assert not torch.allclose(network(images), whole)


def test_minibatch_deviation_is_zero_for_equal_images():
    same = torch.randn(1, 4, 3, 3).expand(4, -1, -1, -1)
    assert minibatch_deviation(same, 4).max() < 1e-3
    assert minibatch_deviation(torch.randn(4, 4, 3, 3), 4).min() > 0.1


GOLDEN = torch.tensor([0.292257, 1.36731, -0.37064, 0.806658])


def test_a_discriminator_may_see_detail_amplified():
    network = Discriminator(DiscriminatorConfig(32, (8, 8, 8, 6), detail=16.0))
    with torch.no_grad():
        flat = torch.zeros(2, 3, 32, 32)
        fine = flat + 0.05 * (-1.0) ** torch.arange(32)
        seen = network._with_detail(fine)
        network.from_rgb.weight[:, :3] = 0
        assert seen.shape == (2, 6, 32, 32)
        assert seen[:, 3:].abs().mean() == pytest.approx(16 * 0.05 * 2 / 3 * 2, rel=0.1)
        torch.testing.assert_close(network(flat), network(flat + 0.5))  # no detail, nothing seen
        assert (network(fine) - network(flat)).abs().max() > 1e-3


@pytest.mark.parametrize("resolution", [4, 8, 32])
def test_a_feature_map_is_what_the_first_layers_make(generator, ws, resolution):
    seen = []
    layers = generator.synthesis.layers
    hooks = [layer.register_forward_hook(lambda *args: seen.append(args[2])) for layer in layers]
    generator.synthesis(ws)
    for hook in hooks:
        hook.remove()
    last = [x for x in seen if x.shape[-1] == resolution][-1]
    assert torch.equal(generator.synthesis.features(ws, resolution), last)


@pytest.mark.parametrize("resolution", [0, 2, 12, 64])
def test_a_map_that_there_is_not_is_refused(generator, ws, resolution):
    with pytest.raises(ValueError, match=f"power of two up to the size, got {resolution}"):
        generator.synthesis.features(ws, resolution)
