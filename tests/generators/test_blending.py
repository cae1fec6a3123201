"""Layer swapping takes each layer from the right generator."""

import pytest
import torch

from restyle.generators.blending import swap_layers
from restyle.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from tests.tiny import tiny_generator


def test_coarse_layers_come_from_one_and_fine_ones_from_the_other():
    coarse, fine = tiny_generator(1), tiny_generator(2)
    ws = torch.randn(2, 6, 8)
    blended = swap_layers(coarse, fine, 8)
    # Up to 8 pixels everything is the coarse one's; what comes behind is the fine one's.
    torch.testing.assert_close(
        blended.synthesis(ws, resolution=8), coarse.synthesis(ws, resolution=8)
    )
    image = blended.synthesis(ws)
    assert not torch.allclose(image, coarse.synthesis(ws), atol=1e-3)
    assert not torch.allclose(image, fine.synthesis(ws), atol=1e-3)
    assert torch.equal(blended.synthesis.to_rgbs[-1].weight, fine.synthesis.to_rgbs[-1].weight)
    assert torch.equal(blended.w_avg, coarse.w_avg)
    torch.testing.assert_close(swap_layers(coarse, fine, 16).synthesis(ws), coarse.synthesis(ws))
    torch.testing.assert_close(swap_layers(fine, fine, 4).synthesis(ws), fine.synthesis(ws))


def test_strangers_are_refused():
    other = StyleGAN2(StyleGAN2Config(16, 8, 8, (8, 8, 4), mapping_layers=2))
    with pytest.raises(ValueError, match="fine: expected a generator of the shape"):
        swap_layers(tiny_generator(), other, 8)
    with pytest.raises(ValueError, match=r"expected one of \[4, 8, 16\], got 32"):
        swap_layers(tiny_generator(), tiny_generator(), 32)
