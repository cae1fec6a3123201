"""ReStyle: invert images into StyleGAN's latent space, a residual at a time.

    import restyle

    model = restyle.load("portraits")
    result = model.invert("me.png", steps=5)

Names are loaded when first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

__all__ = [
    "InversionResult",
    "ReStyle",
    "__version__",
    "bootstrap",
    "importers",
    "jobs",
    "load",
    "portraits",
    "save_image",
]

_HOME = {  # public name -> the module that defines it
    "InversionResult": "restyle.inversion.results",
    "ReStyle": "restyle.model",
    "bootstrap": "restyle.inversion.bootstrapping",
    "load": "restyle.hub.registry",
    "save_image": "restyle.io.images",
}
_SUBPACKAGES = ("importers", "jobs", "portraits")

if TYPE_CHECKING:
    from restyle import importers, jobs, portraits
    from restyle.hub.registry import load
    from restyle.inversion.bootstrapping import bootstrap
    from restyle.inversion.results import InversionResult
    from restyle.io.images import save_image
    from restyle.model import ReStyle


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
