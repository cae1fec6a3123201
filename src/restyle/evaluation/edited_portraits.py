"""Edits of inverted portraits, measured against the truth at matched change.

The renderer draws the same person with one attribute truly changed. An inverted portrait is edited
until the judge reads that change, and is then compared with that drawing and with itself before:
did anything else change, is it still the same person?
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from restyle.editing.directions import Direction, directions_in, find_direction
from restyle.editing.edits import shift
from restyle.evaluation.attributes import ACCESSORIES, NAMES, Reader, Reading, changed, shown
from restyle.evaluation.data import unseen_portraits
from restyle.evaluation.edit_sweep import drift, flips, sweep_of
from restyle.evaluation.runner import Entry
from restyle.evaluation.settings import EditingEvaluation
from restyle.io.images import from_uint8, to_uint8
from restyle.losses.perceptual import perceptual
from restyle.losses.pixels import l2
from restyle.model import ReStyle
from restyle.portraits.attributes import Attributes
from restyle.portraits.drawing.renderer import render
from restyle.refine import Estimate, Render, pool_to

STRENGTHS = (-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0)
ALMOST = 0.9
"""Share of an accessory's change that is asked for: its probability nears 0 and 1 only slowly."""

EXAMPLES = 4


@dataclass(frozen=True)
class Inverted:
    """N test portraits that a method has inverted.

    Attributes:
        render: What renders their codes.
        ws: (N, num_ws, D): the codes.
        people: Who they are.
        target: (N, 3, h, w): the portraits.
        reconstruction: The same, as inverted.
        seen: What the judge reads in the reconstructions.
        unedited: What it reads in the renders, which may be larger than the portraits.
    """

    render: Render
    ws: Tensor
    people: Sequence[Attributes]
    target: Tensor
    reconstruction: Tensor
    seen: Reading
    unedited: Reading


@dataclass(frozen=True)
class Edited:
    """All that was measured of one method; N images, T attributes, A readings, S strengths.

    Attributes:
        name: The method's.
        attributes: The T attributes that were edited.
        arrays: See `measure` and `measure_edit` for the names.
    """

    name: str
    attributes: tuple[str, ...]
    arrays: dict[str, np.ndarray]


def directions_of(model: ReStyle, config: EditingEvaluation) -> dict[str, Direction]:
    """Return the directions that a model's codes are edited along, by the attribute's name.

    Raises:
        ValueError: There are none, or none of an attribute that is asked for.
    """
    editor = model.editor
    known = editor.known if config.directions is None else directions_in(config.directions)
    mine = {d.name for d in known if d.generator_sha256 == editor.generator_sha256}
    names = config.attributes or tuple(name for name in NAMES if name in mine)
    if not names or not set(names) <= set(NAMES):
        raise ValueError(
            f"expected directions of {model.name}'s generator for attributes of portraits, got "
            f"{', '.join(names) or 'none'}"
        )
    found = (find_direction(name, editor.generator_sha256, known) for name in names)
    return {direction.name: editor.direction(direction) for direction in found}


Edit = Callable[[Tensor], Estimate]
"""Edits inverted portraits, each at a strength of its own, (N,)."""

Edits = Mapping[str, Callable[[Inverted], Edit]]
"""How each attribute, by name, is edited."""


def along(direction: Direction, one: Inverted) -> Edit:
    """Return the edit of inverted portraits along a direction."""

    def edit(strengths: Tensor) -> Estimate:
        ws = shift(one.ws, direction, strengths)
        return Estimate(ws, one.render(ws))

    return edit


def measure(
    one: Entry, reader: Reader, edits: Edits, indices: Sequence[int], ws: Tensor | None = None
) -> dict[str, np.ndarray]:
    """Invert some test portraits, unless their codes `ws` are known, and edit each attribute.

    Returns:
        `mse`, `perceptual`, `kept` (identity) of the reconstructions and `w_distance` (N,), and
        what `measure_edit` gives, with the attributes as the second axis; `examples` of the first
        few portraits alone.
    """
    found = inverted(one, reader, indices, ws)
    target, kept = found.target, reader(found.target).embeddings
    with torch.no_grad():
        arrays = {
            "mse": l2(found.reconstruction, target).cpu().numpy(),
            "perceptual": perceptual(reader.network, found.reconstruction, target).cpu().numpy(),
            "kept": (found.seen.embeddings * kept).sum(axis=1),
            "w_distance": w_distance(found.ws).cpu().numpy(),
        }
    rows = [measure_edit(found, name, make(found), reader) for name, make in edits.items()]
    arrays |= {key: np.stack([row[key] for row in rows], axis=1) for key in rows[0]}
    arrays["examples"] = arrays["examples"][np.array(indices) < EXAMPLES]
    return arrays


