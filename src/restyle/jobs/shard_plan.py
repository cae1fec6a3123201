"""The plan of a large inversion: which images there are, how they are inverted, and in what shards.

`plan.json` says how, `inputs/` holds the table of images, a group of rows for each shard, and
`parts/` and `pictures/` what became of them. A shard whose workers keep dying is replaced by its
halves.
"""

import errno
import hashlib
import json
import os
import shutil
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Self

import numpy as np

from restyle.hub import registry
from restyle.io.arrow import pa, pq
from restyle.io.claims import claim, locked, read_settings
from restyle.io.files import atomic_write, write_json
from restyle.io.images import ImageError
from restyle.io.storage import is_far
from restyle.jobs.alignment import FOUND_WITH
from restyle.jobs.inversion import model_facts
from restyle.jobs.inverters import Inverter, by_method, by_steps
from restyle.jobs.shard_inputs import Listed, list_inputs
from restyle.jobs.shard_settings import PlanShards
from restyle.model import ReStyle

FILE = "plan.json"
WHAT = "the plan of shards"
INPUTS, PARTS, PICTURES, WORK = "inputs", "parts", "pictures", "work"
_GROUPS = 1000  # shards in a file of the table
_TABLE = pa.schema(
    [("id", pa.string()), ("source", pa.binary()), ("place", pa.int64()), ("size", pa.int64())]
)


@dataclass(frozen=True)
class Shard:
    """Images of a plan that one worker inverts at a time, and that become one part.

    Attributes:
        name: Its number, and which half it is of one that was split: `00003`, `00003-1`.
        number: Its row group, counted over all files of the table.
        start: The first of its images in there.
        stop: One past the last.
    """

    name: str
    number: int
    start: int
    stop: int

    def __len__(self) -> int:
        """The number of images."""
        return self.stop - self.start

    def halves(self) -> tuple["Shard", "Shard"]:
        """Split it."""
        middle = (self.start + self.stop) // 2
        return (
            Shard(f"{self.name}-0", self.number, self.start, middle),
            Shard(f"{self.name}-1", self.number, middle, self.stop),
        )


