"""Shards for tests: pictures in tar and in Parquet files."""

import io
import random
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image
from pyarrow import parquet as pq


def pictures(count: int, size: tuple[int, int] = (20, 18), seed: int = 0) -> list[bytes]:
    """PNG files of noise, (height, width) each."""
    random = np.random.default_rng(seed)
    return [png(random.integers(0, 256, (*size, 3), dtype=np.uint8)) for _ in range(count)]


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def write_tars(folder: Path, contents: Sequence[bytes], shards: int = 2) -> Path:
    """Write pictures and a label each, one shard after the other; gives the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(np.array_split(np.arange(len(contents)), shards)):
        with tarfile.open(folder / f"s-{number:03}.tar", "w") as archive:
            for index in part:
                for suffix, content in (("png", contents[index]), ("txt", b"a label")):
                    member = tarfile.TarInfo(f"{index:04}.{suffix}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
    return folder


def write_parquet(
    folder: Path, values: Sequence, files: int = 2, rows: int = 3, column: str = "image"
) -> Path:
    """Write values, images or paths, in groups of rows; gives the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(np.array_split(np.arange(len(values)), files)):
        table = pa.table({"label": part, column: [values[index] for index in part]})
        pq.write_table(table, folder / f"p-{number:03}.parquet", row_group_size=rows)
    return folder


def failing_storage(monkeypatch, share: float = 0.1) -> list[str]:
    """Let a share of the calls of `memory://` fail; gives the list of those that did."""
    monkeypatch.setattr("restyle.io.storage.time.sleep", lambda seconds: None)
    chance, failed = random.Random(0), []

    def flaky(name):
        whole = getattr(MemoryFileSystem, name)

        def call(self, *arguments, **options):
            if chance.random() < share:
                failed.append(name)
                raise OSError("503 slow down")
            return whole(self, *arguments, **options)

        monkeypatch.setattr(MemoryFileSystem, name, call)

    for name in ("cat_file", "ls", "info"):
        flaky(name)
    return failed
