"""What became of each input of a command, kept in the manifest of its output folder.

Of several lines of `manifest.jsonl` about one input the last one holds.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from restyle.io.files import append_jsonl, read_jsonl, sha256
from restyle.io.images import ImageError, ImageFile, list_images

FILE = "manifest.jsonl"
Prepared = TypeVar("Prepared")


@dataclass
class Summary:
    """How many inputs were done, failed, and had been done before."""

    done: int = 0
    failed: int = 0
    skipped: int = 0


@dataclass(frozen=True)
class Item:
    """An input: its file, the name of its results, and the hash of its content."""

    file: Path
    name: str
    sha256: str


@dataclass
class Manifest:
    """What the manifest of an output folder says about each input, and what is added to it.

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
        records = read_jsonl(self.out / FILE)
        self.records = {r["input"]: r for r in records if _is_whole(r)}
        self.names = {record["name"].casefold(): path for path, record in self.records.items()}

    def name(self, file: ImageFile) -> str:
        """Return the name of an input's results: always the same, and no other input's."""
        path = os.path.abspath(file.path)
        if path in self.records:
            return self.records[path]["name"]
        stem, whole = file.name.with_suffix("").as_posix(), file.name.as_posix()
        candidates = [stem, whole, *(f"{whole}-{n}" for n in range(2, len(self.names) + 3))]
        name = next(c for c in candidates if self.names.get(c.casefold(), path) == path)
        self.names[name.casefold()] = path
        return name

    def is_done(self, item: Item) -> bool:
        """Return True if this content was done with these settings and the results are there."""
        record = self.records.get(os.path.abspath(item.file), {})
        wanted = {"status": "done", "sha256": item.sha256, **self.settings}
        same = all(record.get(key) == value for key, value in wanted.items())
        return same and all(
            (self.out / path).exists() for path in record.get("outputs", {}).values()
        )

    def add_done(self, item: Item, outputs: Mapping[str, str], **facts: Any) -> None:
        """Append what was made of an input: the paths of its results, and further facts."""
        self.add(item.file, item.name, "done", sha256=item.sha256, outputs=outputs, **facts)

    def add(self, file: Path, name: str, status: str, **facts: Any) -> None:
        """Append a record."""
        record = {"input": os.path.abspath(file), "name": name, "status": status}
        when = datetime.now(UTC).isoformat(timespec="seconds")
        append_jsonl(self.out / FILE, {**record, **facts, **self.settings, "time": when})


def _is_whole(record: dict[str, Any]) -> bool:
    """Whether a line was not changed by others."""
    outputs = record.get("outputs", {})
    texts = [record.get("input"), record.get("name")]
    texts += outputs.values() if isinstance(outputs, dict) else [None]
    return all(isinstance(text, str) for text in texts)


def content_hash(path: Path) -> str:
    """Hash a file; what is no file has none, as it is refused when it is read.

    Raises:
        ImageError: It cannot be read.
    """
    try:
        return sha256(path) if path.is_file() else ""
    except OSError as error:
        raise ImageError(path, "a readable file", str(error.strerror)) from error


def find_inputs(paths: Sequence[str | Path], out: Path, folders: Sequence[str]) -> list[ImageFile]:
    """List the images below some paths, but no results of an earlier call.

    Args:
        paths: Files, which are always listed, and folders.
        out: The output folder. It may lie in a folder that is searched, or be one.
        folders: Where in it the results are.

    Raises:
        ImageError: There are no images.
    """
    named = {os.path.abspath(path) for path in paths}
    results = [Path(os.path.abspath(out / folder)) for folder in folders]
    files = []
    for file in list_images(paths):
        path = Path(os.path.abspath(file.path))
        if str(path) in named or not any(path.is_relative_to(folder) for folder in results):
            files.append(file)
    if not files:
        raise ImageError(paths[0], "images", "only the results of an earlier call")
    return files


def pending(
    files: Sequence[ImageFile],
    manifest: Manifest,
    overwrite: bool,
    summary: Summary,
    progress: tqdm,
    prepare: Callable[[Path], Prepared],
) -> Iterator[tuple[Item, Prepared]]:
    """Go through the inputs that are still to be done; one that fails costs only itself.

    Args:
        files: All inputs.
        manifest: Knows what is done, and is told what fails.
        overwrite: Do again what is done.
        summary: Counts what fails and what is skipped.
        progress: Is moved on by those.
        prepare: Reads an input; an `ImageError` of it is told and recorded.

    Yields:
        Each input, and what was made of it.
    """
    for file in files:
        name = manifest.name(file)
        try:
            item = Item(file.path, name, content_hash(file.path))
            if overwrite or not manifest.is_done(item):
                yield item, prepare(file.path)
                continue
            summary.skipped += 1
        except ImageError as error:
            tqdm.write(f"restyle: {error}", file=sys.stderr)
            manifest.add(file.path, name, "failed", error=str(error))
            summary.failed += 1
        progress.update()
