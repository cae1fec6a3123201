"""Layer swapping: one generator made of the layers of two that are related."""

import copy

import torch
from torch import nn

from restyle.generators.stylegan2 import StyleGAN2


@torch.no_grad()
def swap_layers(coarse: StyleGAN2, fine: StyleGAN2, resolution: int) -> StyleGAN2:
    """Take the coarse layers of one generator and the fine layers of another.

    Coarse layers decide on shapes, fine ones on textures. Two generators fit together if one was
    fine-tuned from the other. Source: Pinkney and Adler, "Resolution Dependent GAN Interpolation
    for Controllable Image Synthesis Between Domains" (2020), which calls it Toonify.

    Args:
        coarse: Gives the mapping network, the average code, and the layers up to `resolution`.
        fine: Gives the layers behind.
        resolution: Height and width in pixels of the last layers of `coarse`: 4, 8, ...

    Returns:
        A generator of its own, on the device of `fine`.

    Raises:
        ValueError: The generators have other shapes, or no layer of that resolution.
    """
    if coarse.config != fine.config:
        raise ValueError(
            f"fine: expected a generator of the shape {coarse.config}, got {fine.config}"
        )
    resolutions = [4 * 2**level for level in range(len(coarse.config.channels))]
    if resolution not in resolutions:
        raise ValueError(f"resolution: expected one of {resolutions}, got {resolution}")
    blended = copy.deepcopy(fine)
    levels = resolutions.index(resolution) + 1
    pairs: list[tuple[nn.Module, nn.Module]] = [(blended.mapping, coarse.mapping)]
    pairs += zip(blended.synthesis.layers, coarse.synthesis.layers[: 2 * levels - 1], strict=False)
    pairs += zip(blended.synthesis.to_rgbs, coarse.synthesis.to_rgbs[:levels], strict=False)
    for mine, theirs in pairs:
        mine.load_state_dict(theirs.state_dict())
    blended.synthesis.input.copy_(coarse.synthesis.input)
    blended.w_avg.copy_(coarse.w_avg)
    return blended
