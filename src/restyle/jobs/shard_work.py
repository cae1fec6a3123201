"""What a worker does: it takes shards until none is left, and writes a part for each."""

import time
from collections.abc import Sequence
from functools import cached_property

from tqdm import tqdm

from restyle.io.arrow import pa, pq
from restyle.io.files import atomic_write, remove_temporaries
from restyle.jobs.shard_claims import Claims
from restyle.jobs.shard_pictures import pictures_of, remove_others
from restyle.jobs.shard_plan import WORK, Plan, Shard
from restyle.jobs.shard_reports import is_split
from restyle.jobs.shard_settings import RunShards
from restyle.jobs.shard_worker import Worker

_PAUSE = 0.5  # seconds between looks at shards that others hold


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
