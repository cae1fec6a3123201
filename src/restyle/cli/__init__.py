"""The `restyle` command: what it can do, with which options, and how it reports what goes wrong.

Nothing heavy is imported before a command runs, so that `--help` answers at once. Exit codes: 0,
all went well; 1, something failed on the way; 2, the command could not be carried out as it was
given; 130, interrupted.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number

from restyle import __version__
from restyle.cli.analyse import analyse
from restyle.cli.bootstrap import bootstrap
from restyle.cli.edit import animate, directions, edit, mix
from restyle.cli.evaluate import app as evaluate
from restyle.cli.options import (
    FAILED,
    INTERRUPTED,
    MISUSED,
    Count,
    Device,
    Dtype,
    Face,
    Flag,
    OptionalCount,
    Steps,
)
from restyle.cli.training import app as train
from restyle.runtime.threads import let_threads_sleep

app = App(
    name="restyle",
    help="Invert images into StyleGAN's latent space by iterative refinement.",
    version=__version__,
    help_format="markdown",
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)
models = App(name="models", help="Show the models that can be used by name.")
portraits = App(name="portraits", help="Draw portraits, the domain whose ground truth is known.")
app.command(models)
app.command(portraits)
app.command(train)
app.command(evaluate)
app.command(analyse)
app.command(bootstrap)
app.command(edit)
app.command(mix)
app.command(animate)
app.command(directions)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit; an error is one line on stderr.

    Set the variable RESTYLE_TRACEBACK to see where an error comes from.

    Args:
        arguments: Those of the command line; the process's own if None.

    Raises:
        SystemExit: Always, with the exit code.
    """
    let_threads_sleep()  # before any command loads torch
    try:
        code = app(arguments, exit_on_error=False, print_error=False) or 0
    except KeyboardInterrupt:
        code = _complain("interrupted; the same command goes on from here", INTERRUPTED)
    except CycloptsError as error:
        code = _complain(error, MISUSED)
    except (ValueError, ImportError, OSError, MemoryError) as error:
        if os.environ.get("RESTYLE_TRACEBACK"):
            raise
        code = _complain(error, MISUSED if isinstance(error, ValueError) else FAILED)
    sys.exit(code)


@app.command
def invert(
    *inputs: Annotated[Path, Parameter(required=True)],
    model: str = "portraits",
    steps: Steps = None,
    method: str | None = None,
    features: str | None = None,
    batch_size: Count = 8,
    device: Device = "auto",
    dtype: Dtype = "float32",
    out: Path = Path("results"),
    overwrite: Flag = False,
    align: Flag = False,
    preview_resolution: OptionalCount = None,
    compile: Flag = False,
) -> int:
    """Find the latent codes of images, step by step.

    Writes for each input its reconstruction (OUT/reconstructions), the target, the average image
    and every step side by side (OUT/steps), and the latent codes of all steps (OUT/latents), and
    keeps a list of inputs, failures and timings (OUT/manifest.jsonl). An input that cannot be read
    is reported and costs only itself. Repeating the command goes on where it was interrupted: what
    is done with the same model and steps is not done again.

    Other methods than the encoder are w and ws (optimisation of one code, or of one for each
    layer), and pti (pivotal tuning of the generator, which is saved in OUT/generators), each with a
    number of iterations, joined by + where one starts from what the other found: ws:300,
    restyle:5+ws:100, w:1000+pti:350. After @ a learning rate may follow: ws:1500@0.05. Of their
    steps a few are shown and kept.

    Args:
        inputs: Images, and folders that are searched for images with all that is below them.
        model: A bundled model's name, a checkpoint folder, or another project's checkpoint file.
        steps: How often the estimate is refined; auto goes on, image by image, as long as it helps,
            keeps the best estimate so far, and ends after 10 steps. [default: 5, or 1 for a
            single-shot encoder]
        method: As above, instead of --steps. [default: the encoder]
        features: The feature network whose distances a method minimises beside the squared error, a
            bundled name or a folder; none to minimise that alone. [default: portraits-features for
            models of portraits, else none]
        batch_size: Images that are inverted, and held in memory, at once.
        device: Where to compute; auto is a GPU where there is one.
        dtype: Precision; below float32 by automatic mixed precision.
        out: The folder of the results.
        overwrite: Do again what is done already.
        align: Cut out the largest face of each input first, as `restyle align` does; the crops are
            kept in OUT/aligned. An input without a face fails.
        preview_resolution: Render all steps but the last only up to this height and width, a power
            of two: faster, and slightly different. [default: the full size]
        compile: Let torch.compile make the networks faster, which itself takes minutes.
    """
    from restyle.jobs.invert import invert_files

    if align:
        from restyle.jobs.align import show_licences

        show_licences()
    summary = invert_files(
        inputs,
        model,
        steps,
        batch_size,
        device,
        dtype,
        out,
        overwrite,
        align,
        preview_resolution,
        compile,
        method,
        features,
    )
    print(
        f"{summary.done} inverted, {summary.failed} failed, {summary.skipped} done before; "
        f"results in {out}"
    )
    return FAILED if summary.failed else 0


