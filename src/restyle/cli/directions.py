"""`restyle directions`: the directions that edits go along, and where they come from."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from restyle.cli.derive import add_command
from restyle.cli.evaluate import reporting
from restyle.cli.models import Json, Overwrite, lines, print_json
from restyle.evaluation.settings import ChannelSearch, DirectionSearch
from restyle.io.claims import check_new

app = App(name="directions", help="Find and show the directions that edits go along.")
add_command(app, "find", DirectionSearch, reporting("directions:find_directions"))
add_command(app, "channels", ChannelSearch, reporting("channels:find_channels"))


@app.command(name="list")
def list_directions(folder: Path | None = None, as_json: Json = False) -> None:
    """List the directions that come with the package, or those in a folder.

    Args:
        folder: Searched with all that is below it.
        as_json: Print them as JSON.
    """
    from restyle.editing.directions import BUNDLED, directions_in
    from restyle.io.tables import Column, Table

    if folder and not folder.is_dir():
        raise ValueError(f"{folder}: expected a folder, got nothing of that name")
    rows = [
        (
            one.name,
            one.space,
            " x ".join(map(str, one.vector.shape)),
            one.scale,
            (one.generator_sha256 or "unknown")[:12],
            one.licence,
        )
        for one in directions_in(folder or BUNDLED)
    ]
    heads = ["name", "space", "shape", Column("scale", ".3f"), "generator", "licence"]
    if as_json:
        print_json(Table(heads, rows).record())
        return
    empty = f"no directions in {folder}" if folder else "no directions are bundled"
    print(Table(heads, rows).text() if rows else empty)


@app.command
def info(direction: str) -> None:
    """Say what is known about a direction.

    Args:
        direction: A bundled direction's name, or a direction's file.
    """
    from restyle import importers
    from restyle.editing.directions import BUNDLED, directions_in, find_direction

    published = Path(direction).suffix in (".pt", ".npy")
    bundled = [] if published else directions_in(BUNDLED)
    one = (
        importers.read_direction(direction) if published else find_direction(direction, "", bundled)
    )
    facts = {
        "name": one.name,
        "space": one.space,
        "shape": tuple(one.vector.shape),
        "length": f"{float(one.vector.norm()):.4f}",
        "scale": one.scale,
        "layers": "all" if one.layers is None else list(one.layers),
        "generator": one.generator_sha256 or "unknown",
        "licence": one.licence,
        "about": one.about,
    }
    print("\n".join(lines(facts)))


@app.command(name="import")
def import_direction(
    file: Path,
    *,
    generator: str,
    out: Path,
    name: str | None = None,
    licence: str = "unknown",
    overwrite: Overwrite = False,
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
        overwrite: Write over the file that is there.
    """
    from dataclasses import replace

    from restyle import importers
    from restyle.editing.directions import save_direction
    from restyle.editing.editor import SAMPLES
    from restyle.hub.registry import load_generator
    from restyle.io.checkpoints import weights_hash

    check_new(out, [file], overwrite)
    model = load_generator(generator)
    found = importers.read_direction(file, name, licence)
    found.check_codes(model.num_ws, model.config.w_dim)
    found = replace(
        found,
        scale=found.calibrated(model.sample_w(SAMPLES)).scale,
        generator_sha256=weights_hash(model.state_dict()),
        licence=licence,
    )
    save_direction(found, out)
    print(f"{found.name}: strength 1 is {found.scale:.3f} of the file's direction; it is in {out}")


@app.command
def components(
    *,
    generator: str = "portraits",
    method: Literal["ganspace", "sefa"] = "ganspace",
    count: Annotated[int, Parameter(validator=Number(gte=1))] = 10,
    out: Path,
    overwrite: Overwrite = False,
) -> None:
    """Find directions that nobody has labelled, in order of importance.

    Args:
        generator: A model's name, a checkpoint folder, or another project's file.
        method: ganspace, the principal components of 10,000 codes; sefa, those that the weights of
            the style layers stretch most.
        count: How many.
        out: The folder that METHOD-NUMBER.safetensors are written to.
        overwrite: Write over those that are there.
    """
    from restyle.editing.directions import Direction, save_direction
    from restyle.editing.editor import SAMPLES
    from restyle.editing.search import closed_form, principal_components, style_weights
    from restyle.hub.registry import load_generator
    from restyle.io.checkpoints import weights_hash

    model = load_generator(generator)
    if count > model.config.w_dim:
        raise ValueError(f"expected 1 to {model.config.w_dim} components, got {count}")
    for number in range(1, count + 1):
        check_new(out / f"{method}-{number}.safetensors", [], overwrite)
    w = model.sample_w(SAMPLES)
    if method == "ganspace":
        rows, _ = principal_components(w, count)
        about = f"GANSpace: principal component of {len(w):,} codes"
    else:
        rows = closed_form(style_weights(model))[0][:count]
        about = "SeFa: closed-form factorisation of the style weights"
    digest = weights_hash(model.state_dict())
    found = [
        Direction(f"{method}-{i}", row, generator_sha256=digest, about=f"{about}, number {i}")
        for i, row in enumerate(rows, start=1)
    ]
    found = [one.calibrated(w) for one in found]
    for one in found:
        save_direction(one, out / f"{one.name}.safetensors")
    print(f"{len(found)} directions in {out}")
