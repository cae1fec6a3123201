"""What a worker of `restyle shards` costs beside its network, and what a large plan does.

    python benchmarks/shards.py worker --images 2000
    python benchmarks/shards.py engines --images 1000
    python benchmarks/shards.py plan --images 10000000 --shard-size 1000

`worker` draws portraits into PNG files and plans them; after a first shard, which warms up, the
bare network inverts as many targets, which are in memory, as a worker does next, in turn, so that a
machine that gets busy slows both down. The processor's seconds are printed as well, which other
programs change less, and the memory of this process. `engines` starts Ray and plain processes
twice, in turn, on plans of the same images; from the first parts to the last their starts are not
counted. `plan` lists images that need not be there, and writes parts without codes, as `status`
reads nothing but their footers.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from restyle import jobs
from restyle.jobs.shard_plan import Plan

COMMAND = [sys.executable, "-m", "restyle", "shards"]


def draw(folder: Path, images: int, size: int) -> Path:
    """Write portraits into a folder."""
    from restyle.portraits import Portraits

    people = Portraits(split="test", size=size)
    folder.mkdir(parents=True)
    for number in range(images):
        Image.fromarray(people[number].image).save(folder / f"{number:06}.png")
    return folder


def planned(source: Path, out: Path, options: argparse.Namespace) -> Plan:
    """Plan a folder of images."""
    return jobs.plan_shards(
        jobs.PlanShards(
            input=str(source), out=out, shard_size=options.shard_size, steps=options.steps
        )
    )


def resident() -> float:
    """Return this process's memory, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmRSS:\s*(\d+)", status)[0]) / 1024


