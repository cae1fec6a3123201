"""The `restyle` command: what it can do, with which options, and how it reports what goes wrong.

Nothing heavy is imported before a command runs, so that `--help` answers at once. Exit codes: 0,
all went well; 1, something failed on the way; 2, the command could not be carried out as it was
given; 130, interrupted.
"""

import os
import sys
import warnings
from collections.abc import Sequence
from itertools import pairwise

from cyclopts import App, CycloptsError

from restyle import __version__
from restyle.cli.derive import FAILED
from restyle.cli.directions import app as directions
from restyle.cli.evaluate import add_analysis
from restyle.cli.evaluate import app as evaluate
from restyle.cli.jobs import add_jobs
from restyle.cli.models import app as models
from restyle.cli.shards import app as shards
from restyle.cli.training import app as train
from restyle.io.files import printable
from restyle.runtime.threads import let_threads_sleep

MISUSED, INTERRUPTED = 2, 130
MAY_BE_EMPTY = ("--initial", "--targets", "--feature-network")
"""Options of trainings whose empty value means none, whatever the preset says."""

app = App(
    name="restyle",
    help="Invert images into StyleGAN's latent space by iterative refinement.",
    version=__version__,
    help_format="markdown",
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)
add_jobs(app)
add_analysis(app)
for _group in (models, directions, evaluate, train, shards):
    app.command(_group)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit; an error is one line on stderr.

    Set the variable RESTYLE_TRACEBACK to see where an error comes from.

    Args:
        arguments: Those of the command line; the process's own if None.

    Raises:
        SystemExit: Always, with the exit code.
    """
    let_threads_sleep()  # before any command loads torch
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _check_values(arguments)
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            code = app(arguments, exit_on_error=False, print_error=False) or 0
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = _complain("interrupted; the same command goes on from here", INTERRUPTED)
    except BrokenPipeError:  # of `restyle ... | head`, which has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = FAILED
    except CycloptsError as error:
        code = _complain(error, MISUSED)
    except (ValueError, ImportError, OSError, MemoryError) as error:
        if os.environ.get("RESTYLE_TRACEBACK"):
            raise
        code = _complain(error, MISUSED if isinstance(error, ValueError) else FAILED)
    sys.exit(code)


def _check_values(arguments: Sequence[str]) -> None:
    """Refuse empty values, which would be the folder that one is in."""
    for before, value in pairwise(["restyle", *arguments]):
        option, equals, after = value.partition("=")
        named = option if option.startswith("--") and equals and not after else ""
        empty = named if value else before
        if empty and empty not in MAY_BE_EMPTY:
            raise ValueError(f"expected a value after '{empty}', got an empty one")


def _warn(message: Warning | str, *_: object) -> None:
    print(f"restyle: warning: {_one_line(str(message))}", file=sys.stderr)


def _complain(error: BaseException | str, code: int) -> int:
    print(f"restyle: {_one_line(error)}", file=sys.stderr)
    return code


def _one_line(error: BaseException | str) -> str:
    if isinstance(error, OSError) and error.strerror:
        file = f"{error.filename}: " if error.filename else ""
        return printable(f"{file}{error.strerror}")
    return printable(" ".join(str(error).split())) or type(error).__name__
