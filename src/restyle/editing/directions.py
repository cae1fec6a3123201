"""Directions in latent space: what is known about one, its file, and the published files.

A direction's file is a safetensors file with one tensor, `direction`, and everything else that is
known about it as text beside the tensor. A folder of such files is a set of directions.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from restyle.io.files import atomic_write
from restyle.io.tensors import read_tensor

FORMAT = "restyle-direction-1"
SUFFIX = ".safetensors"
BUNDLED = Path(__file__).parents[1] / "weights" / "directions"
"""Where the directions that come with the package are, a folder for each generator."""


class DirectionError(ValueError):
    """A direction that cannot be used: the message says which, what was expected and found."""


_FACTS = {
    "name": str,
    "scale": int | float | None,
    "layers": list | None,
    "generator_sha256": str | None,
    "licence": str,
    "about": str,
    "space": str,
}

SPACES = ("W", "W+", "S")


@dataclass(frozen=True, eq=False)
class Direction:
    """Where to move latent codes so that something about the picture changes.

    Attributes:
        name: What changes.
        vector: (D,) for all layers alike (space W), (num_ws, D), a row a layer (space W+), or (S,)
            for the channels of all layers (space S, `restyle.generators.styles`).
        scale: How many times `vector` makes strength 1: one standard deviation of the generator's
            codes along it. None where nobody has measured it.
        layers: The layers (rows of W+) that are moved; None for all of them.
        generator_sha256: Hash of the weights that it was found with; None where that is unknown.
        licence: Under which it may be used.
        about: How it was found.
        space: W, W+ or S; W or W+ by the vector's shape if empty.
    """

    name: str
    vector: Tensor
    scale: float | None = None
    layers: tuple[int, ...] | None = None
    generator_sha256: str | None = None
    licence: str = "unknown"
    about: str = ""
    space: str = ""

    def __post_init__(self):
        """Check shape and values; (1, D) becomes (D,)."""
        vector = self.vector
        if not vector.is_floating_point() or vector.ndim not in (1, 2) or not vector.numel():
            raise DirectionError(
                f"{self.name}: expected a real direction (D,), (1, D) or (num_ws, D), "
                f"got {tuple(vector.shape)} {vector.dtype}"
            )
        vector = vector.detach().float().cpu()
        if not bool(vector.isfinite().all()) or not bool(vector.any()):
            raise DirectionError(f"{self.name}: expected finite values that are not all zero")
        if self.scale is not None and not (math.isfinite(self.scale) and self.scale > 0):
            raise DirectionError(f"{self.name}: expected a scale above 0, got {self.scale}")
        squeezed = vector[0] if vector.ndim == 2 and len(vector) == 1 else vector
        object.__setattr__(self, "vector", squeezed.contiguous())
        space = self.space or ("W" if squeezed.ndim == 1 else "W+")
        if space not in SPACES or (space == "W+") != (squeezed.ndim == 2):
            raise DirectionError(
                f"{self.name}: expected a direction of {', '.join(SPACES)}, got {space} with "
                f"{tuple(squeezed.shape)}"
            )
        object.__setattr__(self, "space", space)

    def check_codes(self, num_ws: int, w_dim: int) -> None:
        """Check that it can move codes (num_ws, w_dim).

        Raises:
            DirectionError: It moves styles, has another width, or another number of layers.
        """
        if self.space == "S":
            raise DirectionError(f"direction '{self.name}': expected one of codes, got one of S")
        shape = tuple(self.vector.shape)
        if shape not in ((w_dim,), (num_ws, w_dim)):
            raise DirectionError(
                f"direction '{self.name}': expected shape ({w_dim},) or ({num_ws}, {w_dim}) "
                f"for this generator, got {shape}"
            )
        self.check_layers(num_ws)

    def check_layers(self, num_ws: int) -> None:
        """Check that a generator has its layers.

        Raises:
            DirectionError: It has fewer.
        """
        if self.layers is not None and not all(0 <= layer < num_ws for layer in self.layers):
            raise DirectionError(
                f"direction '{self.name}': expected layers from 0 to {num_ws - 1} for this "
                f"generator, got {max(self.layers)}"
            )

    def calibrated(self, w: Tensor) -> "Direction":
        """Return the same direction with its scale measured over codes (N, D), 10,000 or so.

        For a direction in S they are styles (N, S).
        """
        return replace(self, scale=projection_scale(self.vector, w))


def projection_scale(vector: Tensor, w: Tensor) -> float:
    """Return one standard deviation of codes (N, D) along a direction, in multiples of its length.

    A direction (num_ws, D) in W+ is compared with codes that are repeated for every layer.
    """
    rows = vector[None] if vector.ndim == 1 else vector
    along = w.double() @ rows.double().sum(dim=0).to(w.device)
    return float(along.std() / rows.double().square().sum())


def save_direction(direction: Direction, path: str | os.PathLike[str]) -> None:
    """Write a direction's file, atomically.

    Raises:
        ValueError: The name does not end in `.safetensors`.
        OSError: The file cannot be written.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise ValueError(f"{path}: expected a name ending in {SUFFIX}")
    facts = {field.name: getattr(direction, field.name) for field in fields(direction)}
    facts = {"format": FORMAT, "shape": list(facts.pop("vector").shape)} | facts
    metadata = {key: json.dumps(value) for key, value in facts.items()}
    with atomic_write(path) as temporary:
        temporary.write_bytes(save({"direction": direction.vector}, metadata))


