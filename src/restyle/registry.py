"""Models by name: what is bundled, and how any model is loaded."""

import os
from pathlib import Path

import torch

from restyle.checkpoints import CheckpointError, load_config
from restyle.devices import resolve_device, resolve_dtype
from restyle.model import KIND, ReStyle

WEIGHTS = Path(__file__).parent / "weights"
"""Where the bundled checkpoints are, a folder each."""


def bundled() -> list[str]:
    """The names of the models that come with the package."""
    folders = sorted(config.parent for config in WEIGHTS.glob("*/config.json"))
    return [folder.name for folder in folders if load_config(folder)["kind"] == KIND]


def folder_of(name: str | os.PathLike[str]) -> Path:
    """Find the native checkpoint of a bundled name, or of a folder.

    Raises:
        ValueError: There is no such model.
    """
    path = WEIGHTS / name if str(name) in bundled() else Path(name)
    if not path.is_dir():
        known = ", ".join(bundled()) or "none"
        raise ValueError(
            f"unknown model '{name}': expected a bundled one ({known}), a folder or a checkpoint file"
        )
    return path


def load(
    name: str | os.PathLike[str],
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "float32",
) -> ReStyle:
    """Load a model, ready to invert.

    Args:
        name: A bundled model's name, a folder that `ReStyle.save_pretrained` wrote, or a checkpoint file
            of another project (`restyle.importers` knows which). No code in it is run.
        device: `"auto"`, `"cpu"`, `"cuda"`, `"mps"` or a torch device.
        dtype: float32, bfloat16 or float16 (mixed precision).

    Returns:
        The model.

    Raises:
        ValueError: There is no such model, device or dtype.
        CheckpointError: The weights cannot be used.
    """
    device, dtype = resolve_device(device), resolve_dtype(dtype)
    if str(name) not in bundled() and Path(name).is_file():
        model = _foreign(Path(name))
    else:
        model = ReStyle.from_pretrained(folder_of(name))
    return model.to(device, dtype)


def _foreign(path: Path) -> ReStyle:
    from restyle import importers  # its readers are needed for nothing else

    model = importers.read(path)
    if not isinstance(model, ReStyle):
        found = type(model).__name__
        raise CheckpointError(f"{path}: expected a generator with an encoder, found a {found}")
    return model
