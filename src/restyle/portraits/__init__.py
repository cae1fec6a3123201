"""Parametric portraits drawn by code: a domain whose ground truth is known exactly."""

from restyle.portraits.attributes import Attributes
from restyle.portraits.dataset import Portrait, Portraits
from restyle.portraits.drawing.renderer import landmarks, render

__all__ = ["Attributes", "Portrait", "Portraits", "landmarks", "render"]
