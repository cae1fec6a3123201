"""Files of latent codes: what an inversion found, kept to be edited later."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from restyle.io.files import atomic_write, escaped
from restyle.io.tensors import read_tensor

SUFFIX = ".safetensors"


class LatentsError(ValueError):
    """A latents file that cannot be used: which one, what was expected, what was found."""


def save_latents(ws: Tensor, facts: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write the codes (N, num_ws, D) of one picture, such as those after every step, atomically.

    Facts about them are kept as text; `model_sha256` is the hash of the model they belong to. The
    path ends in `.safetensors`.

    Raises:
        OSError: The file cannot be written.
    """
    _save("ws", ws, facts, path)


def save_styles(styles: Tensor, facts: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write styles (N, S), such as those of edits in style space, as `save_latents` does codes.

    Raises:
        OSError: The file cannot be written.
    """
    _save("styles", styles, facts, path)


def _save(
    name: str, tensor: Tensor, facts: Mapping[str, Any], path: str | os.PathLike[str]
) -> None:
    metadata = {key: escaped(value) for key, value in facts.items()}
    with atomic_write(Path(path)) as temporary:
        temporary.write_bytes(save({name: tensor.detach().cpu().contiguous()}, metadata))


def read_latents(
    path: str | os.PathLike[str], model_sha256: str, num_ws: int, w_dim: int
) -> Tensor:
    """Read codes (N, num_ws, w_dim) that belong to a model, by the hash of its weights.

    The last one is what the picture was found to be.

    Raises:
        LatentsError: Missing, empty, damaged, of another model, or of another shape.
    """
    ws, facts = read_tensor(Path(path), "ws", "a latents file", LatentsError)
    if facts.get("model_sha256") != model_sha256:
        found = facts.get("model_sha256", "no hash")[:12]
        raise LatentsError(
            f"{path}: expected latents of the model with hash {model_sha256[:12]}, got those of "
            f"'{facts.get('model', 'unknown')}' ({found})"
        )
    if ws.ndim != 3 or not len(ws) or tuple(ws.shape[1:]) != (num_ws, w_dim):
        raise LatentsError(f"{path}: expected codes (N, {num_ws}, {w_dim}), got {tuple(ws.shape)}")
    if not ws.is_floating_point() or not bool(ws.float().isfinite().all()):
        raise LatentsError(f"{path}: expected finite codes, got NaN, infinity or {ws.dtype}")
    return ws.float()
