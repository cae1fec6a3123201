"""`restyle shards run`: workers that take shards until none is left, and write a part for each."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from restyle.faces import NoFaceError, align_faces
from restyle.inversion.results import InversionResult
from restyle.inversion.targets import resized, to_target
from restyle.io.arrow import pa, pq
from restyle.io.files import atomic_write, escaped, remove_temporaries
from restyle.io.images import ImageError, decode_image
from restyle.jobs.inverters import Inverter
from restyle.jobs.shard_claims import DEATHS, Claims
from restyle.jobs.shard_inputs import Listed, Reader
from restyle.jobs.shard_plan import PARTS, WORK, Plan, Shard
from restyle.jobs.shard_reports import ShardCounts, is_split, shards_status
from restyle.jobs.shard_settings import RunShards, ShardsStatus
from restyle.losses.pixels import l2
from restyle.model import ReStyle
from restyle.training.data import ahead

_PAUSE = 0.5  # seconds between looks at shards that others hold
Row = dict[str, Any]


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
        if job.processes > 1:
            _supervise(job, plan)
        else:
            _work(job, plan)
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


def _work(job: RunShards, plan: Plan) -> None:
    worker: Worker | None = None
    claims = Claims(plan.folder / WORK, job.lease)
    first = os.getpid() % len(plan.shards)  # workers that start together begin apart
    waiting = plan.shards[first:] + plan.shards[:first]
    with tqdm(total=plan.images, unit="image", disable=None) as progress:
        while waiting:
            left: list[Shard] = []
            for shard in waiting:
                if not plan.part(shard).exists():
                    worker = worker or Worker.of(plan, job)  # no shard dies of a model
                    with claims.held(shard.name) as deaths:
                        if deaths is not None and not plan.part(shard).exists():
                            _publish(worker.part(shard, deaths), plan, shard)
                if not plan.part(shard).exists():
                    left.append(shard)
                elif is_split(plan, shard):
                    left.extend(shard.halves())
                else:
                    progress.update(len(shard))
            if left == waiting:
                time.sleep(_PAUSE)
            waiting = left


@dataclass(frozen=True)
class Worker:
    """Makes a part of a shard.

    Attributes:
        plan: Says which images there are.
        model: Says what targets look like.
        inverter: How they are inverted.
        batch_size: How many at once.
    """

    plan: Plan
    model: ReStyle
    inverter: Inverter
    batch_size: int

    @classmethod
    def of(cls, plan: Plan, job: RunShards) -> "Worker":
        """Load what a plan's images are inverted with.

        Raises:
            ValueError: It is not what the plan was made with.
        """
        return cls(plan, *plan.open_model(job.device), job.batch_size)

    def part(self, shard: Shard, deaths: int) -> pa.Table:
        """Invert the images of a shard that some workers have died of.

        Returns:
            A row for each image; none if the shard is to be split.
        """
        rows = self.plan.rows(shard)
        if deaths >= DEATHS and len(rows) > 1:
            return self._table([], split=True)
        if deaths >= DEATHS:
            error = f"{rows[0].name}: expected an image that workers survive, got {deaths} deaths"
            return self._table([_row(rows[0]) | {"error": error}])
        reader = Reader(self.plan.facts["image_column"])

        def read(start: int) -> list[tuple[Row, Tensor | None]]:
            return [self._read(reader, one) for one in rows[start : start + self.batch_size]]

        made: list[Row] = []
        for batch in ahead(read, range(0, len(rows), self.batch_size)):
            self._invert([(row, target) for row, target in batch if target is not None])
            made += [row for row, _ in batch]
        return self._table(made)

    def _read(self, reader: Reader, listed: Listed) -> tuple[Row, Tensor | None]:
        row = _row(listed)
        try:
            content = reader(listed)
            row["sha256"] = hashlib.sha256(content).hexdigest()
            picture = decode_image(io.BytesIO(content), listed.name)
            if self.plan.facts["options"]["align"]:
                picture = align_faces(picture, 256, 1)[0].crop
            fit = self.plan.facts["options"]["fit"]
            return row, to_target(picture, self.model.domain.input_size, fit)
        except ImageError as error:
            row["error"] = str(error)
        except NoFaceError as error:
            row["error"] = str(ImageError(listed.name, error.expected, error.found))
        return row, None

    def _invert(self, batch: Sequence[tuple[Row, Tensor]]) -> None:
        """Add to each row what is found; of a batch that fails each image by itself."""
        if not batch:
            return
        started = time.perf_counter()
        try:
            result = self.inverter.invert(torch.stack([target for _, target in batch]))
        except torch.OutOfMemoryError as error:
            raise MemoryError(f"batch_size: expected fewer than {len(batch)}: {error}") from error
        except (ValueError, RuntimeError) as error:
            if len(batch) == 1:
                batch[0][0]["error"] = f"{batch[0][0]['source']}: {' '.join(str(error).split())}"
                return
            for one in batch:
                self._invert([one])
            return
        found = self._found(result)
        seconds = (time.perf_counter() - started) / len(batch)
        for (row, _), facts in zip(batch, found, strict=True):
            row |= facts | {"seconds": seconds}

    def _found(self, result: InversionResult) -> Iterator[Row]:
        whole = self.plan.facts["settings"]["keep"] == "all"
        kept = result.steps if whole else result.steps[-1:]
        ws = torch.stack([step.ws for step in kept], dim=1).half().cpu().numpy()
        images = resized(
            result.image.clamp(-1, 1), (result.target.shape[2], result.target.shape[3])
        )
        mse = l2(images, result.target.to(images)).tolist()
        iterations = self.inverter.settings.get("iterations")
        used = [iterations] * len(mse) if iterations else result.steps_used.tolist()
        for codes, error, steps in zip(ws, mse, used, strict=True):
            yield {"ws": codes, "mse": error, "steps": steps}

    def _table(self, rows: Sequence[Row], split: bool = False) -> pa.Table:
        """Make rows a table, with the plan's fingerprint and the shape of its codes."""
        shape = self._codes()
        ws = np.zeros((len(rows), *shape), np.float16)
        for at, row in enumerate(rows):
            if row["ws"] is not None:
                ws[at] = row["ws"]
        missing = pa.array([row["ws"] is None for row in rows], pa.bool_())
        length = int(np.prod(shape))
        columns: dict[str, pa.Array] = {
            name: pa.array([row[name] for row in rows], kind) for name, kind in _COLUMNS.items()
        }
        columns["ws"] = pa.FixedSizeListArray.from_arrays(
            pa.array(ws.reshape(-1)), type=pa.list_(pa.float16(), length), mask=missing
        )
        facts = {"restyle.fingerprint": self.plan.fingerprint, "restyle.ws_shape": str(list(shape))}
        facts |= {"restyle.split": "1"} if split else {}
        return pa.table(columns).replace_schema_metadata(facts)

    def _codes(self) -> tuple[int, ...]:
        """Return the shape of a row's codes: (num_ws, D), with the steps before it if all."""
        codes = tuple(self.model.start_ws.shape)
        if self.plan.facts["settings"]["keep"] == "last":
            return codes
        kept = len(self.inverter.labels) or self.inverter.settings["steps"] + 1
        return (kept, *codes)


_COLUMNS = {
    "id": pa.string(),
    "source": pa.string(),
    "sha256": pa.string(),
    "steps": pa.int32(),
    "mse": pa.float32(),
    "seconds": pa.float32(),
    "error": pa.string(),
}


def _row(listed: Listed) -> Row:
    known = {"id": listed.id, "source": escaped(listed.source)}
    return dict.fromkeys((*_COLUMNS, "ws")) | known


def _publish(table: pa.Table, plan: Plan, shard: Shard) -> None:
    """Write a part, unless a worker that had been given up for dead has done it meanwhile."""
    path = plan.part(shard)
    remove_temporaries(path.parent, of=path.name)
    try:
        with atomic_write(path, exclusive=True) as temporary:
            pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
    except (FileExistsError, FileNotFoundError):
        return  # the other one removes what this one has half written


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
