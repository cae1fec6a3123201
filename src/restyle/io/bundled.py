"""Where the weights that come with the package lie: a native checkpoint each."""

import os
from pathlib import Path

from restyle.io.checkpoints import CONFIG, load_config

WEIGHTS = Path(__file__).parents[1] / "weights"


def bundled_names(kind: str) -> list[str]:
    """Return the names of the bundled checkpoints of a kind, such as `"restyle"`, sorted."""
    folders = sorted(config.parent for config in WEIGHTS.glob(f"*/{CONFIG}"))
    return [folder.name for folder in folders if load_config(folder)["kind"] == kind]


def bundled_or_path(name: str | os.PathLike[str]) -> Path:
    """Return the folder of a bundled checkpoint's name; the path itself for anything else."""
    known = str(name) in {config.parent.name for config in WEIGHTS.glob(f"*/{CONFIG}")}
    return WEIGHTS / name if known else Path(name)
