"""Train the encoder of a bundled model again, from nothing.

    python tools/recreate.py portraits --dry-run  # the commands
    python tools/recreate.py portraits            # runs them; repeat it to resume

A model's card tells all trainings that its encoder has had. They are carried out one after another,
each from the model that the one before has left, in run folders of their own, with the generator
that is in the box. A training that was stopped early is carried through.
"""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from bundle import command, told
from cyclopts import App

from restyle.hub.registry import bundled
from restyle.io.bundled import WEIGHTS
from restyle.io.checkpoints import load_config

app = App(help=__doc__)


@app.default
def recreate(name: str, *, out: Path = Path("runs/again"), dry_run: bool = False) -> int:
    """Train the encoder of a bundled model again, from nothing.

    Args:
        name: The bundled model.
        out: Where the run folders go.
        dry_run: Print the commands, and do nothing.
    """
    if name not in bundled():
        print(f"expected one of {', '.join(bundled())}, got {name!r}", file=sys.stderr)
        return 2
    for arguments in trainings(name, out):
        print(shlex.join(["restyle", *arguments]), flush=True)
        if not dry_run:
            if status := _carry_out([sys.executable, "-m", "restyle", *arguments]):
                return status
    return 0


def _carry_out(command: list[str]) -> int:
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # reaches the training too, which saves before it ends
            continue


def trainings(name: str, out: Path) -> list[list[str]]:
    """The arguments of `restyle` for every training that a card tells, the first one first."""
    made = [one["training"] for one in told(load_config(WEIGHTS / name)["card"])]
    commands, before = [], None
    for number, training in enumerate(reversed(made), start=1):
        folder = out / f"{name}-{number}"
        again = {**training, "generator": _generator(training), "out": str(folder)}
        again["precision"] = "auto"  # a matter of the processor
        if before is not None:
            # The best model was taken where the card says so, the last one elsewhere.
            kept = "best" if Path(training["initial"]).name == "best" else "model"
            again["initial"] = str(before / kept)
        commands.append([*command(again), "--out", str(folder)])
        before = folder
    return commands


def _generator(training: dict[str, Any]) -> str:
    """The bundled model with the generator that a training had, or had in its own run's folder."""
    name = training["generator"]
    return name if name in bundled() else Path(name).parent.name.removeprefix("generator-")


if __name__ == "__main__":
    sys.exit(app())
