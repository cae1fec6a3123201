"""ReStyle: invert images into StyleGAN's latent space, a residual at a time.

    import restyle

    model = restyle.load("portraits")
    result = model.invert("me.png", steps=5)

Names are loaded when first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "InversionResult",
    "ReStyle",
    "__version__",
    "bootstrap",
    "importers",
    "load",
    "portraits",
]

_HOME = {  # public name -> the module that defines it
    "InversionResult": "restyle.results",
    "ReStyle": "restyle.model",
    "bootstrap": "restyle.bootstrapping",
    "load": "restyle.registry",
}
_SUBPACKAGES = ("importers", "portraits")

if TYPE_CHECKING:
    from restyle import importers, portraits
    from restyle.bootstrapping import bootstrap
    from restyle.model import ReStyle
    from restyle.registry import load
    from restyle.results import InversionResult


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name in _SUBPACKAGES:
        return import_module(f"restyle.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'restyle' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted(set(globals()) | set(__all__))
