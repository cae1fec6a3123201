"""Where pictures are kept: folders, zip files and shards, listed as entries to read."""

import io
import os
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PIL import Image

from restyle.io import storage
from restyle.io.entries import Entry, check_size, is_picture
from restyle.io.images import SUFFIXES, ImageError, decode_image, list_images, read_image
from restyle.io.shards import open_shards

SHARDS = (".tar", ".parquet")


def list_entries(
    data: str | Path, index: Path | None = None, fixed: bool = False
) -> Sequence[Entry]:
    """List the pictures of a folder, a zip file, or shards, in natural order.

    Args:
        data: A folder (with its subfolders; one that has tar or Parquet files and no images is a
            folder of shards), a .zip, .tar or .parquet file, or shards by number or pattern:
            `shards-{000..127}.tar`, `part-*.parquet`. Shards may be far away: `s3://...`.
        index: Where the list of shards is kept, so that it is made once.
        fixed: The shards must be those of the index, if there is one; else it is made anew.

    Raises:
        ImageError: There are none, or the container is damaged.
        ValueError: No column of a Parquet file holds images, or the shards have changed.
        OSError: A shard cannot be read.
    """
    if shards := find_shards(str(data)):
        return open_shards(shards, index, fixed)
    path = Path(data)
    if path.suffix.lower() == ".zip":
        return _from_zip(path)
    if not path.exists():
        raise ImageError(path, "a folder, a zip file or shards", "nothing of that name")
    files = list_images(path)
    return [Entry(str(f.name), f.path, partial(read_image, f.path)) for f in files]


def find_shards(data: str) -> list[str]:
    """Return the tar or Parquet files that a training's data name; none of anything else."""
    here = os.path.exists(data)
    found = [] if here else storage.expanded(data)
    found = found or [data]
    for suffix in SHARDS:
        if all(file.lower().endswith(suffix) for file in found):
            return found
    if storage.is_far(data) or os.path.isdir(data):
        for suffix in SHARDS:
            found = storage.in_folder(data, suffix)
            if found and (storage.is_far(data) or not _has_images(Path(data))):
                return found
    return []


def _has_images(folder: Path) -> bool:
    return any(file.suffix.lower() in SUFFIXES for file in folder.rglob("*"))


def _from_zip(path: Path) -> list[Entry]:
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # a damaged file fails in as many ways as it can be damaged
        raise ImageError(path, "a zip file", str(error)) from error
    names = sorted(name for name in archive.namelist() if is_picture(name))
    if not names:
        raise ImageError(path, f"images ({', '.join(SUFFIXES)})", "a zip file without any")
    return [Entry(name, path / name, partial(_read_zipped, archive, path, name)) for name in names]


def _read_zipped(archive: zipfile.ZipFile, path: Path, name: str) -> Image.Image:
    check_size(archive.getinfo(name).file_size, path / name)
    try:
        content = archive.read(name)
    except Exception as error:  # of the archive, or of a decompressor
        raise ImageError(path / name, "an intact entry", f"a damaged one ({error})") from error
    return decode_image(io.BytesIO(content), path / name)
