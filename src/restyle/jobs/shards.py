"""`restyle shards run`: workers that take shards until none is left, and write a part for each."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from tqdm import tqdm

from restyle.io.arrow import pa, pq
from restyle.io.files import atomic_write, remove_temporaries
from restyle.jobs.shard_claims import Claims
from restyle.jobs.shard_pictures import pictures_of, remove_others
from restyle.jobs.shard_plan import PARTS, WORK, Plan, Shard
from restyle.jobs.shard_reports import ShardCounts, is_split, shards_status
from restyle.jobs.shard_settings import RunShards, ShardsStatus
from restyle.jobs.shard_worker import Worker

_PAUSE = 0.5  # seconds between looks at shards that others hold


def run_shards(job: RunShards) -> ShardCounts:
    """Take shards of a plan and invert them until every one has its part, also by other workers.

    Returns:
        What the parts hold.

    Raises:
        ValueError: There is no plan, its model has become another, or parts are of another plan.
        ChildProcessError: Workers end before they take a shard.
        OSError: A part cannot be written.
    """
    plan = Plan.open(job.folder)
    with _stoppable():
        if job.engine == "ray":
            from restyle.jobs.shard_ray import run_on_ray

            run_on_ray(job, plan)
        elif job.processes > 1:
            _supervise(job, plan)
        else:
            first = os.getpid() % len(plan.shards)  # workers that start together begin apart
            with tqdm(total=plan.images, unit="image", disable=None) as progress:
                Work(job, plan).finish(plan.shards[first:] + plan.shards[:first], progress)
    return shards_status(ShardsStatus(folder=job.folder))


@contextmanager
def _stoppable() -> Iterator[None]:
    """Make a scheduler's request to end an interruption, so that shards are handed back."""
    asked = threading.Event()

    def stop(*_: object) -> None:
        asked.set()
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except Exception:
        if asked.is_set():  # and a library made an error of its own of it
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


class Work:
    """One worker's part of a plan: it takes what is free of some shards until they are done."""

    def __init__(self, job: RunShards, plan: Plan) -> None:
        """Take a plan; its model is loaded with the first shard."""
        self._job, self._plan = job, plan
        self._claims = Claims(plan.folder / WORK, job.lease)

    @cached_property
    def _worker(self) -> Worker:
        return Worker.of(self._plan, self._job)

    def finish(self, shards: Sequence[Shard], progress: tqdm | None = None) -> None:
        """Return when each of the shards has its part, or its halves have, whoever made it.

        Args:
            shards: The shards, in the order in which they are looked at.
            progress: Counts images.

        Raises:
            ValueError: The model has become another, or a part is another plan's.
            OSError: A part cannot be written.
        """
        waiting, plan = list(shards), self._plan
        while waiting:
            left: list[Shard] = []
            for shard in waiting:
                self._take(shard)
                if not plan.part(shard).exists():
                    left.append(shard)
                elif is_split(plan, shard):
                    left.extend(shard.halves())
                elif progress is not None:
                    progress.update(len(shard))
            if left == waiting:
                time.sleep(_PAUSE)
            waiting = left

    def _take(self, shard: Shard) -> None:
        """Make a shard's part, unless it is there or another worker is at it."""
        part = self._plan.part(shard)
        if part.exists():
            return
        worker = self._worker  # first, as no shard dies of a model
        with self._claims.held(shard.name) as deaths:
            if deaths is None or part.exists():
                return
            try:
                _publish(worker.part(shard, deaths), self._plan, shard)
            except FileNotFoundError:
                if not part.exists():
                    raise  # else its maker has removed what this one was writing


def _publish(table: pa.Table, plan: Plan, shard: Shard) -> None:
    """Write a part, unless a worker that had been given up for dead has done it meanwhile."""
    path, pictures = plan.part(shard), pictures_of(plan, table)
    remove_temporaries(path.parent, of=path.name)
    try:
        with atomic_write(path, exclusive=True) as temporary:
            pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
    except (FileExistsError, FileNotFoundError):  # the other one removes what is half written
        if pictures is not None:
            pictures.unlink(missing_ok=True)
    else:
        remove_others(plan, shard, pictures)


def _supervise(job: RunShards, plan: Plan) -> None:
    """Run workers as processes, and replace those that are killed."""
    command = [sys.executable, "-m", "restyle", "shards", "run", str(job.folder)]
    command += ["--batch-size", str(job.batch_size), "--lease", str(job.lease)]
    command += ["--device", job.device]
    threads = str(max(1, (os.cpu_count() or 1) // job.processes))
    environment = {"OMP_NUM_THREADS": threads, **os.environ, "TQDM_DISABLE": "1"}
    running: list[tuple[subprocess.Popen[bytes], int]] = []
    try:
        with tqdm(total=len(plan.shards), unit="shard", disable=None) as progress:
            while len(running) < job.processes:
                running.append(_start(command, environment, plan))
            while running:
                time.sleep(_PAUSE)
                progress.update(min(_count(plan.folder / PARTS), len(plan.shards)) - progress.n)
                for one in [one for one in running if one[0].poll() is not None]:
                    running.remove(one)
                    process, before = one
                    if process.returncode == 0:
                        continue
                    if process.returncode > 0 and process.returncode != 137:
                        raise ChildProcessError(f"a worker ended with code {process.returncode}")
                    if _count(plan.folder / WORK) == before:
                        raise ChildProcessError("a worker was killed before it took a shard")
                    running.append(_start(command, environment, plan))
    finally:
        for process, _ in running:
            process.terminate()
        for process, _ in running:
            process.wait()


def _start(
    command: Sequence[str], environment: dict[str, str], plan: Plan
) -> tuple[subprocess.Popen[bytes], int]:
    before = _count(plan.folder / WORK)
    # In a group of their own, workers are interrupted by the supervisor alone, and once.
    group = 0 if os.name == "posix" else None
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, process_group=group
    )
    return process, before


def _count(folder: Path) -> int:
    return sum(1 for one in os.scandir(folder) if not one.name.startswith("."))
