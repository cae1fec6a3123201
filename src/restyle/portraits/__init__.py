"""Parametric portraits drawn by code: a domain whose ground truth is known exactly.

What draws is loaded when first used: networks for portraits need no renderer.
"""

from typing import TYPE_CHECKING

from restyle.io.imports import on_first_use
from restyle.portraits.attributes import Attributes

__all__ = ["Attributes", "Portrait", "Portraits", "landmarks", "render"]

_HOME = {
    "Portrait": "dataset",
    "Portraits": "dataset",
    "landmarks": "drawing.renderer",
    "render": "drawing.renderer",
}

if TYPE_CHECKING:
    from restyle.portraits.dataset import Portrait, Portraits
    from restyle.portraits.drawing.renderer import landmarks, render

__getattr__ = on_first_use(__name__, _HOME)
