"""Encoders: networks that look at images and predict latent codes, or how to change them."""

from restyle.encoders.config import (
    E4E_FACES,
    PORTRAITS,
    PORTRAITS_128,
    PRESETS,
    PSP_FACES,
    RESTYLE_CARS,
    RESTYLE_FACES,
    EncoderConfig,
)
from restyle.encoders.encoder import Encoder

__all__ = [
    "E4E_FACES",
    "PORTRAITS",
    "PORTRAITS_128",
    "PRESETS",
    "PSP_FACES",
    "RESTYLE_CARS",
    "RESTYLE_FACES",
    "Encoder",
    "EncoderConfig",
]
