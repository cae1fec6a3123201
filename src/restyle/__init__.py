"""ReStyle: invert images into StyleGAN's latent space, a residual at a time.

    import restyle

    model = restyle.load("portraits")
    result = model.invert("me.png", steps=5)

Names are loaded when first used, so that importing the package costs nothing.
"""

from typing import TYPE_CHECKING

from restyle.io.imports import on_first_use

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
    "InversionResult": "inversion.results",
    "ReStyle": "model",
    "bootstrap": "inversion.bootstrapping",
    "importers": "",
    "jobs": "",
    "load": "hub.registry",
    "portraits": "",
    "save_image": "io.images",
}

if TYPE_CHECKING:
    from restyle import importers, jobs, portraits
    from restyle.hub.registry import load
    from restyle.inversion.bootstrapping import bootstrap
    from restyle.inversion.results import InversionResult
    from restyle.io.images import save_image
    from restyle.model import ReStyle


__getattr__ = on_first_use(__name__, _HOME)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted(set(globals()) | set(__all__))
