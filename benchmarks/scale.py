"""What millions of images cost: measured, computed for a plan, and simulated with failures.

`costs` runs `restyle shards` on a few drawn portraits: with the bundled model of 128 px, and with
models of the official size for 256 and 1024 px, whose weights are random, as speed does not depend
on them. Seconds are those of one processor core, whatever else the machine does.

    python benchmarks/scale.py costs
    python benchmarks/scale.py listing
    python benchmarks/scale.py failures --svg docs/scale.svg
"""

import argparse
import io
import math
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import torch
from PIL import Image
from pyarrow import parquet as pq
from simulation import DAY, HOUR, LEASE, Cluster, simulate
from speed import random_model

from restyle import jobs
from restyle.io.images import save_image
from restyle.io.shards import open_shards
from restyle.io.tables import Column, Table
from restyle.jobs.shard_plan import Plan
from restyle.portraits import Portraits

PLANS, WORKERS = (10**6, 10**8, 10**9), (1, 64, 1024)
YEAR = 365 * DAY
SHARD = 1000  # images
LOOKS = 2000  # that are timed
STEPS = 5


@dataclass(frozen=True)
class Cost:
    """What an image costs.

    Attributes:
        size: Pixels of a side.
        seconds: Of one core.
        loading: Seconds in which the model is opened.
        read: Bytes of its file.
        written: Bytes of its row, compressed.
    """

    size: int
    seconds: float
    loading: float
    read: float
    written: float


def measure(size: int, count: int, folder: Path) -> tuple[Cost, Plan]:
    """Invert so many portraits of a size as a plan of one shard."""
    model = "portraits"
    if size > 128:
        random_model(size).save_pretrained(folder / "model")
        model = str(folder / "model")
    portraits = Portraits(size=size)
    for index in range(count):
        save_image(Image.fromarray(portraits[index].image), folder / "images" / f"{index}.png")
    job = jobs.PlanShards(
        input=str(folder / "images"), out=folder / "plan", model=model, steps=STEPS
    )
    plan = jobs.plan_shards(job)
    loading = _core_seconds(lambda: plan.open_model("cpu"))
    run = jobs.RunShards(folder=plan.folder, device="cpu", batch_size=min(8, count))
    seconds = _core_seconds(lambda: jobs.run_shards(run)) - loading
    read = sum(path.stat().st_size for path in (folder / "images").iterdir())
    with pq.ParquetFile(plan.part(plan.shards[0])) as part:
        group = part.metadata.row_group(0)
        written = sum(group.column(at).total_compressed_size for at in range(group.num_columns))
    return Cost(size, seconds / count, loading, read / count, written / count), plan