@dataclass(frozen=True)
class Plan:
    """A plan that was made.

    Attributes:
        folder: Where it is.
        facts: What `plan.json` says.
    """

    folder: Path
    facts: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read the plan of a folder.

        Raises:
            ValueError: There is none, or it is damaged.
        """
        facts = read_settings(folder / FILE, WHAT)
        needed = {"settings", "images", "shard_size", "fingerprint", "image_column"}
        if not facts or needed - facts.keys():
            found = "a damaged one" if facts else "none"
            raise ValueError(f"{folder / FILE}: expected {WHAT} (restyle shards plan), got {found}")
        return cls(folder, facts)

    @property
    def images(self) -> int:
        """The number of images."""
        return self.facts["images"]

    @property
    def fingerprint(self) -> str:
        """A hash of the images' ids and places and of all that their codes depend on."""
        return self.facts["fingerprint"]

    @cached_property
    def shards(self) -> list[Shard]:
        """All shards, whole."""
        size = self.facts["shard_size"]
        return [
            Shard(f"{number:05}", number, 0, min(size, self.images - start))
            for number, start in enumerate(range(0, self.images, size))
        ]

    def part(self, shard: Shard) -> Path:
        """Return the file of a shard's results."""
        return self.folder / PARTS / f"part-{shard.name}.parquet"

    def rows(self, shard: Shard) -> list[Listed]:
        """Return the images of a shard, in order."""
        table = self._group(shard.number).slice(shard.start, len(shard))
        columns = (table[name].to_pylist() for name in _TABLE.names)
        return [
            Listed(name, os.fsdecode(source), place, size)
            for name, source, place, size in zip(*columns, strict=True)
        ]

    def ids(self, shard: Shard) -> pa.ChunkedArray:
        """Return the ids of a shard's images, in order."""
        return self._group(shard.number)["id"].slice(shard.start, len(shard))

    def _group(self, number: int) -> pa.Table:
        path = _inputs_file(self.folder, number // _GROUPS)
        try:
            with pq.ParquetFile(path) as table:
                return table.read_row_group(number % _GROUPS)
        except (OSError, pa.ArrowException, IndexError) as error:
            raise ValueError(f"{path}: expected the images of a plan, got: {error}") from error

    def open_model(self, device: str) -> tuple[ReStyle, Inverter]:
        """Load what the images are inverted with.

        Raises:
            ValueError: It is not what the plan was made with.
        """
        settings = self.facts["settings"]
        model = registry.load(settings["given_model"], device, settings["dtype"])
        inverter, found = _settings(self.facts["options"], model)
        for name, wanted in settings.items():
            if found[name] != wanted:
                raise ValueError(
                    f"{self.folder}: expected {name} {wanted!r}, as the shards are planned, "
                    f"got {found[name]!r}"
                )
        return model, inverter


def plan_shards(job: PlanShards) -> Plan:
    """Cut an input into shards, and fix how its images are inverted.

    Raises:
        ImageError: There are no images.
        ValueError: Two images have one id, the folder holds another plan or something else, or the
            model cannot do what is asked for.
        ImportError: The extra `restyle[shards]` is not installed.
    """
    names = ("steps", "method", "features", "align", "fit", "keep", "pictures")
    options = {name: getattr(job, name) for name in names}
    options["model"] = job.model if job.model in registry.bundled() else _place(job.model)
    model = registry.load(job.model, "cpu", job.dtype)
    inverter, settings = _settings(options, model)
    if inverter.alone:
        raise ValueError("method: expected one whose result is a code, got pti, a generator")
    asked = {
        "input": _place(job.input),
        "shard_size": job.shard_size,
        "image_column": job.image_column,
        "id_column": job.id_column,
        "options": options,
        "settings": settings,
    }
    job.out.mkdir(parents=True, exist_ok=True)
    with locked(job.out / "plan.lock"):
        if before := read_settings(job.out / FILE, WHAT):
            claim(job.out / FILE, before | asked, "shards of a plan")
            return Plan.open(job.out)
        _check_links(job.out)
        for folder in (PARTS, PICTURES, WORK):
            if stranger := next((job.out / folder).glob("*"), None):
                raise ValueError(f"{job.out}: expected a folder for a new plan, got {stranger}")
        damaged: dict[str, str] = {}
        try:
            images, digest = _write_inputs(job, list_inputs(job, damaged))
            if not images:
                raise ImageError(job.input, "images", next(iter(damaged.values()), "none"))
        except BaseException:
            shutil.rmtree(job.out / INPUTS, ignore_errors=True)
            raise
        text = json.dumps([asked["settings"], digest], sort_keys=True)
        facts = {
            **asked,
            "images": images,
            "inputs_sha256": digest,
            "fingerprint": hashlib.sha256(text.encode()).hexdigest(),
            "damaged": damaged,
        }
        (job.out / PARTS).mkdir(exist_ok=True)
        (job.out / WORK).mkdir(exist_ok=True)
        write_json(job.out / FILE, facts)
    return Plan(job.out, facts)


def _check_links(folder: Path) -> None:
    """Refuse a folder in which no worker could be the only one that writes a part.

    Raises:
        ValueError: Its file system has no hard links.
    """
    path = folder / f"links-{os.getpid()}"
    try:
        with atomic_write(path, exclusive=True):
            pass
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
            raise
        raise ValueError(
            f"{folder}: expected a file system with hard links, by which one worker alone writes "
            f"a part, got one without: {error.strerror}"
        ) from error
    path.unlink()


def _place(name: str) -> str:
    """Make a path absolute, as workers may start elsewhere; a URL or a registry's name stays."""
    if is_far(name):
        return name
    return os.path.abspath(name) if Path(name).exists() or "{" in name else name


def _settings(options: dict[str, Any], model: ReStyle) -> tuple[Inverter, dict[str, Any]]:
    """Return how images are inverted, and what the results depend on."""
    if options["method"] is None:
        inverter = by_steps(model, options["steps"], None, 1_000_000)
    else:
        inverter = by_method(model, options["method"], options["features"])
    return inverter, {
        **model_facts(model),
        **inverter.settings,
        "given_model": options["model"],
        "dtype": str(model.dtype).removeprefix("torch."),
        "faces_found_with": dict(FOUND_WITH) if options["align"] else None,
        "fit": options["fit"],
        "keep": options["keep"],
    }


def _inputs_file(folder: Path, number: int) -> Path:
    return folder / INPUTS / f"inputs-{number:05}.parquet"


def _write_inputs(job: PlanShards, listed: Iterable[Listed]) -> tuple[int, str]:
    """Write the table of images, and return how many there are and a hash of them all.

    Raises:
        ValueError: Two have one id.
    """
    hashes, digest = array("Q"), hashlib.sha256()
    groups = _grouped(listed, job.shard_size)
    for file in range(1_000_000):
        if (first := next(groups, None)) is None:
            break
        with (
            atomic_write(_inputs_file(job.out, file)) as temporary,
            pq.ParquetWriter(temporary, _TABLE, compression="zstd") as writer,
        ):
            for group in (first, *islice(groups, _GROUPS - 1)):
                for one in group:
                    key = hashlib.blake2b(one.id.encode(), digest_size=8).digest()
                    hashes.frombytes(key)
                rows = [(n, os.fsencode(s), place, size) for n, s, place, size in group]
                digest.update(repr(rows).encode())
                columns = [
                    pa.array(c, t)
                    for c, t in zip(zip(*rows, strict=True), _TABLE.types, strict=True)
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=_TABLE), job.shard_size)
    ordered = np.sort(np.frombuffer(hashes, np.uint64))
    alike = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
    if alike:
        _refuse_duplicates(job, alike)
    return len(hashes), digest.hexdigest()


def _grouped(listed: Iterable[Listed], size: int) -> Iterator[list[Listed]]:
    listed = iter(listed)
    while group := list(islice(listed, size)):
        yield group


def _refuse_duplicates(job: PlanShards, hashes: set[int]) -> None:
    """Look again for ids whose short hashes are alike, and refuse them if they are."""
    found: Counter[str] = Counter()
    for one in list_inputs(job, {}):
        key = hashlib.blake2b(one.id.encode(), digest_size=8).digest()
        if int.from_bytes(key, "little") in hashes:
            found[one.id] += 1
    for name, count in found.items():
        if count > 1:
            raise ValueError(f"{job.input}: expected each id once, got '{name}' {count} times")