def read_direction(path: str | os.PathLike[str]) -> Direction:
    """Read a direction's file; `restyle.importers.read_direction` reads published ones.

    Raises:
        DirectionError: Missing, empty, damaged, or something else.
    """
    vector, texts = read_tensor(Path(path), "direction", "a direction's file", DirectionError)
    try:
        facts = {key: json.loads(text) for key, text in texts.items()}
        if facts.get("format") != FORMAT:
            raise DirectionError(f"expected a direction ({FORMAT}), got another format")
        facts = {key: _checked(facts, key) for key in _FACTS}
        layers = facts.pop("layers")
        return Direction(vector=vector, layers=None if layers is None else tuple(layers), **facts)
    except DirectionError as error:
        raise DirectionError(f"{path}: {error}") from error
    except Exception as error:  # damaged texts fail in as many ways as they can be damaged
        raise DirectionError(f"{path}: expected a direction's file, got: {error}") from error


def _checked(facts: Mapping[str, Any], key: str) -> Any:
    value = facts.get(key, ...)
    numbers = not isinstance(value, list) or all(type(number) is int for number in value)
    if not isinstance(value, _FACTS[key]) or not numbers:
        raise ValueError(f"no {key}" if value is ... else f"another {key}")
    return value


def directions_in(folder: str | os.PathLike[str]) -> list[Direction]:
    """Read all directions in a folder and in those below it, in the order of their names.

    Raises:
        DirectionError: One of the files is damaged.
    """
    return [read_direction(path) for path in sorted(Path(folder).rglob(f"*{SUFFIX}"))]


def find_direction(
    which: str | os.PathLike[str], generator_sha256: str, known: Iterable[Direction]
) -> Direction:
    """Find a direction by its name, or read it from a file.

    Args:
        which: A name among the known directions, where one of this generator goes before those of
            others; or the path of a file.
        generator_sha256: Hash of the generator's weights.
        known: The directions to choose from.

    Raises:
        DirectionError: There is none of this name, or the file cannot be used.
    """
    named = {}
    for direction in known:
        if direction.name not in named or direction.generator_sha256 == generator_sha256:
            named[direction.name] = direction
    if str(which) in named:
        return named[str(which)]
    if Path(which).suffix == SUFFIX:
        return read_direction(which)
    raise DirectionError(
        f"unknown direction '{which}': expected a direction's file ({SUFFIX}) or one of: "
        f"{', '.join(sorted(named)) or 'none is known'}"
    )
