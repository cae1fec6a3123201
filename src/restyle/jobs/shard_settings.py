"""The options of `restyle shards`, free of torch, that the command line derives from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from restyle.jobs.checks import check_least, normalise
from restyle.runtime.options import Device, Dtype, Fit


def _check_here(name: str, folder: str | Path) -> None:
    """Refuse a folder in an object store."""
    if re.match(r"[a-z0-9+.-]{2,}:/", str(folder), re.IGNORECASE):
        raise ValueError(
            f"{name}: expected a folder of a file system with hard links, by which one worker "
            f"alone writes a part, got {folder}; only the images may be in an object store"
        )


@dataclass(frozen=True, kw_only=True)
class PlanShards:
    """Cut millions of images into shards, which any number of workers invert.

    The plan fixes the images and how they are inverted; `restyle shards run OUT` inverts them, on
    as many machines as see the folder. Planning again with the same options changes nothing; other
    options need another folder. Needs the extra `restyle[shards]`.

    Attributes:
        input: A folder that is searched for images, or for tar or Parquet files if it has no
            images; a list (.txt) with a path a line, or an id, a tab and a path; a WebDataset
            (shards.tar, shards-{000..127}.tar); or a Parquet file of images or their paths. All of
            them may be URLs that fsspec knows: s3:// (needs s3fs), gs:// (gcsfs), hf://.
        out: The folder of the plan, its workers and its results.
        model: A bundled model's name, a checkpoint folder, or another project's checkpoint file.
        steps: How often the estimate is refined; auto goes on, image by image, as long as it helps.
            [default: 5, or 1 for a single-shot encoder]
        method: Another way to invert, as `restyle invert` takes it, instead of --steps.
        features: The feature network whose distances a method minimises, as `restyle invert` takes
            it.
        align: Cut out the largest face of each image first. An image without a face fails.
        fit: What becomes of a picture whose shape is not that of the encoder's input: it is
            stretched, its middle is cropped, or it is padded with white.
        dtype: Precision; below float32 by automatic mixed precision.
        keep: The codes that are written: of the last step, or of all, the start first.
        pictures: Write the reconstructions as well: a tar file (OUT/pictures) for each part, in
            which ROW.png belongs to the part's row of that number, from 000000 on.
        shard_size: Images in a shard, the most that a worker that dies has done in vain.
        image_column: The column of Parquet files that holds images or paths. [default: image, or
            bytes, or path, or the only one with bytes]
        id_column: The column of Parquet files that tells images apart. [default: id if there is
            one, else the file's name and the row's number]
    """

    input: str
    out: Path
    model: str = "portraits"
    steps: int | Literal["auto"] | None = None
    method: str | None = None
    features: str | None = None
    align: bool = False
    fit: Fit = "stretch"
    dtype: Dtype = "float32"
    keep: Literal["last", "all"] = "last"
    pictures: bool = False
    shard_size: int = 1000
    image_column: str | None = None
    id_column: str | None = None

    def __post_init__(self) -> None:
        """Refuse options that exclude one another, and numbers out of range."""
        object.__setattr__(self, "input", str(self.input))
        _check_here("out", self.out)
        normalise(self)
        check_least(self, 1, "steps", "shard_size")
        if self.shard_size > 1_000_000:
            raise ValueError(f"shard_size: expected at most 1,000,000, got {self.shard_size:,}")
        if self.method is not None and self.steps is not None:
            raise ValueError("expected --steps or --method, got both")
        if self.method is None and self.features is not None:
            raise ValueError("expected --features together with --method, got it alone")
        if self.keep == "all" and self.steps == "auto":
            raise ValueError(
                "keep: expected last with --steps auto, of which each image takes its own number, "
                "got all"
            )


@dataclass(frozen=True, kw_only=True)
class _Planned:
    """Work on a plan.

    Attributes:
        folder: The folder of a plan, as `restyle shards plan` made it.
    """

    folder: Path

    def __post_init__(self) -> None:
        """Make the folder a path."""
        _check_here("folder", self.folder)
        object.__setattr__(self, "folder", Path(self.folder))


@dataclass(frozen=True, kw_only=True)
class RunShards(_Planned):
    """Take shards of a plan and invert them, until none is left.

    Start it as often as you like, on one machine or on many that see the folder: workers need
    nothing of one another. Each shard becomes FOLDER/parts/part-NUMBER.parquet, once, with a row
    for each image: id, source, sha256, ws, steps, mse, error, seconds. An image that cannot be
    inverted is a row with an error. The shard of a worker that died is free at once on the same
    machine, and elsewhere after the lease; one whose workers died three times is halved, until the
    image is found that kills them.

    Attributes:
        processes: Workers that are started on this machine; one that dies is replaced. Of Ray, the
            most that it starts in its cluster.
        batch_size: Images that are inverted at once.
        lease: Seconds after which the shard of a silent worker on another machine is free.
        device: Where to compute; auto is a GPU where there is one.
        engine: What starts and replaces workers: processes of this machine, or Ray (needs the extra
            `restyle[ray]`), which uses the cluster at RAY_ADDRESS, the one started last on this
            machine, or this machine alone.
        gpus: GPUs of each worker of Ray, such as 0.25 where four share one. [default: 1 where the
            cluster has any and the device is not cpu]
    """

    processes: int = 1
    batch_size: int = 8
    lease: float = 300.0
    device: Device = "auto"
    engine: Literal["processes", "ray"] = "processes"
    gpus: float | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        super().__post_init__()
        check_least(self, 1, "processes", "batch_size")
        if not 1 <= self.lease <= 86_400:
            raise ValueError(f"lease: expected 1 to 86,400 seconds, got {self.lease:g}")
        if self.gpus is not None and self.engine != "ray":
            raise ValueError("expected --gpus together with --engine ray, got it alone")
        if self.gpus is not None and not 0 <= self.gpus <= 64:
            raise ValueError(f"gpus: expected 0 to 64 for each worker, got {self.gpus:g}")


@dataclass(frozen=True, kw_only=True)
class ShardsStatus(_Planned):
    """Say how far the workers of a plan have come."""


@dataclass(frozen=True, kw_only=True)
class VerifyShards(_Planned):
    """Check that every image of a plan has exactly one row, errors included.

    Reads all parts; the exit code is 0 only if nothing is missing, twice, damaged or of another
    plan.
    """
