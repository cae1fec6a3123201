"""What makes a part of a shard: images are read ahead, and inverted in batches of one size."""

import hashlib
import io
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from restyle.faces import NoFaceError, align_faces
from restyle.inversion.results import InversionResult
from restyle.inversion.targets import resized, to_target
from restyle.io.arrow import pa
from restyle.io.files import escaped
from restyle.io.images import ImageError, decode_image
from restyle.io.pipeline import ahead
from restyle.jobs.inverters import Inverter
from restyle.jobs.shard_claims import DEATHS
from restyle.jobs.shard_inputs import Listed, Reader
from restyle.jobs.shard_pictures import Keep, kept_pictures
from restyle.jobs.shard_plan import Plan, Shard
from restyle.jobs.shard_settings import RunShards
from restyle.losses.pixels import l2
from restyle.model import ReStyle

Row = dict[str, Any]


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
            return self._table([], {"restyle.split": "1"})
        if deaths >= DEATHS:
            error = f"{rows[0].name}: expected an image that workers survive, got {deaths} deaths"
            return self._table([_row(rows[0]) | {"error": error}])
        made, facts = [_row(listed) for listed in rows], {}
        read = partial(self._read, Reader(self.plan.facts["image_column"]))
        batch: list[tuple[int, Tensor]] = []
        with kept_pictures(self.plan, shard, facts) as keep:
            numbered = enumerate(zip(rows, made, strict=True))
            for (at, _), target in ahead(read, numbered, 2 * self.batch_size):
                if (found := target.result()) is not None:
                    batch.append((at, found))
                if len(batch) == self.batch_size:
                    self._invert(made, batch, keep)
                    batch = []
            self._invert(made, batch, keep)
        return self._table(made, facts)

    def _read(self, reader: Reader, image: tuple[int, tuple[Listed, Row]]) -> Tensor | None:
        """Make an image a target; None if it cannot be, with the reason in its row."""
        _, (listed, row) = image
        try:
            content = reader(listed)
            row["sha256"] = hashlib.sha256(content).hexdigest()
            picture = decode_image(io.BytesIO(content), listed.name)
            if self.plan.facts["options"]["align"]:
                picture = align_faces(picture, 256, 1)[0].crop
            fit = self.plan.facts["options"]["fit"]
            return to_target(picture, self.model.domain.input_size, fit)
        except ImageError as error:
            row["error"] = str(error)
        except NoFaceError as error:
            row["error"] = str(ImageError(listed.name, error.expected, error.found))
        return None

    def _invert(
        self, rows: Sequence[Row], batch: Sequence[tuple[int, Tensor]], keep: Keep | None
    ) -> None:
        """Add what is found to the rows of a batch; of one that fails to each image's by itself."""
        if not batch:
            return
        started = time.perf_counter()
        try:
            result = self.inverter.invert(torch.stack([target for _, target in batch]))
        except torch.OutOfMemoryError as error:
            raise MemoryError(f"batch_size: expected fewer than {len(batch)}: {error}") from error
        except (ValueError, RuntimeError) as error:
            if len(batch) == 1:
                row = rows[batch[0][0]]
                row["error"] = f"{row['source']}: {' '.join(str(error).split())}"
                return
            for one in batch:
                self._invert(rows, [one], keep)
            return
        found = list(self._found(result))
        seconds = (time.perf_counter() - started) / len(batch)
        for (at, _), facts, image in zip(batch, found, result.image, strict=True):
            rows[at].update(facts, seconds=seconds)
            if keep:
                keep(at, image)

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

    def _table(self, rows: Sequence[Row], more: Mapping[str, str] | None = None) -> pa.Table:
        """Make rows a table, with the plan's fingerprint, the shape of its codes, and `more`."""
        shape = self._codes()
        ws = np.zeros((len(rows), *shape), np.float16)
        for at, row in enumerate(rows):
            if row["ws"] is not None:
                ws[at] = row["ws"]
        missing = pa.array([row["ws"] is None for row in rows], pa.bool_())
        length = int(np.prod(shape))
        columns: dict[str, pa.Array] = {
            name: pa.array([row[name] for row in rows], kind) for name, kind in COLUMNS.items()
        }
        columns["ws"] = pa.FixedSizeListArray.from_arrays(
            pa.array(ws.reshape(-1)), type=pa.list_(pa.float16(), length), mask=missing
        )
        facts = {"restyle.fingerprint": self.plan.fingerprint, "restyle.ws_shape": str(list(shape))}
        return pa.table(columns).replace_schema_metadata(facts | dict(more or {}))

    def _codes(self) -> tuple[int, ...]:
        """Return the shape of a row's codes: (num_ws, D), with the steps before it if all."""
        codes = tuple(self.model.start_ws.shape)
        if self.plan.facts["settings"]["keep"] == "last":
            return codes
        kept = len(self.inverter.labels) or self.inverter.settings["steps"] + 1
        return (kept, *codes)


COLUMNS = {
    "id": pa.string(),
    "source": pa.string(),
    "sha256": pa.string(),
    "steps": pa.int32(),
    "mse": pa.float32(),
    "seconds": pa.float32(),
    "error": pa.string(),
}
"""The columns of a part beside its codes."""


def _row(listed: Listed) -> Row:
    known = {"id": listed.id, "source": escaped(listed.source)}
    return dict.fromkeys((*COLUMNS, "ws")) | known
