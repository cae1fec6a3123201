"""`restyle shards`: millions of images, on as many machines as there are."""

from typing import Any

from cyclopts import App

from restyle import jobs
from restyle.cli.derive import FAILED, Command, add_command
from restyle.io.files import printable

app = App(name="shards", help="Invert millions of images, on as many machines as there are.")
_SHOWN = 20  # problems that are printed


def _plan(job: jobs.PlanShards) -> int:
    plan = jobs.plan_shards(job)
    print(printable(f"{plan.images:,} images in {len(plan.shards):,} shards; plan in {job.out}"))
    damaged = plan.facts["damaged"]
    _list([f"{file} is damaged: {error}" for file, error in damaged.items()])
    return FAILED if damaged else 0


def _run(job: jobs.RunShards) -> None:
    _report(jobs.run_shards(job))


def _status(job: jobs.ShardsStatus) -> None:
    _report(jobs.shards_status(job))


def _verify(job: jobs.VerifyShards) -> int:
    counts = jobs.verify_shards(job)
    _report(counts)
    _list(counts.problems)
    return FAILED if counts.problems else 0


def _report(counts: Any) -> None:
    print(
        f"{counts.parts:,} of {counts.shards:,} shards done, {counts.held:,} in work here; "
        f"{counts.done:,} of {counts.images:,} images inverted, {counts.failed:,} failed"
    )


def _list(problems: list[str]) -> None:
    for problem in problems[:_SHOWN]:
        print(printable(problem))
    if len(problems) > _SHOWN:
        print(f"and {len(problems) - _SHOWN:,} more")


add_command(app, "plan", jobs.PlanShards, _plan, Command(positional="input"))
add_command(app, "run", jobs.RunShards, _run, Command(positional="folder"))
add_command(app, "status", jobs.ShardsStatus, _status, Command(positional="folder"))
add_command(app, "verify", jobs.VerifyShards, _verify, Command(positional="folder"))