@app.command(name="align")
def align_faces(
    *inputs: Annotated[Path, Parameter(required=True)],
    out: Path,
    size: Annotated[int, Parameter(validator=Number(gte=16, lte=4096))] = 256,
    face: Face = "largest",
    overwrite: Flag = False,
) -> int:
    """Cut faces out of photographs, upright and framed as generators of faces know them.

    Writes OUT/aligned/NAME.png (with several faces NAME.face2.png and so on for the others), and
    keeps a list of inputs, faces and failures (OUT/manifest.jsonl). A photograph without a face is
    reported and costs only itself. Needs the extra `restyle[faces]`.

    Args:
        inputs: Images, and folders that are searched for images with all that is below them.
        out: The folder of the results.
        size: Height and width of the crops in pixels.
        face: Which face of a photograph: the largest, all of them, or a number, where 1 is the
            largest.
        overwrite: Do again what is done already.
    """
    from restyle.jobs.align import align_files, show_licences

    show_licences()
    which = {"largest": 1, "all": None}.get(face, face) if isinstance(face, str) else face
    summary = align_files(inputs, out, size, which, overwrite)
    print(
        f"{summary.done} aligned, {summary.failed} failed, {summary.skipped} done before; "
        f"results in {out}"
    )
    return FAILED if summary.failed else 0


@models.command(name="list")
def list_models() -> None:
    """List the models that come with the package, and those that can be downloaded."""
    from restyle.cli.models import public_table, table

    print(f"Bundled\n\n{table()}\n\nPublic (restyle models pull NAME)\n\n{public_table()}")


@models.command
def info(model: str) -> None:
    """Say what a model is: networks, domain, sizes, training.

    Args:
        model: A bundled model's name, a checkpoint folder, or another project's checkpoint file.
    """
    from restyle.cli.models import description

    print(description(model))


@models.command
def pull(name: str) -> None:
    """Download a public model, check it and import it; it can then be used by its name.

    An interrupted download goes on where it stopped. Needs the extra `restyle[hub]`.

    Args:
        name: As `restyle models list` shows it.
    """
    from restyle.hub.catalogue import find
    from restyle.hub.downloads import pull as pull_model

    print(f"{name}: licence {find(name).licence}")
    print(f"{name} is in {pull_model(name)}")


@models.command(name="import")
def import_model(file: Path, *, out: Path) -> None:
    """Turn another project's checkpoint into a native one. No code in it is run.

    Networks of losses and scores, and backbones, are used as the files they are: of these it says
    what they are, and which option takes them.

    Args:
        file: A model of ReStyle, pSp or e4e, or a StyleGAN2 generator.
        out: The folder of the native checkpoint.
    """
    from restyle.importers import convert

    print(f"{file} holds a {type(convert(file, out)).__name__}, which is now in {out}")


@portraits.command
def render(
    *,
    out: Path,
    count: Count = 1000,
    style: Literal["photo", "toon"] = "photo",
    split: Literal["train", "val", "test"] = "train",
    size: Annotated[int, Parameter(validator=Number(gte=16))] = 64,
    start: Annotated[int, Parameter(validator=Number(gte=0))] = 0,
    parquet: Flag = False,
) -> None:
    """Draw portraits into a folder, with a table of what is known about them.

    Writes OUT/images/NUMBER.png and, for each, a line of OUT/metadata.jsonl: identity, attributes,
    landmarks in pixels, and a caption. A number always gives the same portrait. Repeating the
    command goes on where it was interrupted.

    Args:
        out: The folder of the portraits.
        count: How many.
        style: How they are drawn.
        split: Which people; no person is in two splits.
        size: Height and width in pixels.
        start: The number of the first one.
        parquet: Write the table as OUT/metadata.parquet as well.
    """
    from restyle.jobs.render import render_folder

    render_folder(out, count, style, split, size, start, parquet)
    print(f"{count} portraits in {out}")


def _complain(error: BaseException | str, code: int) -> int:
    print(f"restyle: {_one_line(error)}", file=sys.stderr)
    return code


def _one_line(error: BaseException | str) -> str:
    if isinstance(error, OSError) and error.strerror:
        file = f"{error.filename}: " if error.filename else ""
        return f"{file}{error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
