"""`restyle portraits render`: drawings in a folder, with a table of what they show."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from restyle.io.files import append_jsonl, atomic_write, read_jsonl, write_json
from restyle.io.images import save_image
from restyle.portraits import Portraits

METADATA = "metadata.jsonl"


def render_folder(
    out: Path, count: int, style: str, split: str, size: int, start: int, parquet: bool = False
) -> None:
    """Draw portraits into a folder; those that are there already are kept.

    Args:
        out: The folder, made where missing.
        count: How many.
        style: `"photo"` or `"toon"`.
        split: `"train"`, `"val"` or `"test"`.
        size: Height and width in pixels.
        start: Number of the first one within the split.
        parquet: Write the table as Parquet as well.

    Raises:
        ValueError: The split has not so many portraits, or the folder holds others.
        ImportError: The renderer, or Parquet's writer, is not installed.
    """
    people = Portraits(split=split, size=size, style=style)
    if start + count > len(people):
        raise ValueError(
            f"expected at most {len(people):,} portraits of split '{split}', "
            f"got start + count = {start + count:,}"
        )
    people.images([start])  # where the renderer is missing, this says so before anything is written
    _same_kind(out, {"style": style, "split": split, "size": size})
    there = {row["number"] for row in read_jsonl(out / METADATA) if (out / row["file"]).exists()}
    for number in tqdm(range(start, start + count), unit="image", disable=None):
        if number not in there:
            portrait = people[number]
            file = f"images/{number:08d}.png"
            save_image(Image.fromarray(portrait.image), out / file)
            append_jsonl(out / METADATA, _row(number, file, portrait))
    if parquet:
        _write_parquet(out)


def _same_kind(out: Path, kind: dict[str, Any]) -> None:
    """Refuse to mix portraits of several kinds in one folder."""
    path = out / "config.json"
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found != kind:
            raise ValueError(f"{out}: expected portraits of {kind}, got some of {found}")
    else:
        write_json(path, kind)


def _row(number: int, file: str, portrait: Any) -> dict[str, Any]:
    return {
        "number": number,
        "file": file,
        "identity": portrait.identity,
        "attributes": asdict(portrait.attributes),
        "landmarks": [[round(float(v), 3) for v in point] for point in portrait.landmarks],
        "caption": portrait.caption,
    }


def _write_parquet(out: Path) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError("Parquet needs pyarrow: pip install 'restyle[train]'") from error
    rows = {row["number"]: row for row in read_jsonl(out / METADATA)}
    table = pyarrow.Table.from_pylist([rows[number] for number in sorted(rows)])
    with atomic_write(out / "metadata.parquet") as temporary:
        parquet.write_table(table, temporary)
