"""Checkpoints in the published formats, with networks far smaller than the published ones.

Values come from the entry's name alone, so that what is computed from them can be written down.
"""

import zlib
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from restyle.losses.lpips import LPIPS

Shapes = Iterator[tuple[str, tuple[int, ...]]]

W_DIM, WIDTH, SIZE = 16, 16, 16
CODES = 6  # of a 16 px generator
FIR = torch.tensor([1.0, 3.0, 3.0, 1.0]).outer(torch.tensor([1.0, 3.0, 3.0, 1.0])) / 64


def fill(shapes: Iterable[tuple[str, tuple[int, ...]]]) -> dict[str, Tensor]:
    return {name: _values(name, shape) for name, shape in shapes}


def _values(name: str, shape: tuple[int, ...]) -> Tensor:
    leaf = name.rpartition(".")[2]
    if leaf == "num_batches_tracked":
        return torch.zeros((), dtype=torch.int64)
    if leaf == "kernel":
        return FIR * 4
    draw = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    values = torch.from_numpy(draw.astype(np.float32))
    if leaf == "running_var":
        return values.abs() + 0.5
    if ".linear." in name:
        return values * 0.1  # small steps
    if ".conv.weight" in name or len(shape) < 2:
        return values  # equalised layers and vectors
    return values if "modulation" in name else values / np.sqrt(values[0].numel())


def norm(name: str, channels: int) -> Shapes:
    for leaf in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{leaf}", (channels,)
    yield f"{name}.num_batches_tracked", ()


