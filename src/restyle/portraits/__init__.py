"""Parametric portraits drawn by code: a domain whose ground truth is known exactly.

What draws is loaded when first used: networks for portraits need no renderer.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'restyle.portraits' has no attribute {name!r}")
    return getattr(import_module(f"restyle.portraits.{_HOME[name]}"), name)
