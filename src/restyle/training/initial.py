"""The networks that a generator's training begins with, where others were trained before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from restyle.hub.registry import load_generator
from restyle.training.checkpoint import read_checkpoint


def load_run_state(folder: Path) -> dict[str, Any]:
    """What a generator's run folder holds: the `state_dict` of its trainer.

    Raises:
        CheckpointError: If there is no readable checkpoint.
    """
    return read_checkpoint(Path(folder) / "checkpoint.pt")["state"]


def load_initial(place: Path) -> dict[str, Any]:
    """The networks to start from: those of a run's folder, or a trained generator alone.

    Args:
        place: A run's folder, or whatever else `load_generator` takes.

    Raises:
        CheckpointError: It is neither.
    """
    if (place / "checkpoint.pt").exists():
        return load_run_state(place)
    state = load_generator(place).state_dict()
    return {"generator": state, "ema": state}
