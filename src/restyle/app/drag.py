"""The page's third tab: points are clicked and pulled."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr
import numpy as np
import torch
from PIL import Image

from restyle.app.brush import BRUSH, controls, painted, read_stroke, tinted
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
from restyle.jobs.dragging import marked, strip_of
from restyle.model import ReStyle

Place = tuple[float, float]
EVERYTHING, AROUND, BRUSHED = "everything", "only what is around the points", "only what I brush"
MAY_CHANGE = (EVERYTHING, AROUND, BRUSHED)
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
def drawn(
    model: ReStyle, person: Person | None, text: str, brushed: Image.Image | None = None
) -> Image.Image | None:
    """Draw a person with the points that are there so far, and what is brushed."""
    if person is None:
        return None
    pairs, pending = parse(text)
    pairs = [*pairs, (pending, pending)] if pending else pairs
    image = model.generate(person.ws)[0]
    height, width = image.shape[-2:]
    ends = [[pair[side] for pair in pairs] for side in (0, 1)]
    none = torch.zeros(0, 2)
    handles, targets = (checked_points(p, (width, height)) if p else none for p in ends)
    return tinted(marked(image, handles, targets, SIDE, smooth=True), brushed)


def mask_of(
    what: str, brushed: Image.Image | None, points: torch.Tensor, size: tuple[int, int]
) -> torch.Tensor | None:
    """Return what may change, (H, W); None for everything.

    Args:
        what: One of `MAY_CHANGE`.
        brushed: As `painted` makes it.
        points: (N, 2), handles and targets in pixels.
        size: Width and height of the model's picture.

    Raises:
        ValueError: Nothing is brushed.
    """
    if what == AROUND:
        return mask_around(points, size)
    if what != BRUSHED:
        return None
    if brushed is None:
        raise ValueError("first brush what may change, on the picture")
    return torch.from_numpy(np.asarray(brushed) / 255).float()


def drag(
    model: ReStyle,
    shelf: Shelf,
    person: Person | None,
    text: str,
    steps: float,
    may_change: tuple[str, Image.Image | None] = (EVERYTHING, None),
) -> Iterator[tuple[Any, str, str, Person, Any]]:
    """Drag a visitor's points, a step at a time.

    Args:
        model: The model.
        shelf: Where files are kept.
        person: Who is dragged.
        text: The points, as `parse` reads them.
        steps: At most so many.
        may_change: One of `MAY_CHANGE`, and what is brushed.

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
        mask = mask_of(*may_change, both, (width, height))
        every = model.drag(start.ws, handles, targets, mask, steps=min(int(steps), MOST_STEPS))
    number, arrived, one, where, frames = 0, 0, start, text, []
    for number, step in enumerate(every):
        one = start.changed(step.ws)
        where = told(list(zip(map(tuple, step.points.tolist()), targets, strict=True)))
        arrived = int(step.arrived.sum())
        said = f"Step {number}: {arrived} of {len(targets)} points have arrived."
        image = marked(step.image[0], step.points, ends, SIDE, smooth=True)
        frames.append(image.resize((image.width // 2, image.height // 2)))
        yield image, where, said, one, gr.skip()
    files = shelf.put(model, one, strip_of(frames))
    said = f"Done after {number} steps."
    if arrived < len(targets):
        said += f" {arrived} of {len(targets)} points have arrived: *Drag* goes on."
    yield gr.skip(), where, said, one, files


def tab(model: ReStyle, shelf: Shelf, person: gr.State) -> tuple[gr.Image, gr.Textbox, gr.State]:
    """Lay the tab out; return the picture, the points and the brush, to be filled when it opens."""
    brushed = gr.State(None)
    with gr.Row():
        with gr.Column():
            picture = output("Click a point, then where it shall be", elem_id="drag-picture")
        with gr.Column():
            said = gr.Markdown("Click a point of the face, then where it shall be; then *Drag*.")
            with gr.Row():
                go = gr.Button("Drag", variant="primary")
                stop = gr.Button("Stop")
                undo = gr.Button("Undo")
                clear = gr.Button("Clear points")
            what = gr.Radio(MAY_CHANGE, value=EVERYTHING, label="What may change")
            brush = controls()
            points = gr.Textbox(
                label="Points",
                info="A line x,y > x,y for each, in pixels of the model's picture.",
                lines=3,
            )
            steps = gr.Slider(1, MOST_STEPS, value=STEPS, step=1, label="Steps, at most")
            files = take_home()

    def click(who: Person | None, text: str, what: str, tool: str, event: gr.SelectData) -> Any:
        if brushes(what, tool):
            return gr.skip()
        with plain_errors():
            found(who)
            return clicked(text, place_in(model, event.index))

    def show_click(who: Person | None, text: str, mask: Any, what: str, tool: str) -> Any:
        return gr.skip() if brushes(what, tool) else look(who, text, mask)

    def look(who: Person | None, text: str, mask: Any) -> Any:
        with plain_errors():
            return drawn(model, who, text, mask)

    def paint(who: Person | None, text: str, mask: Any, stroke: str, width: float) -> Any:
        with plain_errors():
            picture = drawn(model, found(who), text)
            assert picture is not None
            mask = painted(mask, read_stroke(stroke), width / 100, picture.size)
            return tinted(picture, mask), mask

    def run(who: Person | None, text: str, mask: Any, what: str, steps: float) -> Iterator[Any]:
        yield from drag(model, shelf, who, text, steps, (what, mask))

    def back(who: Person | None) -> tuple[Any, str, str, Person, Any]:
        with plain_errors():
            one = found(who).undone()
            files = shelf.put(model, one)
            return picture_of(model, one), "", "The last change is undone.", one, files

    private: dict[str, Any] = {
        "api_visibility": "private",
        "show_progress": "minimal",
        "show_progress_on": picture,
    }
    outputs = [picture, points, said, person, files]
    drawing, show = [person, points, brushed], [picture, brushed]
    # Clicks are counted at once, drawn when there is time: until one is counted, others are lost.
    last: dict[str, Any] = {**private, "trigger_mode": "always_last"}
    counted = picture.select(
        click, [person, points, what, brush.tool], points, queue=False, **private
    )
    counted.success(show_click, [*drawing, what, brush.tool], picture, **last)
    points.input(look, drawing, picture, **last)
    brush.stroke.change(paint, [*drawing, brush.stroke, brush.width], show, **private)
    brush.wipe.click(lambda who, text: (look(who, text, None), None), drawing[:2], show, **private)
    what.input(lambda what: gr.Row(visible=what == BRUSHED), what, brush.row, **private)
    running = go.click(run, [*drawing, what, steps], outputs, **private)
    stop.click(None, None, None, cancels=[running], **private)
    clear.click(
        lambda who, mask: (look(who, "", mask), ""), [person, brushed], [picture, points], **private
    )
    undo.click(back, person, outputs, **private)
    return picture, points, brushed


def brushes(what: str, tool: str) -> bool:
    """Say whether a click is part of a stroke, which the brush tells of."""
    return what == BRUSHED and tool == BRUSH


def place_in(model: ReStyle, at: Sequence[int]) -> Place:
    """Take a pixel of the picture as it is shown to the model's picture."""
    size = model.generator.config.size
    factor = -(-SIDE // size) if size < SIDE else SIDE / size
    x, y = ((float(place) + 0.5) / factor - 0.5 for place in at)
    return x, y
