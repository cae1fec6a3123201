"""The checkpoint of a run, read as a file of unknown origin is."""

from pathlib import Path
from typing import Any

from restyle.importers.archive import read_archive
from restyle.io.checkpoints import CheckpointError


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read what `Run.save` wrote.

    Returns:
        `images`, `seconds`, the `random` states of all processes, and the `state` of the trainer,
        tensors on the CPU.

    Raises:
        CheckpointError: The file is damaged, or another one.
    """
    # Not mapped: the file is replaced while its tensors are in use.
    content = read_archive(path, mapped=False)
    parts = {"images": int, "seconds": int | float, "random": list, "state": dict}
    for name, kind in parts.items():
        if not isinstance(content, dict) or not isinstance(content.get(name), kind):
            raise CheckpointError(
                f"{path}: expected the checkpoint of a run, got one without {name}"
            )
    return content
