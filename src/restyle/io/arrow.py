"""Parquet's tables, reader and writer, which the extra `restyle[shards]` installs."""

from restyle.io.imports import needed

with needed("shards", "Parquet is read and written by pyarrow"):
    import pyarrow as pa
    from pyarrow import parquet as pq

__all__ = ["pa", "pq"]
