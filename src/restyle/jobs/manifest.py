"""The manifest of an output folder: each input of a command, and its results or its error.

Of several lines of `manifest.jsonl` about one input the last one holds.
"""

import hashlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from restyle.editing.latents import LatentsError
from restyle.io.claims import check_own, locked
from restyle.io.files import append_jsonl, printable, read_jsonl, remove_temporaries, sha256
from restyle.io.images import SUFFIXES, ImageError, ImageFile, list_images
from restyle.io.pipeline import READERS, ahead

FILE = "manifest.jsonl"
LOCK = "run.lock"
_LONGEST = 120  # bytes of a part of a name: systems take 255, and directions' names come behind it
Prepared = TypeVar("Prepared")


@dataclass
class Summary:
    """Counts of inputs that were done, failed, or had been done before.

    Attributes:
        done: Inputs that were done.
        failed: Inputs that could not be.
        skipped: Inputs that had been done before.
        passed_over: Files in the folders of the inputs that are none, by their kind.
        stretched: Inputs that were done, in another shape than their own.
        unlike: Inputs that were done, but do not show what the model knows.
    """

    done: int = 0
    failed: int = 0
    skipped: int = 0
    passed_over: Mapping[str, int] = field(default_factory=dict)
    stretched: int = 0
    unlike: int = 0


@dataclass(frozen=True)
class Item:
    """An input: its file, the name of its results, and the hash of its content."""

    file: Path
    name: str
    sha256: str


@dataclass
class Manifest:
    """The manifest of an output folder: records of inputs, and what is added to them.

    Attributes:
        out: The output folder.
        settings: What the results depend on besides the input.
        records: The last record of each input.
    """

    out: Path
    settings: dict[str, Any]
    records: dict[str, dict[str, Any]] = field(init=False)
    names: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        """Read the manifest where there is one."""
        self._read()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the output folder, made where missing, against other processes.

        A run that did not end leaves the lock's file, and what it had half written, which is
        removed by the next one.

        Raises:
            ValueError: Another process is at work there.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        lock = self.out / LOCK
        unfinished = lock.exists()
        with locked(lock):
            if unfinished:
                remove_temporaries(self.out)
            self._read()  # another process may have gone on meanwhile
            yield
            with suppress(OSError):  # some systems keep a file that is open
                lock.unlink()

    def _read(self) -> None:
        records = read_jsonl(self.out / FILE)
        self.records = {r["input"]: r for r in records if _is_whole(r)}
        self.names = {record["name"].casefold(): path for path, record in self.records.items()}

    def name(self, file: ImageFile) -> str:
        """Return the name of an input's results: always the same, and no other input's.

        It is the input's, made short and printable.
        """
        path = os.path.abspath(file.path)
        if path in self.records:
            return self.records[path]["name"]
        stem, whole = _safe(file.name.with_suffix("")), _safe(file.name)
        candidates = [stem, whole, *(f"{whole}-{n}" for n in range(2, len(self.names) + 3))]
        name = next(c for c in candidates if self.names.get(c.casefold(), path) == path)
        self.names[name.casefold()] = path
        return name

    def is_done(self, item: Item) -> bool:
        """Return True if this content was done with these settings and the results are there."""
        record = self.records.get(os.path.abspath(item.file), {})
        wanted = {"status": "done", "sha256": item.sha256, **self.settings}
        same = all(record.get(key) == value for key, value in wanted.items())
        outputs = [self.out / path for path in record.get("outputs", {}).values()]
        return same and all(path.is_file() and path.stat().st_size for path in outputs)

    def add_done(self, item: Item, outputs: Mapping[str, str], **facts: Any) -> None:
        """Append what was made of an input: the paths of its results, and further facts."""
        self.add(item.file, item.name, "done", sha256=item.sha256, outputs=outputs, **facts)

    def add_samples(self, seeds: Sequence[int], outputs: Mapping[str, str]) -> None:
        """Append what was made of one of a generator's own pictures, or of several together."""
        which = {"seed": seeds[0]} if len(seeds) == 1 else {"seeds": list(seeds)}
        append_jsonl(self.out / FILE, {**which, "outputs": outputs, **self.settings})

    def add(self, file: Path, name: str, status: str, **facts: Any) -> None:
        """Append a record."""
        record = {"input": os.path.abspath(file), "name": name, "status": status}
        when = datetime.now(UTC).isoformat(timespec="seconds")
        append_jsonl(self.out / FILE, {**record, **facts, **self.settings, "time": when})