def worker(options: argparse.Namespace, folder: Path) -> None:
    """Measure a worker, shard by shard, beside the bare network."""
    import torch

    from restyle.inversion.targets import to_target
    from restyle.jobs.shard_work import Work

    source = draw(folder / "in", options.images, options.size)
    plan = planned(source, folder / "plan", options)
    batch = options.batch
    work = Work(jobs.RunShards(folder=plan.folder, device="cpu", batch_size=batch), plan)
    model, inverter = plan.open_model("cpu")
    files = sorted(source.iterdir())
    targets = torch.stack([to_target(f, model.domain.input_size) for f in files[: len(files) // 4]])
    inverter.invert(targets[:batch])
    work.finish(plan.shards[:1])
    seconds = {"network": [0.0, 0.0], "worker": [0.0, 0.0]}
    memory = [resident()]
    for shard in plan.shards[1:]:

        def bare(count: int = len(shard)) -> None:
            for start in range(0, count, batch):
                rows = [row % len(targets) for row in range(start, min(start + batch, count))]
                inverter.invert(targets[rows])

        for name, call in (("network", bare), ("worker", lambda one=shard: work.finish([one]))):
            begun = time.perf_counter(), time.process_time()
            call()
            seconds[name][0] += time.perf_counter() - begun[0]
            seconds[name][1] += time.process_time() - begun[1]
        memory.append(resident())
    images = plan.images - len(plan.shards[0])
    network, whole = ([images / s for s in seconds[name]] for name in ("network", "worker"))
    print(f"{plan.images} portraits of {options.size} px, {options.steps} steps, batch {batch}:")
    print(f"  bare network    {network[0]:8.1f} images a second, {network[1]:8.1f} a core's second")
    print(f"  worker          {whole[0]:8.1f} images a second, {whole[1]:8.1f} a core's second")
    shares = [100 * all_of / bare for all_of, bare in zip(whole, network, strict=True)]
    print(f"  share           {shares[0]:8.1f} %, of the processor's {shares[1]:.1f} %")
    growth = 100 * (memory[-1] / memory[0] - 1)
    print(
        f"  memory          {memory[0]:.0f} MiB after the first shard, {growth:+.1f} % at the end"
    )
    shutil.rmtree(plan.folder / "parts")
    shutil.rmtree(plan.folder / "work")
    for name in ("parts", "work"):
        (plan.folder / name).mkdir()
    started = time.perf_counter()
    process = subprocess.Popen([*COMMAND, "run", str(plan.folder), "--batch-size", str(batch)])
    while not any(not one.name.startswith(".") for one in (plan.folder / "parts").iterdir()):
        if process.poll() is not None:
            sys.exit("the worker ended without a part")
        time.sleep(0.05)
    first, ticks = time.perf_counter() - started, os.sysconf("SC_CLK_TCK")
    spent = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    process.terminate()
    process.wait()
    of_core = sum(map(int, spent)) / ticks
    images = f"{len(plan.shards[0])} images"
    print(
        f"  first part      {first:8.1f} s after the start, of {images}; {of_core:.1f} s of a core"
    )


def engines(options: argparse.Namespace, folder: Path) -> None:
    """Compare Ray with plain processes."""
    source = draw(folder / "in", options.images, options.size)
    seconds = {"processes": [0.0, 0.0], "ray": [0.0, 0.0]}
    counted = 0
    for turn in range(2):
        for engine, times in seconds.items():
            out = folder / f"{engine}{turn}"
            plan = planned(source, out, options)
            started = time.time()
            line = [*COMMAND, "run", str(out), "--engine", engine, "--device", "cpu"]
            line += ["--batch-size", str(options.batch), "--processes", str(options.processes)]
            # Ray's workers give way to other programs; here as little as plain ones do.
            environment = {**os.environ, "RAY_worker_niceness": "0"}
            subprocess.run(line, check=True, env=environment)
            ended = sorted(path.stat().st_mtime for path in (out / "parts").iterdir())
            times[0] += ended[-1] - started
            # Those that end together at first were begun before the first ended.
            counted = options.images - options.processes * len(plan.shards[0])
            times[1] += ended[-1] - ended[options.processes - 1]
    print(f"{options.images} portraits of {options.size} px, {options.processes} workers, twice:")
    for engine, (whole, between) in seconds.items():
        rate = 2 * counted / between
        print(f"  {engine:12} {whole / 2:8.1f} s in all, then {rate:8.1f} images a second")
    share = 100 * seconds["processes"][1] / seconds["ray"][1]
    print(f"  Ray's share  {share:8.1f} %")


def plan(options: argparse.Namespace, folder: Path) -> None:
    """Plan many images, and ask for the status when all shards are done."""
    from restyle.io.arrow import pa, pq
    from restyle.jobs.shard_worker import COLUMNS

    names = folder / "list.txt"
    with names.open("w") as lines:
        lines.writelines(f"photos/{n // 1000:05}/{n:08}.jpg\n" for n in range(options.images))
    out = folder / "plan"
    times = [_run("plan", str(names), "--out", str(out), "--shard-size", str(options.shard_size))]
    made = Plan.open(out)
    rows = pa.Table.from_pylist(
        [{"id": "x"}] * len(made.shards[0]),
        pa.schema(list(COLUMNS.items()), {"restyle.fingerprint": made.fingerprint}),
    )
    for shard in made.shards:
        pq.write_table(rows.slice(0, len(shard)), made.part(shard))
    times.append(_run("status", str(out)))
    print(f"{options.images:,} ids in {len(made.shards):,} shards:")
    for name, (seconds, processor) in zip(("plan", "status, all done"), times, strict=True):
        print(f"  {name:18} {seconds:8.1f} s, {processor:8.1f} s of a core")
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"  memory             {most:8.0f} MiB at most")


def _run(*arguments: str) -> tuple[float, float]:
    """Run a command; return the seconds that it took, and those of the processor."""
    before, started = os.times(), time.perf_counter()
    subprocess.run([*COMMAND, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    processor = after.children_user + after.children_system
    return time.perf_counter() - started, processor - before.children_user - before.children_system


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["worker", "engines", "plan"])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--shard-size", type=int, default=100)
    options = parser.parse_args()
    measured = {"worker": worker, "engines": engines, "plan": plan}[options.what]
    with tempfile.TemporaryDirectory(prefix="restyle-shards-") as folder:
        measured(options, Path(folder))


if __name__ == "__main__":
    main()
