"""Files of latent codes: what an inversion found, kept to be edited later."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from restyle.io.files import SURROGATES, atomic_write

SUFFIX = ".safetensors"


class LatentsError(ValueError):
    """A latents file that cannot be used: which one, what was expected, what was found."""


def save_latents(ws: Tensor, facts: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write codes, atomically.

    Args:
        ws: (N, num_ws, D): of one picture, such as those after every step.
        facts: What is known about them, kept as text; `model_sha256` is the hash of the model that
            they belong to.
        path: A name that ends in `.safetensors`.

    Raises:
        OSError: The file cannot be written.
    """
    metadata = {key: str(value).encode(errors=SURROGATES).decode() for key, value in facts.items()}
    with atomic_write(Path(path)) as temporary:
        temporary.write_bytes(save({"ws": ws.detach().cpu().contiguous()}, metadata))


def read_latents(
    path: str | os.PathLike[str], model_sha256: str, num_ws: int, w_dim: int
) -> Tensor:
    """Read codes that belong to a model.

    Args:
        path: What `save_latents` wrote.
        model_sha256: Hash of the model's weights.
        num_ws: Rows of its codes.
        w_dim: Their width.

    Returns:
        (N, num_ws, D); the last one is what the picture was found to be.

    Raises:
        LatentsError: Missing, empty, damaged, of another model, or of another shape.
    """
    path = Path(path)
    if not path.is_file() or not path.stat().st_size:
        found = "an empty file" if path.is_file() else "nothing of that name"
        raise LatentsError(f"{path}: expected a latents file, got {found}")
    try:
        with safe_open(path, "pt") as file:
            names, facts = list(file.keys()), file.metadata() or {}
            if names != ["ws"]:
                raise LatentsError(
                    f"{path}: expected a latents file, got one that holds "
                    f"{', '.join(sorted(names)[:3]) or 'nothing'}"
                )
            ws = file.get_tensor("ws")
    except LatentsError:
        raise
    except Exception as error:  # a damaged file fails in as many ways as it can be damaged
        raise LatentsError(f"{path}: expected a latents file, got: {error}") from error
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
