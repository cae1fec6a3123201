"""Imports that wait until they are needed: public names, and what belongs to an extra."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any


def on_first_use(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a package's `__getattr__`, which imports public names when first used (PEP 562).

    Args:
        package: Its name.
        homes: The module below the package that defines each name; empty for a module itself.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(f"{package}.{homes[name] or name}")
        return getattr(module, name) if homes[name] else module

    return find


@contextmanager
def needed(extra: str, why: str) -> Iterator[None]:
    """Name the extra that is to be installed where an import inside the block fails.

    Args:
        extra: Such as `evaluate`.
        why: The beginning of the sentence, such as "intervals need scipy".

    Raises:
        ImportError: A package is missing.
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(f"{why}: pip install 'restyle[{extra}]'") from error
