"""The contents of a run folder, read as files of unknown origin are."""

from pathlib import Path
from typing import Any

from restyle.importers.archive import read_archive
from restyle.io.checkpoints import CheckpointError
from restyle.io.claims import check_own, read_settings

RESULTS = """stats.jsonl broken.json evaluation.json shards.npz samples model best generator
snapshots""".split()
"""Files that trainings write beside `config.json` and `checkpoint.pt`."""


def read_options(path: Path) -> dict[str, Any]:
    """Read the options that a run began with from its `config.json`; none in a new run folder.

    Raises:
        ValueError: The file is damaged or another one, or the folder holds files of somebody else.
    """
    found = read_settings(path, "a training run")
    if not found:
        check_own(path.parent, RESULTS)
    elif "checkpoint_minutes" not in found:
        raise ValueError(
            f"{path}: expected the options of a training, got another file; choose another --out"
        )
    return found


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
