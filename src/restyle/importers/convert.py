"""From a foreign file to the native form."""

import os
from collections.abc import Mapping
from typing import Any

from restyle.generators.stylegan2 import StyleGAN2
from restyle.importers.files import read
from restyle.importers.kinds import describe
from restyle.io.checkpoints import CheckpointError
from restyle.model import ReStyle


def convert(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    name: str | None = None,
    card: Mapping[str, Any] | None = None,
) -> ReStyle | StyleGAN2:
    """Read an official checkpoint, write it as a native one, and return what was in the file.

    Args:
        path: A model or a generator, as `read` takes them.
        folder: The native checkpoint, made where missing.
        name: What to call a model; after its file if None.
        card: Facts to keep with the weights, such as their licence.

    Raises:
        CheckpointError: The file cannot be read, or holds a network that has no native form.
    """
    found = read(path)
    if isinstance(found, ReStyle):
        found.name = name or found.name
        found.card |= card or {}
        found.save_pretrained(folder)
    elif isinstance(found, StyleGAN2):
        found.save_pretrained(folder, facts={"card": dict(card or {})})
    else:
        raise CheckpointError(
            f"{path}: expected a model or a generator, got {describe(found)}, "
            "which is used as the file it is"
        )
    return found
