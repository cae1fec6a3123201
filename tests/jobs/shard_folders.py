"""What tests of shards look at."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but locks, with its content."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def rows_of(folder: Path) -> pa.Table:
    """All rows of a plan's parts, as a user reads them."""
    return pq.read_table(folder / "parts")
