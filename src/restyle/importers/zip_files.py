"""Limits on zip archives of PyTorch: those that every reader reads alike.

Python's reader and PyTorch's find entries by other rules (which end record holds, whether names
differ in case). Here an archive in which that could matter is refused, so that the pickle that is
checked is the pickle that is read.
"""

import struct
import zipfile
from mmap import mmap
from typing import IO, cast

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_LOCAL = struct.Struct("<4s5H3L2H")
_SIZES_FOLLOW = 8  # flag of an entry whose local header leaves its sizes out


def find_pickle(content: mmap) -> tuple[int, int]:
    """Find the pickle in a file of `torch.save`, after checking that there is no other one.

    Args:
        content: The whole file.

    Returns:
        Where the pickle begins and ends, in bytes.

    Raises:
        ValueError: No zip archive or another one, damaged, compressed, or one that readers could
            take differently: several end records, names, or entries in each other.
    """
    directory, count = _directory(content)
    with zipfile.ZipFile(cast(IO[bytes], content)) as archive:
        entries = archive.infolist()
    if len(entries) != count or archive.start_dir != directory:
        raise ValueError(f"a zip archive of {len(entries)} entries that says it has {count}")
    pickled = f"{entries[0].orig_filename.partition('/')[0]}/data.pkl" if entries else ""
    if pickled not in (entry.orig_filename for entry in entries):
        raise ValueError("another zip archive")
    names, free, found = set(), 0, (0, 0)
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        name = entry.orig_filename
        if not (name.isascii() and name.isprintable()) or name.casefold() in names:
            raise ValueError("a zip archive with names that readers take differently")
        names.add(name.casefold())
        start = _check_entry(content, entry)
        if entry.header_offset < free:
            raise ValueError("a zip archive with entries in each other")
        free = start + entry.file_size
        found = (start, free) if name == pickled else found
    if free > directory:
        raise ValueError("a zip archive with entries beyond its directory")
    return found


def _directory(content: mmap) -> tuple[int, int]:
    """Where the table of entries begins, and how many it has, by the record that all look at first.

    That is the one in the last bytes of the file: all search from there.
    """
    end = len(content) - _END.size
    if end < 0 or content[end : end + 4] != b"PK\x05\x06":
        raise ValueError("a damaged or incomplete zip archive")
    _, _, _, here, count, size, offset, _ = _END.unpack_from(content, end)
    if end >= _LOCATOR.size and content[end - _LOCATOR.size :][:4] == b"PK\x06\x07":
        locator = end - _LOCATOR.size
        end = locator - _END_64.size
        if end < 0 or _LOCATOR.unpack_from(content, locator)[2] != end:
            raise ValueError("a zip archive with several end records")
        signature, *_, here, count, size, offset = _END_64.unpack_from(content, end)
        if signature != b"PK\x06\x06":
            raise ValueError("a damaged or incomplete zip archive")
    if offset + size != end or here != count:
        raise ValueError("a zip archive with several end records")
    return offset, count


def _check_entry(content: mmap, entry: zipfile.ZipInfo) -> int:
    """Check that an entry's own header says what the table says; return where its bytes begin."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        raise ValueError("a compressed archive")
    if entry.header_offset + _LOCAL.size > len(content):
        raise ValueError("a zip archive with entries beyond its end")
    header = _LOCAL.unpack_from(content, entry.header_offset)
    signature, _, flags, method, _, _, _, packed, size, name_length, extra_length = header
    start = entry.header_offset + _LOCAL.size + name_length
    left_out = bool(flags & _SIZES_FOLLOW) and (packed, size) == (0, 0)
    long = size == packed == 2**32 - 1  # then they are in the extra field, which nobody reads
    same = (packed, size) == (entry.compress_size, entry.file_size) or left_out or long
    named = content[start - name_length : start] == entry.orig_filename.encode()
    if signature != b"PK\x03\x04" or method != entry.compress_type or not (same and named):
        raise ValueError("a zip archive whose entries differ from its table")
    return start + extra_length
