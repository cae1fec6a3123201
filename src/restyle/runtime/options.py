"""The names of devices and precisions that options take, and the check of counts; free of torch."""

from __future__ import annotations

from typing import Any, Literal

Device = Literal["auto", "cpu", "cuda", "mps"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]


def check_least(options: Any, least: int, *names: str) -> None:
    """Check that whole numbers among a record's fields are large enough, also inside tuples.

    Raises:
        ValueError: One is below the least; names the field.
    """
    for name in names:
        value = getattr(options, name)
        for found in value if isinstance(value, tuple) else (value,):
            if type(found) is int and found < least:
                raise ValueError(f"{name}: expected a number of {least} or more, got {found}")
