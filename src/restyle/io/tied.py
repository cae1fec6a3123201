"""Files of tensors that were measured on other weights, and belong to these alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from restyle.io.bundled import WEIGHTS
from restyle.io.checkpoints import CheckpointError
from restyle.io.files import atomic_write, cache_folder
from restyle.io.tensors import read_tensors, read_texts


@dataclass(frozen=True)
class TiedFile:
    """Where something measured on weights is kept: beside a model, in the package, or in the cache.

    Attributes:
        kind: What it is, such as `styles`: the file's name too.
        ties: The hashes of the weights that it belongs to, by name; the first one is the
            generator's.
        what: What it is called in messages; a file of its kind if empty.
        owners: What the weights are called there.
    """

    kind: str
    ties: Mapping[str, str]
    what: str = ""
    owners: str = "these weights"

    @property
    def name(self) -> str:
        """The file's name in a model's folder."""
        return f"{self.kind}.safetensors"

    @property
    def cached(self) -> Path:
        """Its place in the cache."""
        first, *others = self.ties.values()
        hashes = "-".join([first[:16], *(value[:24] for value in others)])
        return cache_folder() / self.kind / f"{hashes}.safetensors"

    def place(self, folder: Path | None) -> Path:
        """Return where it is written: in a model's folder, or in the cache where there is none."""
        return self.cached if folder is None else folder / self.name

    def find(self, folder: Path | None = None) -> dict[str, Tensor] | None:
        """Return what was kept: in a model's folder, in the package, or in the cache; else None.

        Raises:
            CheckpointError: A file is damaged, or the folder's belongs to another generator.
        """
        first = next(iter(self.ties))
        if folder is not None and (folder / self.name).exists():
            facts = self._facts(folder / self.name)
            if facts == self._wanted or facts.get(first) != self.ties[first]:
                return self.read(folder / self.name)
        for path in self._elsewhere():
            if path.exists() and self._facts(path) == self._wanted:
                return self.read(path)
        return None

    def read(self, path: Path) -> dict[str, Tensor]:
        """Read what `write` wrote.

        Raises:
            CheckpointError: Missing, damaged, something else, or of other weights.
        """
        tensors, facts = read_tensors(path, self._what, CheckpointError)
        if facts.get("kind") != self.kind:
            raise CheckpointError(f"{path}: expected {self._what}, got: {facts.get('kind')}")
        for name, wanted in self.ties.items():
            if facts.get(name) != wanted:
                raise CheckpointError(
                    f"{path}: expected the {self.kind} of {self.owners} ({name} {wanted[:12]}), "
                    f"got {str(facts.get(name))[:12]}"
                )
        if not all(bool(tensor.float().isfinite().all()) for tensor in tensors.values()):
            raise CheckpointError(f"{path}: expected finite numbers, got NaN or infinity")
        return {name: tensor.float() for name, tensor in tensors.items()}

    def write(self, path: Path, tensors: Mapping[str, Tensor]) -> None:
        """Write tensors and what they belong to, atomically."""
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        with atomic_write(path) as temporary:
            temporary.write_bytes(save(plain, self._wanted))

    @property
    def _what(self) -> str:
        return self.what or f"a file of {self.kind}"

    @property
    def _wanted(self) -> dict[str, str]:
        return {"kind": self.kind, **self.ties}

    def _elsewhere(self) -> Iterator[Path]:
        yield from sorted(WEIGHTS.glob(f"*/{self.name}"))  # models share generators
        yield self.cached

    def _facts(self, path: Path) -> dict[str, str]:
        return read_texts(path, self._what, CheckpointError)
