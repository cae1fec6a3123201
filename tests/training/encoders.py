"""A tiny encoder training, for tests in this process and in others."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from restyle import encoders
from restyle.encoders import EncoderConfig
from restyle.io.checkpoints import save_folder, with_prefix
from restyle.training.config import EncoderTraining
from restyle.training.encoder import train_encoder
from restyle.training.options import flat, with_options
from restyle.training.parallel import launch
from tests.tiny import CODES, SIZE, tiny_generator

SHAPE = EncoderConfig(*CODES, widths=(16, 16), units=(1,), input_size=(SIZE, SIZE), head_channels=8)
encoders.PRESETS["tiny"] = SHAPE
encoders.PRESETS["tiny-siamese"] = replace(SHAPE, siamese=True)


def prepare(folder: Path, pictures: int = 24) -> dict:
    """Write a generator and pictures to train on; gives the settings of a training with them."""
    generator = tiny_generator()
    config = {"kind": "generator", "generator": vars(generator.config)}
    save_folder(folder / "generator", config, with_prefix(generator.state_dict(), "generator"))
    (folder / "data").mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    for number in range(pictures):
        pixels = random.integers(0, 256, (20, 18, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "data" / f"{number:03}.png")
    return {
        "generator": str(folder / "generator"),
        "data": str(folder / "data"),
        "out": folder / "run",
        "encoder": "tiny",
        "images": 64,
        "warmup_images": 0,
        "batch": 4,
        "steps": 2,
        "lr": 1e-3,
        "perceptual": 0.0,
        "identity": 0.0,
        "flip": True,
        "validation_images": 0,
        "precision": "float32",
        "device": "cpu",
    }


def main() -> int:
    """Train with settings from the command line: `name=value` each."""
    settings = {}
    for change in sys.argv[1:]:
        name, value = change.split("=")
        kind = type(flat(EncoderTraining())[name])
        kind = Path if name == "out" else kind
        settings[name] = value == "True" if kind is bool else kind(value)
    config = with_options(EncoderTraining(), **settings)
    status = launch(config.processes, sys.argv[1:], module="tests.training.encoders")
    if status is not None:
        return status
    train_encoder(config)
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
