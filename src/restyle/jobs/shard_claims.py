"""Who works on a shard: locks on a machine, leases between machines, and who died.

Each try of a shard is a file `NAME.N.json` that is created once, whoever tries: the next try's
file is what declares the one before it dead. A try on this machine is dead when the system has
given back its lock; one elsewhere when its file has not changed for the lease, by this process's
own clock, so that clocks which are wrong do not matter.
"""

import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from restyle.io.claims import locked, read_settings
from restyle.io.files import atomic_write, write_json

DEATHS = 3
"""Workers that may die of a shard before it is split."""


def machine() -> str:
    """Return what tells machines apart, also after a restart and from containers."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return platform.node()


@dataclass
class Claims:
    """The claims of one worker on shards.

    Attributes:
        folder: Where all workers keep theirs.
        lease: Seconds of silence after which a worker on another machine is dead.
    """

    folder: Path
    lease: float
    _seen: dict[Path, tuple[int, float]] = field(default_factory=dict)

    @contextmanager
    def held(self, name: str) -> Iterator[int | None]:
        """Hold a shard, if nobody else does.

        A block that ends in an interruption or an error of the system, such as a full disk, hands
        the shard back; what else ends it counts as a death.

        Yields:
            How many workers have died of it; None if a living one holds it.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.folder / f"{name}.lock"))
            except ValueError:
                yield None
                return
            tries = self._tries(name)
            path = self.folder / f"{name}.{len(tries) + 1}.json"
            try:
                if (tries and not self._is_over(*tries[-1])) or not _create(path):
                    yield None
                    return
                stack.enter_context(_beating(path, self.lease / 4))
                yield sum(not found["over"] for _, found in tries)
            except (KeyboardInterrupt, OSError, MemoryError):
                with suppress(OSError, ValueError):
                    if read_settings(path, "a try of a shard") == _who():
                        write_json(path, _who() | {"over": True})
                raise

    def is_alive(self, name: str) -> bool:
        """Return True if a worker on this machine holds a shard."""
        if not (self.folder / f"{name}.1.json").exists():
            return False
        try:
            with locked(self.folder / f"{name}.lock"):
                return False
        except ValueError:
            return True

    def _tries(self, name: str) -> list[tuple[Path, dict[str, Any]]]:
        tries = []
        while (path := self.folder / f"{name}.{len(tries) + 1}.json").exists():
            tries.append((path, {"over": False} | read_settings(path, "a try of a shard")))
        return tries

    def _is_over(self, path: Path, found: dict[str, Any]) -> bool:
        """Return True if a try has ended, which its lock, that is held here, says on a machine."""
        if found["over"] or found.get("machine") == machine():
            return True
        now, changed = time.monotonic(), path.stat().st_mtime_ns
        before, since = self._seen.get(path, (None, now))
        if before != changed:
            since = now
        self._seen[path] = (changed, since)
        return now - since >= self.lease


def _who() -> dict[str, Any]:
    return {"machine": machine(), "host": platform.node(), "process": os.getpid()}


def _create(path: Path) -> bool:
    """Create a try's file; False if another worker was first."""
    try:
        with atomic_write(path, exclusive=True) as temporary:
            write_json(temporary, _who())
    except FileExistsError:
        return False
    return True


@contextmanager
def _beating(path: Path, seconds: float) -> Iterator[None]:
    """Change a file's time again and again, so that others see that its writer lives."""
    end = threading.Event()

    def beat() -> None:
        while not end.wait(seconds):
            with suppress(OSError):  # storage that fails for a moment
                os.utime(path)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
