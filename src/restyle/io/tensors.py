"""Files of a single tensor, with what is known about it as text beside it."""

from pathlib import Path

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
    """Read a safetensors file of one tensor.

    Args:
        path: The file.
        name: What the tensor is called.
        what: What the file is to be, for messages.
        error: What is raised where it is missing, empty, damaged, or something else.

    Returns:
        The tensor, and the texts beside it.
    """
    check_file(path, what, error)
    try:
        with safe_open(path, "pt") as file:
            names, facts = sorted(file.keys()), file.metadata() or {}
            tensor = file.get_tensor(name) if names == [name] else None
    except Exception as fault:  # a damaged file fails in as many ways as it can be damaged
        raise error(f"{path}: expected {what}, got: {fault}") from fault
    if tensor is None:
        found = ", ".join(names[:3]) or "nothing"
        raise error(f"{path}: expected {what}, got a file that holds {found}")
    return tensor, facts
