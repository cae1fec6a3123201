"""The page's third tab: points are clicked and pulled."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr
import torch
from PIL import Image

from restyle.app.person import (
    SIDE,
    Person,
    Shelf,
    found,
    output,
    picture_of,
    plain_errors,
    take_home,
)
from restyle.editing.drag import STEPS, checked_points, mask_around
from restyle.jobs.dragging import marked
from restyle.model import ReStyle

Place = tuple[float, float]
MOST_STEPS = 200
_NUMBER = r"\s*(-?\d+(?:\.\d*)?)\s*"
_LINE = re.compile(f"{_NUMBER},{_NUMBER}(?:>(?:{_NUMBER},{_NUMBER})?)?")


def parse(text: str) -> tuple[list[tuple[Place, Place]], Place | None]:
    """Read points, a line `x,y > x,y` for each, in pixels of the model's picture.

    Returns:
        The pairs of handle and target, and a last handle that has no target yet.

    Raises:
        ValueError: A line is something else, or another one than the last has no target.
    """
    pairs, pending = [], None
    for line in filter(str.strip, text.splitlines()):
        match = _LINE.fullmatch(line)
        if not match or pending:
            raise ValueError(f"expected lines such as 20,40 > 25,38, got '{line[:40]}'")
        x, y, to_x, to_y = match.groups()
        if to_x is None:
            pending = (float(x), float(y))
        else:
            pairs.append(((float(x), float(y)), (float(to_x), float(to_y))))
    return pairs, pending


def told(pairs: Sequence[tuple[Place, Place]], pending: Place | None = None) -> str:
    """Write points as `parse` reads them."""
    lines = [f"{a[0]:.1f},{a[1]:.1f} > {b[0]:.1f},{b[1]:.1f}" for a, b in pairs]
    return "\n".join([*lines, f"{pending[0]:.1f},{pending[1]:.1f} >"] if pending else lines)


def clicked(text: str, place: Place) -> str:
    """Add a click: a handle, or the target of the last one.

    Raises:
        ValueError: The text is not readable.
    """
    pairs, pending = parse(text)
    return told([*pairs, (pending, place)]) if pending else told(pairs, place)


@torch.no_grad()
def drawn(model: ReStyle, person: Person | None, text: str) -> Image.Image | None:
    """Draw a person with the points that are there so far."""
    if person is None:
        return None
    pairs, pending = parse(text)
    pairs = [*pairs, (pending, pending)] if pending else pairs
    image = model.generate(person.ws)[0]
    height, width = image.shape[-2:]
    ends = [[pair[side] for pair in pairs] for side in (0, 1)]
    none = torch.zeros(0, 2)
    handles, targets = (checked_points(p, (width, height)) if p else none for p in ends)
    return marked(image, handles, targets, SIDE, smooth=True)


def drag(
    model: ReStyle, shelf: Shelf, person: Person | None, text: str, steps: float, near: bool
) -> Iterator[tuple[Any, str, str, Person, Any]]:
    """Drag a visitor's points, a step at a time.

    Yields:
        The picture, where the points are, what is said, the person, and files at the end.
    """
    with plain_errors():
        start, (pairs, _) = found(person), parse(text)
        if not pairs:
            raise ValueError("first click a point of the picture, then where it shall be")
        handles, targets = ([pair[i] for pair in pairs] for i in (0, 1))
        height, width = model.generate(start.ws).shape[-2:]
        ends = checked_points(targets, (width, height))
        both = torch.cat([checked_points(handles, (width, height)), ends])
        mask = mask_around(both, (width, height)) if near else None
        every = model.drag(start.ws, handles, targets, mask, steps=min(int(steps), MOST_STEPS))
    number, one, where = 0, start, text
    for number, step in enumerate(every):
        one = start.changed(step.ws)
        where = told(list(zip(map(tuple, step.points.tolist()), targets, strict=True)))
        arrived = int(step.arrived.sum())
        said = f"Step {number}: {arrived} of {len(targets)} points have arrived."
        yield (
            marked(step.image[0], step.points, ends, SIDE, smooth=True),
            where,
            said,
            one,
            gr.skip(),
        )
    yield gr.skip(), where, f"Done after {number} steps.", one, shelf.put(model, one)


def tab(model: ReStyle, shelf: Shelf, person: gr.State) -> tuple[gr.Image, gr.Textbox]:
    """Lay the tab out; return the picture and the points, to be filled when it is opened."""
    with gr.Row():
        with gr.Column():
            picture = output("Click a point, then where it shall be", elem_id="drag-picture")
        with gr.Column():
            said = gr.Markdown("Click a point of the face, then its target; then Drag.")
            points = gr.Textbox(
                label="Points",
                info="A line x,y > x,y for each, in pixels of the model's picture.",
                lines=3,
            )
            near = gr.Checkbox(label="Only what is around the points may change")
            steps = gr.Slider(1, MOST_STEPS, value=STEPS, step=1, label="Steps, at most")
            with gr.Row():
                go = gr.Button("Drag", variant="primary")
                stop = gr.Button("Stop")
            with gr.Row():
                clear = gr.Button("Clear points")
                undo = gr.Button("Undo")
            files = take_home()
    size = model.generator.config.size

    def click(who: Person | None, text: str, event: gr.SelectData) -> tuple[Any, str]:
        with plain_errors():
            found(who)
            factor = -(-SIDE // size) if size < SIDE else SIDE / size
            x, y = ((float(at) + 0.5) / factor - 0.5 for at in event.index)
            text = clicked(text, (x, y))
            return drawn(model, who, text), text

    def look(who: Person | None, text: str) -> Any:
        with plain_errors():
            return drawn(model, who, text)

    def run(who: Person | None, text: str, steps: float, near: bool) -> Iterator[Any]:
        yield from drag(model, shelf, who, text, steps, near)

    def back(who: Person | None) -> tuple[Any, str, str, Person, Any]:
        with plain_errors():
            one = found(who).undone()
            files = shelf.put(model, one)
            return picture_of(model, one), "", "The last change is undone.", one, files

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    outputs = [picture, points, said, person, files]
    picture.select(click, [person, points], [picture, points], **private)
    points.input(look, [person, points], picture, trigger_mode="always_last", **private)
    running = go.click(run, [person, points, steps, near], outputs, **private)
    stop.click(None, None, None, cancels=[running], **private)
    clear.click(lambda who: (picture_of(model, who), ""), person, [picture, points], **private)
    undo.click(back, person, outputs, **private)
    return picture, points
