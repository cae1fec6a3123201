"""The smallest networks that have everything the real ones have, with fixed weights."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from restyle.domains import Domain
from restyle.encoders import Encoder, EncoderConfig
from restyle.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from restyle.model import ReStyle

SIZE = 16
CODES = (6, 8)  # num_ws, w_dim


def tiny_generator(seed: int = 0) -> StyleGAN2:
    torch.manual_seed(seed)
    generator = StyleGAN2(StyleGAN2Config(SIZE, 8, 8, (8, 8, 8), mapping_layers=2))
    generator.w_avg.copy_(generator.estimate_w_avg(256))
    return generator


def tiny_encoder(seed: int = 0, input_channels: int = 6, **options: object) -> Encoder:
    torch.manual_seed(seed)
    settings = {"widths": (16, 16), "units": (1,), "head_channels": 8, **options}
    config = EncoderConfig(
        *CODES, input_size=(SIZE, SIZE), input_channels=input_channels, **settings
    )
    return Encoder(config)


def tiny_model(seed: int = 0, input_channels: int = 6, **facts: object) -> ReStyle:
    domain = Domain("tiny", (SIZE, SIZE))
    encoder = tiny_encoder(seed, input_channels)
    card = {"validation": {"val_mse_max": 9.0}, **facts}  # whatever noise it sees, it knows
    return ReStyle(tiny_generator(seed), encoder, domain, "tiny", card)


def silence(encoder: Encoder) -> None:
    """Make an encoder that predicts nothing, whatever it sees."""
    for head in encoder.heads:
        nn.init.zeros_(head.out_weight)
        nn.init.zeros_(head.out_bias)


def picture(path: Path, seed: int = 0, size: tuple = (20, 24), mode: str = "RGB") -> Path:
    """Write noise of a size (height, width) and a Pillow mode into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, bands), np.uint8)
    Image.fromarray(pixels.squeeze(), mode).save(path)
    return path
