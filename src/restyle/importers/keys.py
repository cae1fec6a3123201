"""Moving weights from foreign names to ours: importers take a table apart until it is empty.

All that reads or takes weights in this package raises `CheckpointError`, which names the file,
where some are missing, left over, mis-shaped or no finite numbers.
"""

import os
import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from restyle.io.checkpoints import FLOATS, CheckpointError, Network, build_strict, listed


def build(
    make: Callable[[], Network], tensors: Mapping[str, Tensor], source: str | os.PathLike[str]
) -> Network:
    """Build a network as `build_strict` does, in evaluation mode, without counters of its norms."""
    try:
        return build_strict(make, tensors, source, counters=False).eval()
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f"{source}: {error}") from error


def is_plain(value: object) -> bool:
    """Tell whether a value is a tensor of ordinary numbers, of whole ones one at a time."""
    return (
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and not value.is_quantized
        and (value.dtype in FLOATS or (value.dtype == torch.int64 and value.numel() <= 1))
    )


class Weights:
    """A foreign table of weights whose entries are taken one by one, each exactly once.

    Attributes:
        source: The file, for messages.
    """

    def __init__(self, tensors: object, source: str | os.PathLike[str]):
        """Copy the table (not its tensors)."""
        self.source = source
        if not isinstance(tensors, Mapping):
            raise self.error("a table", type(tensors).__name__)
        strange = [n for n, t in tensors.items() if not (isinstance(n, str) and is_plain(t))]
        if strange:
            wanted = "tensors of floating-point numbers by name"
            raise self.error(wanted, f"others: {listed(strange)}")
        self._left: dict[str, Tensor] = {n: t for n, t in tensors.items() if isinstance(t, Tensor)}

    def __contains__(self, name: str) -> bool:
        """Tell whether an entry is there and not yet taken."""
        return name in self._left

    def error(self, expected: str, found: object) -> CheckpointError:
        """Return an error that names the file."""
        return CheckpointError(f"{self.source}: expected {expected}, got {found}")

    def names(self) -> list[str]:
        """Return what is left, in the file's order."""
        return list(self._left)

    def shape(self, name: str, ndim: int) -> tuple[int, ...]:
        """Return the shape of an entry that is left, which must have `ndim` dimensions."""
        shape = tuple(self._need(name).shape)
        if len(shape) != ndim:
            raise self.error(f"{name} to have {ndim} dimensions", shape)
        return shape

    def take(self, name: str) -> Tensor:
        """Remove an entry and return it."""
        tensor = self._need(name)
        del self._left[name]
        return tensor

    def take_stack(self, names: list[str], ndim: int) -> Tensor:
        """Remove entries of equal shape, and return them as one tensor of `ndim + 1` dimensions."""
        shapes = {name: self.shape(name, ndim) for name in names}
        odd = next((name for name in names if shapes[name] != shapes[names[0]]), None)
        if odd:
            raise self.error(f"{odd} of {names[0]}'s shape {shapes[names[0]]}", shapes[odd])
        return torch.stack([self.take(name) for name in names])

    def take_prefix(self, prefix: str) -> "Weights":
        """Remove the entries whose names begin with `prefix`, as a table without it."""
        names = [name for name in self._left if name.startswith(prefix)]
        return Weights({n.removeprefix(prefix): self._left.pop(n) for n in names}, self.source)

    def ignore(self, pattern: str) -> None:
        """Remove the entries whose whole names match a regular expression: parts we do not use."""
        self._left = {n: t for n, t in self._left.items() if not re.fullmatch(pattern, n)}

    def rename(
        self, table: Mapping[str, str], ours: str = "", theirs: str = ""
    ) -> dict[str, Tensor]:
        """Take all entries of some layers, under our names.

        Args:
            table: Foreign layer name to our layer name; what follows the layer (`.weight`) stays.
            ours: Goes before our names.
            theirs: Goes before the foreign names.
        """
        taken = {}
        for layer, renamed in table.items():
            start = f"{theirs}{layer}."
            for name in [name for name in self._left if name.startswith(start)]:
                taken[f"{ours}{renamed}.{name.removeprefix(start)}"] = self._left.pop(name)
        return taken

    def finish(self, what: str) -> None:
        """Check that nothing is left."""
        if self._left:
            raise self.error(f"the weights of {what}", f"unexpected: {listed(self.names())}")

    def _need(self, name: str) -> Tensor:
        if name not in self._left:
            found = listed(self.names()) or "nothing"
            raise CheckpointError(f"{self.source}: missing weights: {name} (found {found})")
        return self._left[name]
