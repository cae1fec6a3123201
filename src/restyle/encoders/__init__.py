"""Encoders: networks that look at images and predict latent codes, or how to change them."""

from restyle.encoders.config import PRESETS, EncoderConfig
from restyle.encoders.encoder import Encoder

__all__ = ["PRESETS", "Encoder", "EncoderConfig"]
