"""Findings of a long measurement so far, in a folder that a repeated command goes on from."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from restyle.io.claims import claim
from restyle.io.files import append_jsonl, atomic_write, read_jsonl

SETTINGS = "settings.json"
ROWS = "rows.jsonl"


def claim_folder(folder: Path, settings: dict[str, Any]) -> None:
    """Tie a folder to what its measurement depends on, as `restyle.io.claims.claim` does.

    Raises:
        ValueError: The folder holds a measurement with other settings.
    """
    claim(folder / SETTINGS, settings, "a measurement")


class Records:
    """The rows of one measurement, which are in a file.

    Attributes:
        folder: Where they are kept.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]):
        """Open a folder, made where missing.

        Its `settings`, JSON-able, are what the rows depend on, as `claim_folder` checks it.
        """
        self.folder = Path(folder)
        claim_folder(self.folder, settings)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All rows so far, in the order of the file, without lines that were cut off."""
        return read_jsonl(self.folder / ROWS)

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Append rows."""
        for row in rows:
            append_jsonl(self.folder / ROWS, row)


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
