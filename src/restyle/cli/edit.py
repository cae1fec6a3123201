"""`restyle edit`, `mix`, `animate` and `directions`: what they are given, and their help."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from restyle.cli.options import FAILED, Count, Device, Dtype, Flag

Signed = Annotated[str, Parameter(allow_leading_hyphen=True)]
Several = Parameter(consume_multiple=True, negative_iterable="", show_default=False)
Seeds = Annotated[list[Annotated[int, Parameter(validator=Number(gte=0))]], Several]

directions = App(name="directions", help="Find and show the directions that edits go along.")


def edit(
    *inputs: Path,
    direction: str,
    strengths: Signed = "-3:3:7",
    also: Annotated[list[str], Several] = [],  # noqa: B006 - read only, and shown as the default
    layers: str | None = None,
    seed: Seeds = [],  # noqa: B006
    model: str = "portraits",
    steps: Count | None = None,
    video: Literal["mp4", "gif"] | None = None,
    device: Device = "auto",
    dtype: Dtype = "float32",
    out: Path = Path("results/edits"),
    overwrite: Flag = False,
    align: Flag = False,
) -> int:
    """Change one thing about a picture: smile, turn, age, put glasses on.

    Photographs are inverted first; latents files of `restyle invert`, and samples, are edited as
    they are. Writes for each input a labelled strip (OUT/strips), the picture at every strength
    (OUT/images), the edited codes (OUT/latents), a film if asked for (OUT/videos), and a line of
    OUT/manifest.jsonl. A photograph that cannot be read costs only itself, and repeating the
    command goes on where it was interrupted.

    Args:
        inputs: Images, folders that are searched for images, and latents files (.safetensors).
        direction: What changes: the name of a direction (`restyle directions list`), or its file,
            which may be a published one (.pt, .npy).
        strengths: How much, in standard deviations of the generator's codes along the direction:
            one number, several (-2,0,2), or first:last:count.
        also: Other edits that are there in every picture, such as yaw=-1 age=2.
        layers: The layers that change: coarse, middle, fine, or numbers such as 0-3,7. [default:
            those of the direction]
        seed: Numbers of samples to edit.
        model: A bundled model's name, a checkpoint folder, or another project's checkpoint file.
        steps: How often the inversion of a photograph is refined. [default: 5, or 1 for a
            single-shot encoder]
        video: Film the way from the first strength to the last one and back. Needs the extra
            `restyle[video]`.
        device: Where to compute; auto is a GPU where there is one.
        dtype: Precision; below float32 by automatic mixed precision.
        out: The folder of the results.
        overwrite: Do again what is done already.
        align: Cut out the largest face of each photograph first, as `restyle align` does.
    """
    from restyle.cli.editing import EditJob, edit_files

    _announce(align)
    job = EditJob(direction, strengths, tuple(also), layers, steps, video, align)
    summary = edit_files(inputs, seed, model, device, dtype, job, out, overwrite)
    print(
        f"{summary.done} edited, {summary.failed} failed, {summary.skipped} done before; "
        f"results in {out}"
    )
    return FAILED if summary.failed else 0


def mix(
    *inputs: Path,
    out: Path,
    seed: Seeds = [],  # noqa: B006
    model: str = "portraits",
    steps: Count | None = None,
    device: Device = "auto",
    dtype: Dtype = "float32",
    align: Flag = False,
) -> None:
    """Give the coarse, the middle or the fine layers of one person to another.

    Args:
        inputs: Two images or latents files; with --seed, fewer.
        out: The strip that is written: the first person, the first one with each group of layers of
            the second one, the second one.
        seed: Numbers of samples, which come after the inputs.
        model: A bundled model's name, a checkpoint folder, or another project's checkpoint file.
        steps: How often the inversion of a photograph is refined. [default: 5, or 1 for a
            single-shot encoder]
        device: Where to compute; auto is a GPU where there is one.
        dtype: Precision; below float32 by automatic mixed precision.
        align: Cut out the largest face of each photograph first.
    """
    from restyle.cli.editing import mix_people

    _announce(align)
    mix_people(inputs, seed, model, device, dtype, steps, align, out)
    print(f"the mixtures are in {out}")


def animate(
    *inputs: Path,
    out: Path,
    seed: Seeds = [],  # noqa: B006
    frames: Count = 25,
    model: str = "portraits",
    steps: Count | None = None,
    device: Device = "auto",
    dtype: Dtype = "float32",
    align: Flag = False,
) -> None:
    """Film the steps of an inversion, or the way from person to person.

    Of one photograph (or the latents file of its inversion) the film shows the way from the average
    image through every step; of several inputs the way from each to the next one. Needs the extra
    `restyle[video]`.

    Args:
        inputs: Images and latents files.
        out: The film, a name that ends in .mp4 or .gif.
        seed: Numbers of samples, which come after the inputs.
        frames: From each stop to the next one.
        model: A bundled model's name, a checkpoint folder, or another project's checkpoint file.
        steps: How often the inversion of a photograph is refined. [default: 5, or 1 for a
            single-shot encoder]
        device: Where to compute; auto is a GPU where there is one.
        dtype: Precision; below float32 by automatic mixed precision.
        align: Cut out the largest face of each photograph first.
    """
    from restyle.cli.editing import film_people

    _announce(align)
    film_people(inputs, seed, model, device, dtype, steps, align, frames, out)
    print(f"the film is in {out}")


def _announce(align: bool) -> None:
    if align:
        from restyle.cli.align import show_licences

        show_licences()
