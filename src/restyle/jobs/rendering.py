"""`restyle portraits render`: drawings in a folder, with a table of what they show."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from restyle.io.claims import claim
from restyle.io.files import append_jsonl, atomic_write, read_jsonl
from restyle.io.images import save_image
from restyle.io.imports import needed
from restyle.jobs.settings import Render
from restyle.portraits import Portrait, Portraits

METADATA = "metadata.jsonl"
RESULTS = ("images", METADATA, "metadata.parquet")


def render(job: Render) -> None:
    """Draw portraits into a folder; those that are there already are kept.

    Raises:
        ValueError: The split has fewer portraits, or the folder holds others.
        ImportError: The renderer, or Parquet's writer, is not installed.
    """
    people = Portraits(split=job.split, size=job.size, style=job.style)
    end, table = job.start + job.count, job.out / METADATA
    if end > len(people):
        raise ValueError(
            f"expected at most {len(people):,} portraits of split '{job.split}', "
            f"got start + count = {end:,}"
        )
    people.images([job.start])  # a missing renderer is told of before anything is written
    kind = {"style": job.style, "split": job.split, "size": job.size}
    claim(job.out / "config.json", kind, "portraits", results=RESULTS)
    there = {row["number"] for row in read_jsonl(table) if (job.out / row["file"]).exists()}
    for number in tqdm(range(job.start, end), unit="image", disable=None):
        if number not in there:
            portrait = people[number]
            file = f"images/{number:08d}.png"
            save_image(Image.fromarray(portrait.image), job.out / file)
            append_jsonl(table, _row(number, file, portrait))
    if job.parquet:
        _write_parquet(job.out)


def _row(number: int, file: str, portrait: Portrait) -> dict[str, Any]:
    return {
        "number": number,
        "file": file,
        "identity": portrait.identity,
        "attributes": asdict(portrait.attributes),
        "landmarks": [[round(float(v), 3) for v in point] for point in portrait.landmarks],
        "caption": portrait.caption,
    }


def _write_parquet(out: Path) -> None:
    with needed("train", "Parquet needs pyarrow"):
        import pyarrow
        from pyarrow import parquet
    rows = {row["number"]: row for row in read_jsonl(out / METADATA)}
    table = pyarrow.Table.from_pylist([rows[number] for number in sorted(rows)])
    with atomic_write(out / "metadata.parquet") as temporary:
        parquet.write_table(table, temporary)
