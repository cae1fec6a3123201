"""Findings of a long measurement so far, in a folder that a repeated command goes on from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from restyle.io.claims import claim
from restyle.io.files import atomic_write

SETTINGS = "settings.json"
ROWS = "rows.jsonl"
RESULTS = (
    *(ROWS, "report.html", "results.json", "crossing.png"),
    *("parts", "plots", "strips", "examples", "speed", "labels"),
)
"""The files that measurements write."""


def claim_folder(folder: Path, settings: dict[str, Any]) -> Path:
    """Tie a folder to what its measurement depends on, as `restyle.io.claims.claim` does.

    Returns:
        The file for rows of the measurement, as `append_jsonl` writes and `read_jsonl` reads it.

    Raises:
        ValueError: The folder holds a measurement with other settings.
    """
    claim(folder / SETTINGS, settings, "a measurement", results=RESULTS)
    return folder / ROWS


def arrays_in_parts(
    folder: Path,
    count: int,
    part: int,
    compute: Callable[[range], dict[str, np.ndarray]],
    label: str | None = None,
) -> dict[str, np.ndarray]:
    """Compute arrays with a row for each of many images, keeping each finished part on disk.

    Args:
        folder: Where the parts are kept.
        count: How many images.
        part: How many of them are computed at once.
        compute: Gives the arrays of a range of images.
        label: Of the progress bar.

    Returns:
        The arrays of all of them.
    """
    parts = []
    with tqdm(total=count, unit="image", desc=label, disable=None) as progress:
        for first in range(0, count, part):
            indices = range(first, min(count, first + part))
            path = Path(folder) / f"{indices.start:07d}-{indices.stop:07d}.npz"
            parts.append(kept_arrays(path, lambda indices=indices: compute(indices)))
            progress.update(len(indices))
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def kept_arrays(path: Path, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Read arrays from an .npz file, or compute and write them where it is not there."""
    if not path.exists():
        arrays = compute()
        with atomic_write(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **arrays)  # pyright: ignore - a name could be one of its options
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except Exception as error:  # a damaged file fails in as many ways as it can be damaged
        raise ValueError(f"{path}: expected arrays (.npz), got: {error}") from error
