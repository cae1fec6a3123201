"""The commands that are jobs: on files, on samples, and those that draw portraits."""

import sys
from typing import Any

from cyclopts import App

from restyle import jobs
from restyle.app.settings import Page
from restyle.cli.derive import FAILED, Command, Run, add_command, function
from restyle.io.files import printable
from restyle.jobs.checks import STRETCHED

portraits = App(name="portraits", help="Draw portraits, the domain whose ground truth is known.")


def add_jobs(app: App) -> None:
    """Add them to the program."""
    files = Command(positional="inputs")
    add_command(app, "invert", jobs.Invert, _on_files("invert", "inverted"), files)
    add_command(app, "align", jobs.Align, _on_files("align", "aligned"), files)
    add_command(app, "bootstrap", jobs.Bootstrap, _on_files("bootstrap", "translated"), files)
    signed = Command(positional="inputs", signed=["strengths"])
    add_command(app, "edit", jobs.Edit, _on_files("edit", "edited"), signed)
    add_command(app, "drag", jobs.Drag, _on_files("drag", "dragged"), files)
    add_command(app, "mix", jobs.Mix, _to("mix", "the mixtures are in {out}"), files)
    add_command(app, "animate", jobs.Animate, _to("animate", "the film is in {out}"), files)
    generator = Command(positional="generator")
    add_command(app, "sample", jobs.Sample, _to("sample", "{n} pictures in {out}"), generator)
    exported = Command(positional="model")
    add_command(app, "export", jobs.Export, _to("export", "{model} is in {out}"), exported)
    add_command(portraits, "render", jobs.Render, _to("render", "{count} portraits in {out}"))
    app.command(portraits)
    add_command(app, "app", Page, _serve)


def _serve(page: Page) -> None:
    function("restyle.app.server:serve")(page)


def _on_files(name: str, done: str) -> Run:
    def run(job: Any) -> int:
        _announce(job)
        summary = getattr(jobs, name)(job)
        counts = [
            f"{summary.done} {done}",
            f"{summary.failed} failed",
            f"{summary.skipped} done before",
        ]
        if summary.stretched:
            counts.append(STRETCHED.format(summary.stretched))
        if summary.unlike:
            counts.append(f"{summary.unlike} unlike what the model knows")
        others = [f"{count} {kind}" for kind, count in sorted(summary.passed_over.items())]
        if others:
            counts.append(f"passed over: {', '.join(others)}")
        print(printable(f"{', '.join(counts)}; results in {job.out}"))
        return FAILED if summary.failed else 0

    return run


def _to(name: str, message: str) -> Run:
    def run(job: Any) -> None:
        _announce(job)
        getattr(jobs, name)(job)
        print(printable(message.format(**vars(job))))

    return run


def _announce(job: Any) -> None:
    """Say which models find faces, and under which licences they may be used."""
    if isinstance(job, jobs.Align) or getattr(job, "align", False):
        from restyle.faces import LICENCES

        for name, licence in LICENCES.items():
            print(f"using {name}: {licence}", file=sys.stderr)