def _core_seconds(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def looks_a_second(plan: Plan) -> float:
    """Return how many parts a core can look for in a second on this machine's disk."""
    started = time.perf_counter()
    for _ in range(LOOKS):
        plan.part(plan.shards[0]).exists()
    return LOOKS / (time.perf_counter() - started)


def an_image(costs: Sequence[Cost]) -> Table:
    """Return what was measured."""
    numbers = [Column("core-seconds", ".3g"), Column("images a core and hour", ",.0f")]
    numbers += [Column("KB in", ",.0f"), Column("KB out", ",.1f"), Column("opening, s", ".1f")]
    rows = [
        (f"{c.size}", c.seconds, HOUR / c.seconds, c.read / 1e3, c.written / 1e3, c.loading)
        for c in costs
    ]
    return Table(["px", *numbers], rows)


def a_plan(costs: Sequence[Cost]) -> Table:
    """Return what plans take, if nothing fails."""
    columns = [Column("px"), Column("images", ",")]
    columns += [Column(name, ",.3g") for name in ("TB in", "TB out", "core-years")]
    columns += [Column(f"{workers:,} worker{'s' * (workers > 1)}") for workers in WORKERS]
    rows = [
        (
            f"{c.size}",
            images,
            images * c.read / 1e12,
            images * c.written / 1e12,
            images * c.seconds / YEAR,
            *(duration(images * c.seconds / workers) for workers in WORKERS),
        )
        for c in costs
        for images in PLANS
    ]
    return Table(columns, rows)


def duration(seconds: float) -> str:
    """Return a time in hours, days or years."""
    for unit, length in (("years", YEAR), ("days", DAY), ("hours", HOUR)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.3g} {unit}"
    return f"{seconds / 60:,.3g} minutes"


def limits(costs: Sequence[Cost], calls: float) -> Table:
    """Return what all workers ask of the storage, and how many of them it bears.

    Each worker looks once for every part, whoever wrote it: a call for `SHARD` images of all
    workers together, so that the calls grow with the square of the workers.
    """
    workers = WORKERS[-1]
    columns = [Column("px"), Column("MB/s in", ",.3g"), Column("MB/s out", ",.3g")]
    columns += [Column("looks/s", ",.3g"), Column(f"workers at {calls:,.0f} looks/s", ",.0f")]
    rows = [
        (
            f"{c.size}",
            workers * c.read / c.seconds / 1e6,
            workers * c.written / c.seconds / 1e6,
            workers**2 / (SHARD * c.seconds),
            math.sqrt(calls * SHARD * c.seconds),
        )
        for c in costs
    ]
    return Table(columns, rows)


def costs(options: argparse.Namespace) -> None:
    """Measure, and print what follows."""
    torch.set_num_threads(1)
    found, looks = [], 0.0
    for size, count in (map(int, one.split(":")) for one in options.sizes):
        with tempfile.TemporaryDirectory() as folder:
            cost, plan = measure(size, count, Path(folder))
            looks = looks_a_second(plan)
        found.append(cost)
    print(f"An image, {STEPS} steps, one core:\n\n{an_image(found).markdown()}\n")
    print(f"A plan, a core each worker, nothing fails:\n\n{a_plan(found).markdown()}\n")
    print(f"{WORKERS[-1]:,} workers, shards of {SHARD:,}:\n")
    print(f"{limits(found, options.calls).markdown()}\n")
    print(f"This disk answers {looks:,.0f} looks a second.")


SCENARIOS = {
    "nothing fails": {},
    "5 % of the workers take 3 times as long": {"slow": 0.05},
    "preempted every 6 hours, with notice": {"preempted": 6 * HOUR, "notice": True},
    "preempted every 6 hours, killed": {"preempted": 6 * HOUR},
    "preempted every hour, killed": {"preempted": HOUR},
    "1 of 1,000 storage calls is lost": {"lost": 0.001},
    "1 of 10 storage calls is lost": {"lost": 0.1},
    "all of it": {"slow": 0.05, "preempted": 6 * HOUR, "lost": 0.001, "deadly": (1234,)},
}
RATES = {"never": math.inf, "every day": DAY, "every 6 hours": 6 * HOUR, "every hour": HOUR}
SIZES = (250, 500, 1000, 2000, 4000, 8000)


def scenarios(base: Cluster) -> Table:
    """Run a plan with each kind of failure."""
    rows = []
    for name, changes in SCENARIOS.items():
        found = simulate(cluster := replace(base, **changes))
        whole = cluster.workers * found.time
        shares = (100 * part / whole for part in (found.wasted, found.idle, found.down))
        counts = (found.deaths, found.splits, found.twice, found.blamed, found.unread)
        rate = found.looks / found.time
        rows.append((name, found.time / HOUR, found.time / cluster.ideal, *shares, *counts, rate))
    numbers = [Column("hours", ",.2f"), Column("of the ideal", ".2f")]
    numbers += [Column(name, ".1f") for name in ("% wasted", "% idle", "% down")]
    numbers += [Column(name, ",") for name in ("deaths", "halved", "twice", "blamed")]
    numbers += [Column("unread", ",.3g"), Column("looks/s", ",.0f")]
    return Table(["what happens", *numbers], rows)


def draw(base: Cluster, path: Path) -> None:
    """Draw time over the ideal by the size of the shards and how often workers are killed."""
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "restyle"  # the same file from the same numbers
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for name, preempted in RATES.items():
        clusters = [replace(base, shard_size=size, preempted=preempted) for size in SIZES]
        times = [simulate(cluster).time / cluster.ideal for cluster in clusters]
        axes.plot(SIZES, times, marker="o", label=f"killed {name}")
    axes.set(xscale="log", xlabel="images in a shard", ylabel="time, of the ideal")
    axes.set_xticks(SIZES, [f"{size:,}" for size in SIZES])
    axes.minorticks_off()
    axes.legend()
    figure.savefig(path, metadata={"Date": None})


def listing(options: argparse.Namespace) -> None:
    """List a tar file and a Parquet file, as a training on shards does once."""
    content = bytes(1000)
    with tempfile.TemporaryDirectory() as folder:
        tar, table = Path(folder, "x.tar"), Path(folder, "x.parquet")
        with tarfile.open(tar, "w") as archive:
            for number in range(options.images):
                member = tarfile.TarInfo(f"{number:09}.jpg")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        images = pa.table({"image": [content] * options.images})
        pq.write_table(images, table, row_group_size=SHARD)
        for file in (tar, table):
            started = time.process_time()
            found = open_shards([str(file)])
            seconds = (time.process_time() - started) / options.images
            held = sum(array.nbytes for array in found.table.values()) / options.images
            print(f"{file.suffix}: {1e6 * seconds:.3g} s and {held:.3g} MB a million images")


def failures(options: argparse.Namespace) -> None:
    """Simulate, print the table, and draw the figure."""
    names = ("images", "workers", "seconds", "shard_size", "lease", "seed")
    base = Cluster(**{name: getattr(options, name) for name in names})
    print(
        f"{base.images:,} images in shards of {base.shard_size:,}, {base.workers:,} workers, "
        f"{base.seconds:g} s an image, a lease of {base.lease:g} s: ideally "
        f"{base.ideal / HOUR:,.2f} hours\n\n{scenarios(base).markdown()}"
    )
    if options.svg is not None:
        draw(base, options.svg)


def main() -> None:
    """Read the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(required=True)
    measured = commands.add_parser("costs", help="measure and compute")
    measured.set_defaults(run=costs)
    sizes = ["128:64", "256:4", "1024:2"]
    measured.add_argument("--sizes", nargs="+", default=sizes, help="pixels:images to measure")
    measured.add_argument("--calls", type=float, default=10_000, help="a second, of the storage")
    listed = commands.add_parser("listing", help="measure how shards are listed for a training")
    listed.set_defaults(run=listing)
    listed.add_argument("--images", type=int, default=100_000)
    simulated = commands.add_parser("failures", help="simulate")
    simulated.set_defaults(run=failures)
    simulated.add_argument("--images", type=int, default=10_000_000)
    simulated.add_argument("--workers", type=int, default=256)
    simulated.add_argument("--seconds", type=float, default=0.25, help="of a worker, an image")
    simulated.add_argument("--shard-size", type=int, default=SHARD)
    simulated.add_argument("--lease", type=float, default=LEASE)
    simulated.add_argument("--seed", type=int, default=0)
    simulated.add_argument("--svg", type=Path, help="draw time by the size of shards, too")
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
