"""The random generators of a process, captured and restored for an exact resume."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


def random_state(rng: np.random.Generator) -> dict[str, Any]:
    """Capture every random generator of this process, and a NumPy one.

    Returns:
        Tensors, numbers and strings only, so that a checkpoint loads without running code.
    """
    version, words, gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python": [version, torch.tensor(words, dtype=torch.int64), gauss],
        "numpy": rng.bit_generator.state,
    }


def set_random_state(state: Mapping[str, Any], rng: np.random.Generator) -> None:
    """Restore what `random_state` captured, that of a NumPy generator included."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    rng.bit_generator.state = state["numpy"]