def inverted(
    one: Entry, reader: Reader, indices: Sequence[int], ws: Tensor | None = None
) -> Inverted:
    """Invert some test portraits, unless their codes `ws` are known, and read what came of it."""
    portraits = unseen_portraits("portraits", one.model.domain.input_size)
    people = [portraits[i].attributes for i in indices]
    target = from_uint8(portraits.images(indices)).to(one.model.device)
    if ws is None:
        *_, estimate = one.method(target, one.model.start(len(target)))
        ws = estimate.ws
    render = render_of(one)
    with torch.no_grad():
        image = render(ws)
        reconstruction = pool_to(image, target)
        seen, unedited = reader(reconstruction), reader(image)
    return Inverted(render, ws, people, target, reconstruction, seen, unedited)


def render_of(one: Entry) -> Render:
    """Return what renders the codes that a method has just found: its tuned generator, if any."""
    tuning = one.method.tuning
    if tuning is None:
        return one.model.generate
    generator, crop = tuning.generator, one.model.domain.crop_render
    return lambda ws: crop(generator.synthesis(ws))


def w_distance(ws: Tensor) -> Tensor:
    """Return how far codes (B, num_ws, D) are from W: RMS distance of rows to their mean, (B,)."""
    return ws.var(dim=1, correction=0).sum(dim=1).sqrt()


@torch.no_grad()
def measure_edit(one: Inverted, name: str, edit: Edit, reader: Reader) -> dict[str, np.ndarray]:
    """Change one attribute of inverted portraits, and compare with the true change.

    Returns:
        Arrays of N rows, NaN where an edit does not get there:
        - `change`, `identity_at` (N, S): at the strengths of the sweep; `slope`; `rises`; `flips`,
          of accessories, whether one appears or goes while the person stays;
        - `asked`, the change in deviations, and `strength`, where it is reached;
        - there: `drift` (N, A) of the attributes that can be seen, `identity` to the
          reconstruction, `edit_w_distance` of the codes, and against the true picture
          `truth_mse`, `truth_perceptual`, `truth_identity`, beside `unedited_mse` of the
          reconstruction that was not edited;
        - `features` of the edit and `truth_features` (N, F); `examples` (N, 4, h, w, 3) uint8:
          target, reconstruction, edit and truth.
    """
    target = one.target

    def at(strengths: np.ndarray) -> Estimate:
        return edit(torch.from_numpy(strengths).to(one.ws))

    def seen_at(strength: float) -> Reading:
        return reader(at(np.full(len(target), strength)).image)

    found = sweep_of(seen_at, name, STRENGTHS, one.unedited)
    others = [changed(person, name, reader.network) for person in one.people]
    visible = shown_in_both(one.people, others)
    truth = from_uint8(np.stack([render(o, target.shape[-1]) for o in others])).to(target.device)
    asked = asked_change(name, one.people, others, (target, truth), reader)
    asked = np.where(visible[:, found.own], asked, np.nan)
    strengths = found.strength_for(asked)
    moved = at(np.nan_to_num(strengths))
    image = pool_to(moved.image, target)
    seen = reader(image)
    there = ~np.isnan(strengths)
    arrays = {
        "drift": np.where(visible, drift(seen.values, found.before, found.own), np.nan),
        "identity": (seen.embeddings * one.seen.embeddings).sum(axis=1),
        "edit_w_distance": w_distance(moved.ws).cpu().numpy(),
        "truth_mse": l2(image, truth).cpu().numpy(),
        "truth_perceptual": perceptual(reader.network, image, truth).cpu().numpy(),
        "truth_identity": (seen.embeddings * reader(truth).embeddings).sum(axis=1),
        "unedited_mse": l2(one.reconstruction, truth).cpu().numpy(),
        "features": reader.network.features(image).cpu().numpy(),
    }
    for array in arrays.values():
        array[~there] = np.nan
    return arrays | {
        "change": found.change.T,
        "identity_at": found.identity.T,
        "slope": found.slope(),
        "rises": found.rises(),
        "flips": flips(found, name),
        "asked": asked,
        "strength": strengths,
        "truth_features": reader.network.features(truth).cpu().numpy(),
        "examples": np.stack([to_uint8(x) for x in (target, one.reconstruction, image, truth)], 1),
    }


def shown_in_both(people: Sequence[Attributes], others: Sequence[Attributes]) -> np.ndarray:
    """Tell what is shown before and after a change, (N, A): a hat hides the parting."""
    return np.logical_and(list(map(shown, people)), list(map(shown, others)))


def asked_change(
    name: str,
    people: Sequence[Attributes],
    others: Sequence[Attributes],
    pictures: tuple[Tensor, Tensor],
    reader: Reader,
) -> np.ndarray:
    """Return how much an attribute is to change from people to others, (N,) in deviations.

    Of a continuous attribute it is the true change; of an accessory most of what the judge reads in
    the pictures (N, 3, h, w) of both.
    """
    own = NAMES.index(name)
    if name in ACCESSORIES:
        before, after = (reader(images).values[:, own] for images in pictures)
        return ALMOST * (after - before)
    moved = np.stack([o.to_vector() for o in others]) - [p.to_vector() for p in people]
    return moved[:, own] / reader.network.scale[own].item()
