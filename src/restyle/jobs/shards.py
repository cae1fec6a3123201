"""`restyle shards run`: one worker, processes that are replaced when they are killed, or Ray's."""

import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from restyle.jobs.shard_plan import PARTS, WORK, Plan
from restyle.jobs.shard_reports import ShardCounts, shards_status
from restyle.jobs.shard_settings import RunShards, ShardsStatus
from restyle.jobs.shard_work import Work

_PAUSE = 0.5  # seconds between looks at processes


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
            first = secrets.randbelow(len(plan.shards))  # workers that start together begin apart
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
