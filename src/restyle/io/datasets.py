"""Where pictures are kept: folders, zip files, and WebDataset's shards, listed as entries to read.

Shards are ordinary tar files. They are listed once and then read at any place, rather than streamed
from front to back, so that a resumed training goes on with exactly the pictures that come next.
"""

import io
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from PIL import Image

from restyle.io.images import SUFFIXES, ImageError, decode_image, list_images, read_image
from restyle.io.storage import open_file, read_range

_MAX_ENTRY = 2**28  # bytes: more than the largest picture that is read has in any format


@dataclass(frozen=True)
class Entry:
    """A picture that has not been read yet.

    Attributes:
        name: Its name inside the container, told apart from all others there.
        path: What it is called in messages.
        read: Reads it, or raises `ImageError`.
    """

    name: str
    path: Path
    read: Callable[[], Image.Image]


def list_entries(data: str | Path) -> list[Entry]:
    """List the pictures of a folder, a zip file, or shards, in natural order.

    Args:
        data: A folder (with its subfolders; one that has tar files and no images is a folder of
            shards), a .zip or .tar file, or shards by number: `shards-{000..127}.tar`.

    Raises:
        ImageError: There are none, or the container is damaged.
    """
    path = Path(data)
    if shards := expanded(str(data)):
        return _from_shards(shards)
    if path.suffix.lower() == ".zip":
        return _from_zip(path)
    if path.suffix.lower() == ".tar":
        return _from_shards([path])
    if path.is_dir():
        shards = sorted(path.glob("*.tar"))
        if shards and not any(file.suffix.lower() in SUFFIXES for file in path.rglob("*")):
            return _from_shards(shards)
    elif not path.exists():
        raise ImageError(path, "a folder, a zip file or shards", "nothing of that name")
    files = list_images(path)
    return [Entry(str(f.name), f.path, partial(read_image, f.path)) for f in files]


def expanded(pattern: str) -> list[Path]:
    """Return the files of a pattern such as `shards-{000..127}.tar`; none of another text."""
    if (numbers := re.search(r"\{(\d+)\.\.(\d+)\}", pattern)) is None:
        return []
    start, end = pattern[: numbers.start()], pattern[numbers.end() :]
    width, places = len(numbers[1]), range(int(numbers[1]), int(numbers[2]) + 1)
    return [Path(f"{start}{number:0{width}}{end}") for number in places]


def _from_zip(path: Path) -> list[Entry]:
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # a damaged file fails in as many ways as it can be damaged
        raise ImageError(path, "a zip file", str(error)) from error
    names = sorted(name for name in archive.namelist() if _is_picture(name))
    if not names:
        raise ImageError(path, f"images ({', '.join(SUFFIXES)})", "a zip file without any")
    return [Entry(name, path / name, partial(_read_zipped, archive, path, name)) for name in names]


def _read_zipped(archive: zipfile.ZipFile, path: Path, name: str) -> Image.Image:
    _check_size(archive.getinfo(name).file_size, path / name)
    try:
        content = archive.read(name)
    except Exception as error:  # of the archive, or of a decompressor
        raise ImageError(path / name, "an intact entry", f"a damaged one ({error})") from error
    return decode_image(io.BytesIO(content), path / name)


def _from_shards(shards: list[Path]) -> list[Entry]:
    entries = []
    for shard in shards:
        for name, offset, size in tar_pictures(shard):
            path = shard / name
            read = partial(_read_at, shard, offset, size, path)
            entries.append(Entry(f"{shard.name}/{name}", path, read))
    if not entries:
        raise ImageError(shards[0], f"images ({', '.join(SUFFIXES)})", "shards without any")
    return entries


def tar_pictures(shard: str | Path) -> Iterator[tuple[str, int, int]]:
    """Yield the pictures of a tar file: name, offset and size in bytes.

    Raises:
        ImageError: It is damaged; what lies before the damage has been yielded.
    """
    try:
        with (
            open_file(str(shard)) as stream,
            tarfile.open(fileobj=stream, mode="r:") as archive,
        ):
            for member in archive:
                if member.isfile() and _is_picture(member.name):
                    yield member.name, member.offset_data, member.size
                archive.members = []  # pyright: ignore - tarfile keeps them all
    except ImportError:
        raise
    except Exception as error:  # a damaged file fails in as many ways as it can be damaged
        raise ImageError(shard, "an uncompressed tar file", str(error)) from error


def _read_at(shard: Path, offset: int, size: int, path: Path) -> Image.Image:
    try:
        content = bytes_at(shard, offset, size, path)
    except OSError as error:
        raise ImageError(path, "a readable shard", str(error.strerror)) from error
    return decode_image(io.BytesIO(content), path)


def bytes_at(shard: str | Path, offset: int, size: int, path: str | Path) -> bytes:
    """Read a picture's bytes, called `path`, out of a larger file.

    Raises:
        ImageError: It is larger than any picture.
        OSError: The file cannot be read.
    """
    _check_size(size, path)
    return read_range(str(shard), offset, size)


def _check_size(size: int, path: str | Path) -> None:
    """Refuse a size that a header only claims: it would be allocated before a byte is read."""
    if size > _MAX_ENTRY:
        raise ImageError(path, f"at most {_MAX_ENTRY:,} bytes", f"{size:,}")


def _is_picture(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith((".", "._"))
