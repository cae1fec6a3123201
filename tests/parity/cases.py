"""The numerical cases: where they are, how one is loaded, and when an output agrees.

A case is a JSON file that describes a checkpoint and inputs, and an npz file with what the
reference made of them. `RESTYLE_PARITY_DIR` names the folder; any folder with the same families of
cases will do.
"""

import functools
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

DEFAULT = Path(__file__).parents[3] / "shared" / "parity"
FOLDER = Path(os.environ.get("RESTYLE_PARITY_DIR", DEFAULT))
REQUIRED = os.environ.get("RESTYLE_PARITY_REQUIRED") == "1"
ASKED_FOR = REQUIRED or "RESTYLE_PARITY_DIR" in os.environ


def cases(*families: str, large: bool = False):
    """Parametrise a test by the files whose names begin with one of `families`.

    Cases with networks of the official size take minutes in all: by default they are marked slow.
    They run with the others where parity is asked for, by either variable or `-m slow`.
    """
    found = sorted(path for path in FOLDER.glob("*.json") if path.name.startswith(families))
    if not found:
        reason = f"no cases {', '.join(families)} in {FOLDER} (RESTYLE_PARITY_DIR)"
        marks = () if REQUIRED else pytest.mark.skip(reason=reason)
        return pytest.mark.parametrize("path", [pytest.param(None, marks=marks, id="absent")])
    marks = [pytest.mark.timeout(900)] + [pytest.mark.slow] * (large and not ASKED_FOR)
    return pytest.mark.parametrize(
        "path", [pytest.param(path, marks=marks, id=path.stem) for path in found]
    )


@dataclass
class Case:
    """One case: its settings, what goes in, and what must come out."""

    params: dict[str, Any]
    checkpoints: dict[str, Any]
    inputs: dict[str, torch.Tensor]
    outputs: dict[str, dict[str, Any]]
    arrays: dict[str, np.ndarray]

    def check(self, name: str, got: torch.Tensor | np.ndarray) -> None:
        """Compare an output, and the statistics of the whole array where only a part is stored."""
        entry = self.outputs[name]
        got = np.asarray(got.detach() if isinstance(got, torch.Tensor) else got)
        assert list(got.shape) == entry["full_shape"], f"{name}: {got.shape}"
        tolerance = {key: entry[key] for key in ("atol", "rtol")}
        stored = got[_index(entry["stored"])] if "stored" in entry else got
        _assert_close(name, stored, self.arrays[name], **tolerance)
        if f"{name}.stats" in self.arrays:
            _assert_close(f"{name}.stats", _stats(got), self.arrays[f"{name}.stats"], **tolerance)


def load(path: Path | None) -> Case:
    """Build a case's checkpoints and inputs; fails where a required one is absent."""
    assert path is not None, f"RESTYLE_PARITY_REQUIRED is set, but {FOLDER} has no such cases"
    doc, checkpoints, inputs = _fill().load_case(str(path))
    with np.load(path.with_suffix(".npz")) as archive:
        arrays = dict(archive)
    return Case(doc["params"], checkpoints, inputs, doc["outputs"], arrays)


@functools.cache
def _fill() -> ModuleType:
    folder = FOLDER if (FOLDER / "fill.py").exists() else DEFAULT
    spec = importlib.util.spec_from_file_location("parity_fill", folder / "fill.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _index(text: str) -> tuple:
    """A NumPy index from its text, such as `[..., ::4, ::4]`."""
    parts = [part.strip() for part in text.strip("[]").split(",")]
    return tuple(
        ... if part == "..." else slice(*(int(n) if n else None for n in part.split(":")))
        for part in parts
    )


def _stats(array: np.ndarray) -> np.ndarray:
    rows = array.reshape(len(array), -1).astype(np.float64)
    columns = (rows.mean(1), rows.std(1), rows.min(1), rows.max(1), np.abs(rows).mean(1))
    return np.stack(columns, axis=1)


def _assert_close(name: str, got: np.ndarray, want: np.ndarray, atol: float, rtol: float) -> None:
    assert got.shape == want.shape, f"{name}: {got.shape} instead of {want.shape}"
    got, want = got.astype(np.float64), want.astype(np.float64)
    allowed = atol + rtol * np.abs(want)
    difference = np.abs(got - want)
    worst = float((difference / np.maximum(allowed, 1e-300)).max()) if difference.any() else 0.0
    print(f"{name}: {worst:.3g} of the tolerance")
    assert (difference <= allowed).all(), f"{name}: {worst:.3g} times the tolerance"
