"""Images in Parquet files: bytes or paths in a column, read by whole groups of rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from restyle.io.arrow import pa, pq
from restyle.io.images import ImageError
from restyle.io.storage import open_file

_NAMES = ("image", "bytes", "path")
_LARGEST = 2**31  # bytes of the images of a group, which is held in memory


def row_groups(file: str) -> Iterator[tuple[int, int]]:
    """Yield the rows and the bytes of the images of each group of rows, as the footer says.

    Raises:
        ImageError: It is no Parquet file, or a group is too large to be held.
        ValueError: No column holds images.
        OSError: It cannot be read.
    """
    with _opened(file) as table:
        column = image_column(table, file)
        for number in range(table.num_row_groups):
            group, size = table.metadata.row_group(number), 0
            for leaf in range(group.num_columns):
                chunk = group.column(leaf)
                if chunk.path_in_schema.split(".")[0] == column:
                    size += chunk.total_uncompressed_size
            if size > _LARGEST:
                expected = f"at most {_LARGEST:,} bytes of images in a group of rows"
                raise ImageError(
                    file, expected, f"{size:,}; write it with a smaller row_group_size"
                )
            yield group.num_rows, size


def read_group(file: str, number: int) -> pa.ChunkedArray:
    """Read the images of a group of rows: bytes, paths, or dictionaries of `bytes` and `path`.

    Raises:
        ImageError: The file is damaged.
        OSError: It cannot be read.
    """
    with _opened(file) as table:
        column = image_column(table, file)
        return table.read_row_group(number, columns=[column], use_threads=False).column(0)


def image_column(table: pq.ParquetFile, file: str) -> str:
    """Return the column with images: `image`, `bytes` or `path`, or the only one with bytes.

    Raises:
        ValueError: There is none.
    """
    schema: Any = table.schema_arrow
    binary = [field.name for field in schema if _holds_bytes(field.type)]
    for name in (*_NAMES, *(binary if len(binary) == 1 else ())):
        if name in schema.names:
            return name
    known = ", ".join(schema.names) or "none"
    raise ValueError(f"{file}: expected a column '{_NAMES[0]}' with images, got {known}")


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):  # as Hugging Face's data sets keep images
        return kind.get_field_index("bytes") >= 0
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


@contextmanager
def _opened(file: str) -> Iterator[pq.ParquetFile]:
    with open_file(file) as stream:
        try:
            yield pq.ParquetFile(stream, page_checksum_verification=True)
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the storage, not of the content
            raise ImageError(file, "an intact Parquet file", str(error)) from error
