"""What `restyle directions` shows and writes."""

from pathlib import Path
from typing import Any

from restyle import importers
from restyle.cli.models import columns, lines
from restyle.editing.directions import (
    BUNDLED,
    Direction,
    directions_in,
    find_direction,
    save_direction,
)
from restyle.editing.editor import SAMPLES
from restyle.editing.search import closed_form, principal_components, style_weights
from restyle.hub.registry import load_generator
from restyle.io.checkpoints import weights_hash


def table(folder: Path | None) -> str:
    """The directions in a folder, or those that come with the package, a line each."""
    found = directions_in(folder or BUNDLED)
    if not found:
        return f"no directions in {folder}" if folder else "no directions are bundled"
    rows = [("name", "space", "shape", "scale", "generator", "licence")]
    for one in found:
        shape = " x ".join(map(str, one.vector.shape))
        scale = "" if one.scale is None else f"{one.scale:.3f}"
        generator = (one.generator_sha256 or "unknown")[:12]
        rows.append((one.name, one.space, shape, scale, generator, one.licence))
    return columns(rows)


def description(which: str) -> str:
    """All that is known about a direction, a line for each fact.

    Raises:
        DirectionError: There is none of this name, or the file cannot be used.
    """
    published = Path(which).suffix in (".pt", ".npy")
    bundled = [] if published else directions_in(BUNDLED)
    one = importers.read_direction(which) if published else find_direction(which, "", bundled)
    facts: dict[str, Any] = {
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
    return "\n".join(lines(facts))


def import_file(file: Path, generator: str, name: str | None, licence: str, out: Path) -> Direction:
    """Turn a published direction into our form, its scale measured with its generator.

    Raises:
        ValueError: The file or the generator cannot be used, or they do not fit together.
    """
    model = load_generator(generator)
    found = importers.read_direction(file, name, licence)
    found.check_codes(model.num_ws, model.config.w_dim)
    scaled = found.calibrated(model.sample_w(SAMPLES))
    own = Direction(
        found.name,
        found.vector,
        scaled.scale,
        generator_sha256=weights_hash(model.state_dict()),
        licence=licence,
        about=found.about,
    )
    save_direction(own, out)
    return own


def components(generator: str, method: str, count: int, out: Path) -> list[Direction]:
    """Write the directions that a generator's codes vary along most, or its styles react to most.

    Raises:
        ValueError: There is no such generator, or it has not so many.
    """
    model = load_generator(generator)
    w = model.sample_w(SAMPLES)
    if method == "ganspace":
        rows, _ = principal_components(w, count)
        about = f"GANSpace: principal component of {len(w):,} codes"
    else:
        if count > model.config.w_dim:
            raise ValueError(f"expected 1 to {model.config.w_dim} components, got {count}")
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
    return found
