"""The reconstructions of a part: a tar file beside it, which the part names.

A worker writes it under a name of its own before it writes the part, so that whichever part is
there names a whole file; those of workers that died, or were too late, are removed.
"""

import io
import secrets
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from restyle.io.arrow import pa
from restyle.io.files import atomic_write, sha256
from restyle.io.images import to_pil
from restyle.io.pipeline import Behind
from restyle.jobs.shard_plan import PICTURES, Plan, Shard

_NAME, _HASH = "restyle.pictures", "restyle.pictures_sha256"
Keep = Callable[[int, Tensor], None]
"""Keeps the picture (3, H, W), RGB in [-1, 1], of a row."""


@contextmanager
def kept_pictures(plan: Plan, shard: Shard, facts: dict[str, str]) -> Iterator[Keep | None]:
    """Write the pictures of a shard's rows, each as ROW.png, in a thread.

    Args:
        plan: Says whether pictures are asked for.
        shard: Whose pictures they are.
        facts: Is told, when the block ends, what the part says about them.

    Yields:
        What keeps them; None if they are not asked for.

    Raises:
        OSError: They cannot be written.
    """
    if not plan.facts["options"].get("pictures"):
        yield None
        return
    path = plan.folder / PICTURES / f"part-{shard.name}.{secrets.token_hex(4)}.tar"
    with atomic_write(path) as temporary, tarfile.open(temporary, "w") as archive:

        def keep(row: int, image: Tensor) -> None:
            stream = io.BytesIO()
            to_pil(image).save(stream, format="PNG")
            member = tarfile.TarInfo(f"{row:06}.png")
            member.size = stream.tell()
            stream.seek(0)
            archive.addfile(member, stream)

        with Behind(8) as behind:
            yield lambda row, image: behind(keep, row, image)
    facts |= {_NAME: path.name, _HASH: sha256(path)}


def pictures_of(plan: Plan, table: pa.Table) -> Path | None:
    """Return the pictures that a part names; None if it names none."""
    name = (table.schema.metadata or {}).get(_NAME.encode())
    return None if name is None else plan.folder / PICTURES / Path(name.decode()).name


def remove_others(plan: Plan, shard: Shard, kept: Path | None) -> None:
    """Remove pictures of a shard that no part names."""
    for pattern in (f"part-{shard.name}.*.tar", f".part-{shard.name}.*.tar"):
        for path in (plan.folder / PICTURES).glob(pattern):
            if path != kept:
                path.unlink(missing_ok=True)


def check_pictures(plan: Plan, part: Path, table: pa.Table) -> Path | None:
    """Compare a part's pictures, read as a whole, with what the part says about them.

    Returns:
        Their file; None if there are none, and need not be.

    Raises:
        ValueError: They are missing, or not those of the part.
    """
    path = pictures_of(plan, table)
    if path is None:
        if plan.facts["options"].get("pictures") and table["ws"].null_count < len(table):
            raise ValueError(f"{part}: expected a part that names its pictures, got none")
        return None
    if not path.exists():
        raise ValueError(f"{path}: expected the pictures of {part.name}, got none")
    if sha256(path) != table.schema.metadata[_HASH.encode()].decode():
        raise ValueError(f"{path}: expected the pictures of {part.name}, got other content")
    return path
