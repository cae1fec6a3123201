"""The numerical cases: how one is loaded, and when an output agrees.

A case is a JSON file that describes a checkpoint and inputs, and an npz file with what the
reference made of them. They lie in `cases/`; `RESTYLE_PARITY_DIR` names another folder with the
same families of cases.
"""

import functools
import importlib.util
import os
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d

HERE = Path(__file__).parent / "cases"
FOLDER = Path(os.environ.get("RESTYLE_PARITY_DIR", HERE))
ENCODED = (256, 256)  # the size that the reference pools to where a case says `resize`


def cases(*families: str, large: bool | str = False):
    """Parametrise a test by the files whose names begin with one of `families`.

    Networks of the official size are slow ones: all of them, or those whose names hold a text.

    Raises:
        ValueError: There are none: a case that is missing has not been checked.
    """
    found = sorted(path for path in FOLDER.glob("*.json") if path.name.startswith(families))
    if not found:
        raise ValueError(f"{FOLDER}: expected cases {', '.join(families)}, got none")
    parameters = []
    for path in found:
        slow = large in path.stem if isinstance(large, str) else large
        marks = [pytest.mark.timeout(900)] + [pytest.mark.slow] * slow
        parameters.append(pytest.param(path, marks=marks, id=path.stem))
    return pytest.mark.parametrize("path", parameters)


@dataclass
class Case:
    """One case: its settings, what goes in, and what must come out."""

    params: dict[str, Any]
    checkpoints: dict[str, Any]
    inputs: dict[str, torch.Tensor]
    outputs: dict[str, dict[str, Any]]
    arrays: dict[str, np.ndarray]
    compared: set[str] = field(default_factory=set)

    def resized(self, image: torch.Tensor) -> torch.Tensor:
        """Pool images (B, 3, H, W) to 256 x 256 where the case says `resize: true`."""
        return adaptive_avg_pool2d(image, ENCODED) if self.params["resize"] else image

    def finish(self, *unused: str) -> None:
        """Fail where nothing was compared, or not all that a case of this repository lists."""
        left = sorted(self.outputs.keys() - self.compared - set(unused))
        assert self.compared and (FOLDER != HERE or not left), f"not compared: {', '.join(left)}"

    def check(self, name: str, got: torch.Tensor | np.ndarray) -> None:
        """Compare an output that the case lists; one that it does not list is anything.

        Where only a part is stored, the statistics of the whole array are compared as well.
        """
        if name not in self.outputs:
            return
        entry = self.outputs[name]
        self.compared.add(name)
        got = np.asarray(got.detach() if isinstance(got, torch.Tensor) else got)
        assert list(got.shape) == entry["full_shape"], f"{name}: {got.shape}"
        tolerance = {key: entry[key] for key in ("atol", "rtol")}
        stored = got[_index(entry["stored"])] if "stored" in entry else got
        _assert_close(name, stored, self.arrays[name], **tolerance)
        if f"{name}.stats" in self.arrays:
            _assert_close(f"{name}.stats", _stats(got), self.arrays[f"{name}.stats"], **tolerance)


def load(path: Path) -> Case:
    """Build a case's checkpoints and inputs."""
    doc, checkpoints, inputs = _fill().load_case(str(path))
    with np.load(path.with_suffix(".npz")) as archive:
        arrays = dict(archive)
    return Case(doc["params"], checkpoints, inputs, doc["outputs"], arrays)


@functools.cache
def _fill() -> ModuleType:
    folder = FOLDER if (FOLDER / "fill.py").exists() else HERE
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
