"""Pictures that lie in files of many: entries, and the members of tar files."""

import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

from restyle.io.images import SUFFIXES, ImageError
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
                if member.isfile() and is_picture(member.name):
                    yield member.name, member.offset_data, member.size
                archive.members = []  # pyright: ignore - tarfile keeps them all
    except ImportError:
        raise
    except Exception as error:  # a damaged file fails in as many ways as it can be damaged
        raise ImageError(shard, "an uncompressed tar file", str(error)) from error


def bytes_at(shard: str | Path, offset: int, size: int, path: str | Path) -> bytes:
    """Read a picture's bytes, called `path`, out of a larger file.

    Raises:
        ImageError: It is larger than any picture.
        OSError: The file cannot be read.
    """
    check_size(size, path)
    return read_range(str(shard), offset, size)


def check_size(size: int, path: str | Path) -> None:
    """Refuse a size that a header only claims: it would be allocated before a byte is read.

    Raises:
        ImageError: It is larger than any picture.
    """
    if size > _MAX_ENTRY:
        raise ImageError(path, f"at most {_MAX_ENTRY:,} bytes", f"{size:,}")


def is_picture(name: str) -> bool:
    """Return True for the name of an image file that is not hidden."""
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith((".", "._"))
