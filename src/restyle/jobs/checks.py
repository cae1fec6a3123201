"""Limits that the options of jobs share, and what is said about them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

STRETCHED = "{} stretched (--fit crop or pad keeps the shape)"
_MOST: dict[str, int] = {
    "seed": 2**63 - 10**6,
    "steps": 1000,
    "source_steps": 1000,
    "frames": 10_000,
    "n": 100_000,
}


def normalise(job: Any) -> None:
    """Make `out` a path; refuse empty names, and a text in the place of a list of inputs."""
    for one in fields(job):
        if getattr(job, one.name) == "":
            raise ValueError(f"{one.name}: expected a name, got an empty one")
    object.__setattr__(job, "out", Path(job.out))
    if isinstance(getattr(job, "inputs", ()), str | Path):
        raise ValueError(f"inputs: expected a list of files and folders, got {job.inputs!r}")


def check_least(job: Any, least: int, *names: str) -> None:
    """Refuse numbers below `least`, far too large ones, and those that are not whole."""
    for name in names:
        value: Any = getattr(job, name)
        most = _MOST[name] if name in _MOST else 2_147_483_648
        for found in value if isinstance(value, list | tuple) else (value,):
            if isinstance(found, float):
                raise ValueError(f"{name}: expected a whole number, got {found}")
            if isinstance(found, int) and found < least:
                raise ValueError(f"{name}: expected a number of {least} or more, got {found}")
            if isinstance(found, int) and found > most:
                raise ValueError(f"{name}: expected at most {most:,}, got {found:,}")


def check_paste(job: Any) -> None:
    """Refuse faces that are put back without having been cut out, whole, before."""
    if job.paste_back and not job.align:
        raise ValueError("expected --paste-back together with --align, got it alone")
    if job.paste_back and job.fit != "stretch":
        raise ValueError(f"expected --paste-back with --fit stretch, got --fit {job.fit}")


def check_truncation(truncation: float) -> None:
    """Refuse a truncation that no generator is meant for."""
    if not -2 <= truncation <= 2:
        raise ValueError(f"truncation: expected a number from -2 to 2, got {truncation}")