def _is_whole(record: dict[str, Any]) -> bool:
    """Tell whether a line was not changed by others."""
    outputs = record.get("outputs", {})
    texts = [record.get("input"), record.get("name")]
    texts += outputs.values() if isinstance(outputs, dict) else [None]
    return all(isinstance(text, str) for text in texts)


def _safe(name: Path) -> str:
    """Make every part of a name printable, and so short that endings fit behind it."""
    parts = []
    for part in name.parts:
        known = "".join(c if c.isprintable() else "_" for c in part)
        short = known.encode()[:_LONGEST].decode(errors="ignore")
        digest = hashlib.sha256(os.fsencode(part)).hexdigest()[:8]
        parts.append(part if short == part else f"{short}-{digest}")
    return "/".join(parts)


def content_hash(path: Path) -> str:
    """Hash a file; what is no file has none, as it is refused when it is read.

    Raises:
        ImageError: It cannot be read.
    """
    try:
        return sha256(path) if path.is_file() else ""
    except OSError as error:
        raise ImageError(path, "a readable file", str(error.strerror)) from error


def find_inputs(
    paths: Sequence[str | Path],
    out: Path,
    folders: Sequence[str],
    suffixes: Sequence[str] = SUFFIXES,
) -> tuple[list[ImageFile], Summary]:
    """List the images below some paths, but no results of an earlier call.

    Args:
        paths: Files, which are always listed, and folders.
        out: The output folder. It may lie in a folder that is searched, or be one.
        folders: Where in it the results are.
        suffixes: What names of inputs end in.

    Returns:
        The files, and a summary that counts the others.

    Raises:
        ImageError: There are no images.
        ValueError: The folders of the results hold files of somebody else.
    """
    _check_own(out, folders)
    named = {os.path.abspath(path) for path in paths}
    results = [Path(os.path.abspath(out / folder)) for folder in folders]
    others: Counter[str] = Counter()
    files = []
    for file in list_images(paths, suffixes=suffixes, passed_over=others):
        path = Path(os.path.abspath(file.path))
        if str(path) in named or not any(path.is_relative_to(folder) for folder in results):
            files.append(file)
    if paths and not files:
        raise ImageError(paths[0], "images", "only the results of an earlier call")
    return files, Summary(passed_over=others)


def _check_own(out: Path, folders: Sequence[str]) -> None:
    """Refuse folders with files that no manifest, and no run that was interrupted, knows of."""
    if (out / LOCK).exists():
        return
    outputs = [record.get("outputs") or {} for record in read_jsonl(out / FILE)]
    known = {Path(path).parts[0] for paths in outputs for path in paths.values()}
    check_own(out, {*folders} - known)


def pending(
    files: Sequence[ImageFile],
    manifest: Manifest,
    overwrite: bool,
    summary: Summary,
    progress: tqdm,
    prepare: Callable[[Path], Prepared],
    *,
    count: int = 2 * READERS,
) -> Iterator[tuple[Item, Prepared]]:
    """Go through the inputs that are still to be done; one that fails costs only itself.

    Args:
        files: All inputs.
        manifest: Knows what is done, and is told what fails.
        overwrite: Do again what is done.
        summary: Counts what fails and what is skipped.
        progress: Is moved on by those.
        prepare: Reads an input, in any thread; an `ImageError` of it is told and recorded.
        count: How many inputs reading is ahead, at most.

    Yields:
        Each input, and what was made of it.
    """

    def look(named: tuple[ImageFile, str]) -> tuple[Item, Prepared | None]:
        file, name = named
        item = Item(file.path, name, content_hash(file.path))
        done = not overwrite and manifest.is_done(item)
        return item, None if done else prepare(file.path)

    named = ((file, manifest.name(file)) for file in files)
    for (file, name), found in ahead(look, named, count):
        try:
            item, prepared = found.result()
            if prepared is not None:
                yield item, prepared
                continue
            summary.skipped += 1
        except (ImageError, LatentsError) as error:
            tqdm.write(f"restyle: {printable(str(error))}", file=sys.stderr)
            manifest.add(file.path, name, "failed", error=str(error))
            summary.failed += 1
        progress.update()
