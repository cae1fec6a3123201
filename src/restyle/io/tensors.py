"""Files of tensors, with what is known about them as text beside them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor


def check_file(path: Path, what: str, error: type[ValueError]) -> None:
    """Check that there is a file with something in it; raise `error` where there is not."""
    if not path.is_file() or not path.stat().st_size:
        found = "an empty file" if path.is_file() else "nothing of that name"
        raise error(f"{path}: expected {what}, got {found}")


def read_tensor(
    path: Path, name: str, what: str, error: type[ValueError]
) -> tuple[Tensor, dict[str, str]]:
    """Read a safetensors file of the one tensor `name`, as `read_tensors` does."""
    tensors, texts = read_tensors(path, what, error)
    if [*tensors] != [name]:
        found = ", ".join(sorted(tensors)[:3]) or "nothing"
        raise error(f"{path}: expected {what}, got a file that holds {found}")
    return tensors[name], texts


def read_tensors(
    path: Path, what: str, error: type[ValueError]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file.

    Args:
        path: The file.
        what: What the file is to be, for messages.
        error: What is raised where it is missing, empty, damaged, or something else.

    Returns:
        The tensors by name, and the texts beside them.
    """
    with _opened(path, what, error) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


def read_texts(path: Path, what: str, error: type[ValueError]) -> dict[str, str]:
    """Read the texts of a safetensors file alone, as `read_tensors` does."""
    with _opened(path, what, error) as file:
        return file.metadata() or {}


@contextmanager
def _opened(path: Path, what: str, error: type[ValueError]) -> Iterator[Any]:
    check_file(path, what, error)
    try:
        with safe_open(path, "pt") as file:
            yield file
    except Exception as fault:  # a damaged file fails in as many ways as it can be damaged
        raise error(f"{path}: expected {what}, got: {fault}") from fault
