"""StyleGAN2 generators in the naming of rosinality/stylegan2-pytorch, which pSp and ReStyle use."""

import re
import warnings
from collections.abc import Mapping

import torch
from torch import Tensor

from restyle.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from restyle.importers.keys import Weights, build, is_plain
from restyle.io.checkpoints import CheckpointError, listed, with_prefix

# What the rest of a training checkpoint holds; only the averaged generator is read.
OTHER_ENTRIES = {"g", "d", "g_optim", "d_optim", "args", "ada_aug_p"}
MODULATED = {
    "conv.weight": "weight",
    "conv.modulation.weight": "style.weight",
    "conv.modulation.bias": "style.bias",
}
LAYER = {**MODULATED, "noise.weight": "noise_strength", "activate.bias": "bias"}
TO_RGB = {**MODULATED, "bias": "bias"}
FILTER = torch.tensor([1.0, 3.0, 3.0, 1.0]).outer(torch.tensor([1.0, 3.0, 3.0, 1.0])) / 64


def read_generator(content: Mapping[str, object], source: str) -> StyleGAN2:
    """Read the generator of a file `{"g_ema": weights, "latent_avg": average}`.

    Without an average code (training checkpoints have none) it is estimated, from a fixed seed,
    with a warning. Messages name `source`, the file.
    """
    unknown = set(content) - OTHER_ENTRIES - {"g_ema", "latent_avg"}
    if unknown:
        raise CheckpointError(f"{source}: expected a generator, got unexpected: {listed(unknown)}")
    generator = take_generator(Weights(content["g_ema"], source))
    return with_average(generator, content.get("latent_avg"), source)


def take_generator(weights: Weights) -> StyleGAN2:
    """Take a generator, whose average code stays zero."""
    layers = ["conv1", *_numbered(weights, "convs")]
    to_rgbs = ["to_rgb1", *_numbered(weights, "to_rgbs")]
    depth = len(_numbered(weights, "style"))
    channels = tuple(weights.shape(f"{name}.conv.weight", 5)[2] for name in to_rgbs)
    w_dim = weights.shape("conv1.conv.modulation.weight", 2)[1]
    z_dim = weights.shape("style.1.weight", 2)[1]
    filters = [f"{layer}.conv.blur.kernel" for layer in layers[1::2]]
    for name in [*filters, *(f"{layer}.upsample.kernel" for layer in to_rgbs[1:])]:
        check_filter(weights, name, gain=4)

    tensors = {"w_avg": torch.zeros(w_dim), "synthesis.input": weights.take("input.input")}
    styles = {f"style.{i + 1}": f"layers.{i}" for i in range(depth)}
    tensors |= weights.rename(styles, ours="mapping.")
    for i, layer in enumerate(layers):
        tensors |= _take_layer(weights, layer, LAYER, f"synthesis.layers.{i}")
        tensors[f"synthesis.layers.{i}.noise"] = weights.take(f"noises.noise_{i}")
    for i, layer in enumerate(to_rgbs):
        tensors |= _take_layer(weights, layer, TO_RGB, f"synthesis.to_rgbs.{i}")
    weights.finish("a StyleGAN2 generator")
    size = 4 * 2 ** (len(to_rgbs) - 1)
    return build(
        lambda: StyleGAN2(StyleGAN2Config(size, z_dim, w_dim, channels, depth)),
        tensors,
        weights.source,
    )


def with_average(generator: StyleGAN2, average: object, source: str) -> StyleGAN2:
    """Give a generator its average code, (w_dim,) or (num_ws, w_dim); it is estimated if None."""
    w_dim = generator.config.w_dim
    if average is None:
        warnings.warn(
            f"{source} holds no average latent code: it is estimated from 10,000 samples (seed 0)",
            stacklevel=2,
        )
        generator.w_avg.copy_(generator.estimate_w_avg(samples=10_000, seed=0))
        return generator
    shapes = [(w_dim,), (1, w_dim), (generator.num_ws, w_dim)]
    if not isinstance(average, Tensor) or tuple(average.shape) not in shapes:
        found = tuple(average.shape) if isinstance(average, Tensor) else type(average).__name__
        raise CheckpointError(f"{source}: expected latent_avg of one of {shapes}, got {found}")
    if not is_plain(average):
        raise CheckpointError(
            f"{source}: expected latent_avg of floating-point numbers, got {average.dtype}"
        )
    if not bool(average.float().isfinite().all()):
        raise CheckpointError(f"{source}: expected a finite latent_avg, got NaN or infinity")
    generator.w_avg.copy_(average if average.ndim == 1 else average.mean(dim=0))
    return generator


def _take_layer(
    weights: Weights, layer: str, table: Mapping[str, str], ours: str
) -> dict[str, Tensor]:
    taken = {ours_name: weights.take(f"{layer}.{name}") for name, ours_name in table.items()}
    taken["weight"] = taken["weight"].squeeze(0)  # (1, out, in, k, k)
    taken["bias"] = taken["bias"].flatten()
    if "noise_strength" in taken:
        taken["noise_strength"] = taken["noise_strength"].squeeze()
    return with_prefix(taken, ours)


def check_filter(weights: Weights, name: str, gain: float = 1.0) -> None:
    """Take a stored resampling filter, which must be the one that ours is made for."""
    kernel = weights.take(name)
    if kernel.shape != FILTER.shape or not torch.allclose(kernel.float(), FILTER * gain, atol=1e-6):
        raise weights.error(f"{name} to be the filter [1, 3, 3, 1]", "another")


def _numbered(weights: Weights, group: str) -> list[str]:
    pattern = re.compile(rf"{group}\.(\d+)\.")
    numbers = {int(m[1]) for name in weights.names() if (m := pattern.match(name))}
    return [f"{group}.{i}" for i in sorted(numbers)]