def ir_se(units: tuple[int, ...], input_channels: int = 6) -> Shapes:
    """Stages of growing width: 16, then 32, 48, ... channels."""
    yield "input_layer.0.weight", (WIDTH, input_channels, 3, 3)
    yield from norm("input_layer.1", WIDTH)
    yield "input_layer.2.weight", (WIDTH,)
    number, before = 0, WIDTH
    for stage, count in enumerate(units):
        width = WIDTH * (stage + 1)
        for _ in range(count):
            unit = f"body.{number}"
            if before != width:
                yield f"{unit}.shortcut_layer.0.weight", (width, before, 1, 1)
                yield from norm(f"{unit}.shortcut_layer.1", width)
            yield from norm(f"{unit}.res_layer.0", before)
            yield f"{unit}.res_layer.1.weight", (width, before, 3, 3)
            yield f"{unit}.res_layer.2.weight", (width,)
            yield f"{unit}.res_layer.3.weight", (width, width, 3, 3)
            yield from norm(f"{unit}.res_layer.4", width)
            yield f"{unit}.res_layer.5.fc1.weight", (width // 16, width, 1, 1)
            yield f"{unit}.res_layer.5.fc2.weight", (width, width // 16, 1, 1)
            number, before = number + 1, width


def basic_block(name: str, before: int, width: int) -> Shapes:
    yield f"{name}.conv1.weight", (width, before, 3, 3)
    yield from norm(f"{name}.bn1", width)
    yield f"{name}.conv2.weight", (width, width, 3, 3)
    yield from norm(f"{name}.bn2", width)
    if before != width:
        yield f"{name}.downsample.0.weight", (width, before, 1, 1)
        yield from norm(f"{name}.downsample.1", width)


def resnet(units: tuple[int, ...], input_channels: int = 6, torchvision: bool = False) -> Shapes:
    yield "conv1.weight", (WIDTH, input_channels, 7, 7)
    yield from norm("bn1", WIDTH)
    if not torchvision:
        yield "relu.weight", (WIDTH,)
    number, before = 0, WIDTH
    for stage, count in enumerate(units):
        width = WIDTH * (stage + 1)
        for i in range(count):
            name = f"layer{stage + 1}.{i}" if torchvision else f"body.{number}"
            yield from basic_block(name, before, width)
            number, before = number + 1, width
    if torchvision:
        yield "fc.weight", (10, before)
        yield "fc.bias", (10,)


def styles(channels: int, depths: list[int]) -> Shapes:
    for i, depth in enumerate(depths):
        for k in range(depth):
            yield f"styles.{i}.convs.{2 * k}.weight", (W_DIM, channels if k == 0 else W_DIM, 3, 3)
            yield f"styles.{i}.convs.{2 * k}.bias", (W_DIM,)
        yield f"styles.{i}.linear.weight", (W_DIM, W_DIM)
        yield f"styles.{i}.linear.bias", (W_DIM,)


def encoder(
    trunk: Shapes, stages: int = 4, pyramid: bool = False, codes: int = CODES
) -> dict[str, Tensor]:
    """An encoder over 256 px images."""
    last = WIDTH * stages
    depth = 8 - stages
    depths = [depth + pyramid * ((i >= 3) + (i >= 7)) for i in range(codes)]
    shapes = [*trunk, *styles(last, depths)]
    if pyramid:  # the laterals make all maps as wide as the last
        for name, width in (("latlayer1", last - WIDTH), ("latlayer2", last - 2 * WIDTH)):
            shapes += [(f"{name}.weight", (last, width, 1, 1)), (f"{name}.bias", (last,))]
    return fill(shapes)


def styled(name: str, up: bool = False) -> Shapes:
    yield f"{name}.conv.weight", (1, WIDTH, WIDTH, 3, 3)
    if up:
        yield f"{name}.conv.blur.kernel", (4, 4)
    yield f"{name}.conv.modulation.weight", (WIDTH, W_DIM)
    yield f"{name}.conv.modulation.bias", (WIDTH,)
    yield f"{name}.noise.weight", (1,)
    yield f"{name}.activate.bias", (WIDTH,)


def to_rgb(name: str, up: bool = False) -> Shapes:
    yield f"{name}.bias", (1, 3, 1, 1)
    if up:
        yield f"{name}.upsample.kernel", (4, 4)
    yield f"{name}.conv.weight", (1, 3, WIDTH, 1, 1)
    yield f"{name}.conv.modulation.weight", (WIDTH, W_DIM)
    yield f"{name}.conv.modulation.bias", (WIDTH,)


def _generator_shapes() -> Shapes:
    for i in (1, 2):
        yield f"style.{i}.weight", (W_DIM, W_DIM)
        yield f"style.{i}.bias", (W_DIM,)
    yield "input.input", (1, WIDTH, 4, 4)
    yield from styled("conv1")
    yield from to_rgb("to_rgb1")
    for i in range(4):
        yield from styled(f"convs.{i}", up=i % 2 == 0)
    for i in range(2):
        yield from to_rgb(f"to_rgbs.{i}", up=True)
    for i in range(5):
        size = 4 * 2 ** ((i + 1) // 2)
        yield f"noises.noise_{i}", (1, 1, size, size)


def generator() -> dict[str, Tensor]:
    return fill(_generator_shapes())


def model(encoder_weights: dict[str, Tensor], encoder_type: str, **options: object) -> dict:
    weights = {f"encoder.{name}": tensor for name, tensor in encoder_weights.items()}
    weights |= {f"decoder.{name}": tensor for name, tensor in generator().items()}
    average = fill([("latent_avg", (CODES, W_DIM))])["latent_avg"] * 0.3
    opts = {"dataset_type": "ffhq_encode", "encoder_type": encoder_type, **options}
    return {"state_dict": weights, "latent_avg": average, "opts": opts}


def restyle_model(**options: object) -> dict:
    return model(encoder(ir_se((1, 2, 1, 1))), "BackboneEncoder", **options)


def lpips_files(kind: str) -> tuple[LPIPS, dict[str, Tensor], dict[str, Tensor]]:
    """An LPIPS network, and its two files: the classifier's, and the linear layers."""
    torch.manual_seed(2)
    network = LPIPS(kind)
    numbers = {
        "alex": (0, 3, 6, 8, 10),
        "vgg": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
    }[kind]
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    trunk = {"classifier.6.weight": torch.zeros(2, 2)}
    for number, layer in zip(numbers, layers, strict=True):
        trunk[f"features.{number}.weight"] = layer.weight.data
        trunk[f"features.{number}.bias"] = layer.bias.data
    heads = {}
    for i, weight in enumerate(network.calibration):
        weight.data.uniform_()
        heads[f"lin{i}.model.1.weight"] = weight.data.view(1, -1, 1, 1)
    return network, trunk, heads


def bottleneck(name: str, before: int, width: int) -> Shapes:
    sizes = {1: (width, before, 1, 1), 2: (width, width, 3, 3), 3: (4 * width, width, 1, 1)}
    for i, shape in sizes.items():
        yield f"{name}.conv{i}.weight", shape
        yield from norm(f"{name}.bn{i}", shape[0])
    if before != 4 * width:
        yield f"{name}.downsample.0.weight", (4 * width, before, 1, 1)
        yield from norm(f"{name}.downsample.1", 4 * width)


def moco() -> dict:
    """A training checkpoint of MoCo, version 2, with units (1, 2)."""
    shapes = [
        ("conv1.weight", (8, 3, 7, 7)),
        *norm("bn1", 8),
        *bottleneck("layer1.0", 8, 8),
        *bottleneck("layer2.0", 32, 16),
        *bottleneck("layer2.1", 64, 16),
        *((f"fc.{i}.{leaf}", (4, 4)) for i in (0, 2) for leaf in ("weight", "bias")),
    ]
    table = {f"module.encoder_q.{name}": tensor for name, tensor in fill(shapes).items()}
    table["module.encoder_k.conv1.weight"] = torch.zeros(1)
    table |= {"module.queue": torch.zeros(4, 2), "module.queue_ptr": torch.zeros(1)}
    return {"epoch": 800, "arch": "resnet50", "state_dict": table, "optimizer": {}}
