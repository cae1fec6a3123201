"""Mutated files of every kind that restyle reads: refused or read, in bounded time and memory.

Small real files are made on the spot and mutated: bytes flipped, set, inserted, removed, repeated,
lengths changed, for pickles also whole opcodes. Workers read them with a limit of memory and of
time for each file. What hangs, crashes, or leaks an error that is not the reader's own is saved.

    python benchmarks/fuzz.py --seconds 60
"""

import argparse
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from multiprocessing.connection import Connection, wait
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from tests.kinds import Kind, kinds, outcome  # noqa: E402 - the tests are no package of ours
from tests.mutations import mutate  # noqa: E402

MEMORY = 1 << 30  # bytes that one file may add to what a worker takes
SECONDS = 20.0  # for one file
PER_WORKER = 5_000  # files before a worker is replaced


def known_kinds(folder: Path) -> list[Kind]:
    """All kinds, and the network pickle of the parity cases where these are."""
    from restyle import importers

    parity = Path(os.environ.get("RESTYLE_PARITY_DIR", ROOT.parent / "shared" / "parity"))
    real = [Kind(p.name, p.read_bytes(), importers.read) for p in parity.glob("pickle_*.pkl")]
    return [*kinds(folder), *sorted(real)]


def work(pipe: Connection, seed: int, folder: Path, known: list[Kind]) -> None:
    """Read mutated files, telling of each before and after, until stopped by a signal."""
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders print
    rng = random.Random(seed)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    weights = [1 if len(kind.content) > 50_000 else 10 for kind in known]  # large ones take long
    for kind in rng.choices(known, weights, k=PER_WORKER):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        path = folder / kind.name
        path.write_bytes(mutate(kind.content, kind.name, rng))
        pipe.send((kind.name, None))
        pipe.send((kind.name, outcome(kind, path)))
        pipe.recv()  # the file may go
    pipe.close()


class Tally:
    """What came of the files, with the bytes of those at fault."""

    def __init__(self, folder: Path):
        """Count into nothing yet; `folder` is where faults are kept."""
        self.counts: Counter[tuple[str, str]] = Counter()
        self.folder = folder

    def add(self, kind: str, result: str, path: Path) -> None:
        """Count one file, and keep it if it is at fault."""
        group = result if result in ("read", "refused", "hang", "crash") else "leak"
        self.counts[kind, group] += 1
        if group not in ("read", "refused"):
            self.folder.mkdir(parents=True, exist_ok=True)
            kept = self.folder / f"{group}-{self.total()}-{kind}"
            shutil.copy(path, kept)
            print(f"{kept}: {result}", flush=True)

    def total(self, *groups: str) -> int:
        """How many files there were, or how many of some groups."""
        return sum(n for (_, group), n in self.counts.items() if not groups or group in groups)

    def report(self) -> int:
        """Print the counts; return 1 if a file was at fault, else 0."""
        for kind in sorted({kind for kind, _ in self.counts}):
            shown = {group: n for (other, group), n in self.counts.items() if other == kind}
            print(f"{kind:30}", "  ".join(f"{n:6} {group}" for group, n in sorted(shown.items())))
        faults = [self.total(group) for group in ("hang", "crash", "leak")]
        print(
            f"{self.total()} mutated files: {self.total('refused')} refused, "
            f"{self.total('read')} read, {faults[0]} hangs, {faults[1]} crashes, "
            f"{faults[2]} leaked exceptions"
        )
        return int(any(faults))


class Worker:
    """A process that reads, and what it is at."""

    def __init__(self, seed: int, scratch: Path, known: list[Kind]):
        """Start it."""
        self.folder = scratch / str(seed)
        self.pipe, theirs = multiprocessing.Pipe()
        self.reading: str | None = None
        self.since = time.monotonic()
        context = multiprocessing.get_context("fork")  # what is imported and made is there at once
        target = (theirs, seed, self.folder, known)
        self._process = context.Process(target=work, args=target, daemon=True)
        self._process.start()
        theirs.close()

    def listen(self, tally: Tally, ready: bool, finish: bool) -> bool:
        """Take one message; return whether the process goes on, after stopping it if not.

        Args:
            tally: Is told what came of a file.
            ready: Whether there is a message.
            finish: Whether no other file is to be read.
        """
        goes_on = True
        if ready:
            try:
                kind, result = self.pipe.recv()
                self.reading = kind if result is None else None
                self.since = time.monotonic()
                if result is not None:
                    tally.add(kind, result, self.folder / kind)
                    goes_on = not finish
                    self.pipe.send(None)
            except EOFError:
                if self.reading:
                    tally.add(self.reading, "crash", self.folder / self.reading)
                goes_on = False
        elif time.monotonic() - self.since > SECONDS:
            if self.reading:
                tally.add(self.reading, "hang", self.folder / self.reading)
            goes_on = False
        if not goes_on:
            if self._process.pid is not None and self._process.is_alive():
                os.kill(self._process.pid, signal.SIGKILL)
            self._process.join()
            self.pipe.close()
        return goes_on


def fuzz(
    known: list[Kind], scratch: Path, tally: Tally, seconds: float, count: int, *, seed: int = 0
) -> None:
    """Let `count` workers read mutated files of known kinds for a while."""
    workers: list[Worker] = []
    deadline = time.monotonic() + seconds
    while workers or time.monotonic() < deadline:
        finish = time.monotonic() >= deadline
        while len(workers) < count and not finish:
            workers.append(Worker(seed, scratch, known))
            seed += 1
        ready = wait([worker.pipe for worker in workers], timeout=1)
        workers = [w for w in workers if w.listen(tally, w.pipe in ready, finish)]


def main() -> int:
    """Mutate and read for a while, and print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    cores = os.cpu_count() or 1
    parser.add_argument("--workers", type=int, default=cores, help="processes (default: the cores)")
    parser.add_argument("--keep", type=Path, default=Path("runs/fuzz"), help="where faults go")
    options = parser.parse_args()
    torch.set_num_threads(1)  # what forks has no threads
    tally = Tally(options.keep)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (scratch / "kinds").mkdir()
        known = known_kinds(scratch / "kinds")
        fuzz(known, scratch, tally, options.seconds, options.workers, seed=options.seed)
    return tally.report()


if __name__ == "__main__":
    sys.exit(main())
