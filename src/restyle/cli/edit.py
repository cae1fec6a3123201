"""`restyle edit`, `mix`, `animate` and `directions`: what they are given, and their help."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from restyle.cli.options import FAILED, Count, Device, Dtype, Flag, OptionalCount

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
    steps: OptionalCount = None,
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
    from restyle.jobs.edit import EditJob, edit_files

    _announce(align)
    job = EditJob(direction, strengths, tuple(also), layers, steps, video, align)
    summary = edit_files(inputs, seed, model, device, dtype, job, out, overwrite)
    print(
        f"{summary.done} edited, {summary.failed} failed, {summary.skipped} done before; "
        f"results in {out}"
    )
    return FAILED if summary.failed else 0


@directions.command(name="list")
def list_directions(folder: Path | None = None) -> None:
    """List the directions that come with the package, or those in a folder.

    Args:
        folder: Searched with all that is below it.
    """
    from restyle.cli.directions import table

    print(table(folder))


@directions.command
def info(direction: str) -> None:
    """Say what is known about a direction.

    Args:
        direction: A bundled direction's name, or a direction's file.
    """
    from restyle.cli.directions import description

    print(description(direction))


@directions.command(name="import")
def import_direction(
    file: Path, *, generator: str, out: Path, name: str | None = None, licence: str = "unknown"
) -> None:
    """Turn a published direction into our own form. No code in it is run.

    Its scale is measured over 10,000 of the generator's codes.

    Args:
        file: Of ReStyle or e4e (.pt), or of InterFaceGAN (.npy).
        generator: The generator that it was found with: a model's name, a checkpoint folder, or
            another project's file.
        out: The file that is written, a name that ends in .safetensors.
        name: What changes. [default: the file's name]
        licence: Under which it may be used.
    """
    from restyle.cli.directions import import_file

    found = import_file(file, generator, name, licence, out)
    print(f"{found.name}: strength 1 is {found.scale:.3f} of the file's direction; it is in {out}")


@directions.command
def find(
    *,
    generator: str = "portraits",
    labeller: str = "portraits-features",
    judge: str = "portraits-judge",
    out: Path,
    samples: Count = 10_000,
    trials: Count = 24,
    checks: Count = 64,
    seed: int = 0,
    licence: str = "MIT",
    attributes: Annotated[list[str], Several] = [],  # noqa: B006
    device: Device = "auto",
    dtype: Dtype = "float32",
    overwrite: Flag = False,
) -> None:
    """Find directions of a generator of portraits, one for each attribute.

    Samples are labelled by one feature network, a linear SVM finds what tells their codes apart
    (InterFaceGAN), what a direction changes besides is held still, in its codes and in its layers,
    where that helps, and another network measures what it does. Writes OUT/NAME.safetensors for
    each direction that moves its attribute, and OUT/report.json about all of them. Repeating the
    command goes on where it was interrupted. Needs the extra `restyle[evaluate]`.

    Directions come with the package, so that `restyle edit` takes them by name, if OUT is a folder
    in src/restyle/weights/directions. Those of the bundled generator are found with --dtype
    bfloat16 --overwrite --out src/restyle/weights/directions/portraits, in a few minutes.

    Args:
        generator: A model's name, a checkpoint folder, or another project's file.
        labeller: The feature network that labels, a bundled name or a folder.
        judge: The one that measures, a bundled name or a folder.
        out: The folder of the directions.
        samples: Labelled samples.
        trials: Samples that the labeller chooses by between a direction's variants.
        checks: Samples that the judge measures.
        seed: Of the samples.
        licence: Of the directions.
        attributes: Those that directions are looked for. [default: all of them]
        device: Where to compute; auto is a GPU where there is one.
        dtype: Precision of the pictures that the labeller sees; the judge's are float32.
        overwrite: Replace the directions that another search has left in OUT.
    """
    from restyle.evaluation.directions import find_directions
    from restyle.evaluation.settings import DirectionSearch

    config = DirectionSearch(
        out=out,
        generator=generator,
        labeller=labeller,
        judge=judge,
        samples=samples,
        trials=trials,
        checks=checks,
        seed=seed,
        dtype=dtype,
        licence=licence,
        attributes=tuple(attributes),
        device=device,
        overwrite=overwrite,
    )
    print(find_directions(config).text())


@directions.command
def components(
    *,
    generator: str = "portraits",
    method: Literal["ganspace", "sefa"] = "ganspace",
    count: Count = 10,
    out: Path,
) -> None:
    """Find directions that nobody has labelled, in order of importance.

    Args:
        generator: A model's name, a checkpoint folder, or another project's file.
        method: ganspace, the principal components of 10,000 codes; sefa, those that the weights of
            the style layers stretch most.
        count: How many.
        out: The folder that METHOD-NUMBER.safetensors are written to.
    """
    from restyle.cli.directions import components as find_components

    found = find_components(generator, method, count, out)
    print(f"{len(found)} directions in {out}")


def mix(
    *inputs: Path,
    out: Path,
    seed: Seeds = [],  # noqa: B006
    model: str = "portraits",
    steps: OptionalCount = None,
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
    from restyle.jobs.edit import mix_people

    _announce(align)
    mix_people(inputs, seed, model, device, dtype, steps, align, out)
    print(f"the mixtures are in {out}")


def animate(
    *inputs: Path,
    out: Path,
    seed: Seeds = [],  # noqa: B006
    frames: Count = 25,
    model: str = "portraits",
    steps: OptionalCount = None,
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
    from restyle.jobs.edit import film_people

    _announce(align)
    film_people(inputs, seed, model, device, dtype, steps, align, frames, out)
    print(f"the film is in {out}")


def _announce(align: bool) -> None:
    if align:
        from restyle.jobs.align import show_licences

        show_licences()
