"""The page's first tab: a picture in, every step of its inversion as it is made."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import gradio as gr
import torch

from restyle.app.person import (
    Person,
    Shelf,
    found,
    pair_of,
    picture_of,
    plain_errors,
    read_upload,
    take_home,
    upload,
)
from restyle.faces import align_faces
from restyle.inversion.domain_check import DomainCheck
from restyle.inversion.methods import (
    Chain,
    build,
    networks_of,
    objective_for,
    refined,
    usual_features,
)
from restyle.io.images import strip
from restyle.losses.pixels import l2
from restyle.model import ReStyle, Steps
from restyle.refine import Estimate, pool_to

MOST_STEPS = 10
NEARER = "newton:6"
"""The method that goes on from what was found."""
LIKENESS = {"near": 1 / 8, "middling": 1 / 2}
"""Largest squared errors of what is called so, as shares of the domain's limit."""
GO_ON = "Go on under Edit or Drag."

Shown = tuple[Any, Any, str, Any, Any]
"""Before and after, the faces that were found, what is said, who it is, and files."""


def watch(model: ReStyle, target: torch.Tensor, steps: Steps) -> Iterator[Estimate]:
    """Yield the start of an inversion of (1, 3, h, w), and the estimate after each step."""
    start = model.start(1)
    yield start
    count = model.checked_steps(steps)
    yield from refined(
        model.encode, model.generate, target, start, None if count == "auto" else count
    )


@cache
def _check(model: ReStyle) -> DomainCheck:
    return DomainCheck(model)


def likeness(model: ReStyle, error: float) -> str:
    """Say in words how near a squared error is, in the range of what the model knows."""
    limit = _check(model).known
    if limit is None or math.isinf(limit):
        return "Done."
    if _check(model).is_unlike(error):
        return f"A far likeness: the picture is unlike the {model.domain.name} of this model."
    words = (word for word, share in LIKENESS.items() if error <= share * limit)
    return f"A {next(words, 'far')} likeness."


def follow(
    model: ReStyle,
    shelf: Shelf,
    target: torch.Tensor,
    estimates: Iterator[Estimate],
    person_of: Callable[[torch.Tensor], Person],
) -> Iterator[Shown]:
    """Show estimates of a photograph (1, 3, h, w) as they are made, from the start on.

    Args:
        model: The model.
        shelf: Where files are kept.
        target: The photograph.
        estimates: The first one is the start.
        person_of: Makes a person of codes.
    """
    started, last, error, number = time.perf_counter(), None, 0.0, 0
    pictures, labels = [], ["target"]
    with plain_errors():
        for number, estimate in enumerate(estimates):
            last = person_of(estimate.ws.clone())
            error = l2(pool_to(estimate.image, target), target).item()
            said = f"Step {number}: squared error {error:.4f}, {_since(started)}."
            pair = pair_of(target, estimate.image)
            pictures, labels = [*(pictures or pair[:1]), pair[1]], [*labels, f"step {number}"]
            yield pair, gr.skip(), said, last, gr.skip()
    assert last is not None  # there is a start
    steps = f"{number} step" + ("" if number == 1 else "s")
    told = f"**{likeness(model, error)}** {steps}, {_since(started)}, squared error {error:.4f}."
    files = shelf.put(model, last, strip(pictures, labels))
    yield gr.skip(), gr.skip(), f"{told} {GO_ON}", last, files


def invert(
    model: ReStyle, shelf: Shelf, path: str | None, align: bool, steps: Any, which: int = 0
) -> Iterator[Shown]:
    """Invert what a visitor gave, a step at a time.

    Args:
        model: The model.
        shelf: Where files are kept.
        path: The picture.
        align: Cut out a face.
        steps: How many, or "auto".
        which: The face's number, the largest being 0.
    """
    with plain_errors():
        photo = read_upload(path)
        faces = [face.crop for face in align_faces(photo, which=None)] if align else [photo]
        if steps != "auto":
            steps = 1 if model.single_shot else min(int(steps), MOST_STEPS)
        model.checked_steps(steps)
        target = model.prepare([faces[min(which, len(faces) - 1)]])
    several = gr.Gallery(value=list(faces), visible=True) if len(faces) > 1 else None
    first = several or gr.Gallery(value=None, visible=False)
    every = follow(
        model, shelf, target, watch(model, target, steps), partial(Person, target=target)
    )
    for pair, _, said, person, files in every:
        yield pair, first, said, person, files
        first = gr.skip()


def nearer(
    model: ReStyle, shelf: Shelf, person: Person | None, method: Callable[[], Chain]
) -> Iterator[Shown]:
    """Go on from what was found, towards the picture, by second-order optimisation.

    Args:
        model: The model.
        shelf: Where files are kept.
        person: Who was found.
        method: Makes the method.
    """
    with plain_errors():
        one = found(person)
        target = one.target
        if target is None:
            raise ValueError("a sample has no picture to be nearer to: give one first")
        said = "Going nearer; a model's first time takes minutes."
        yield gr.skip(), gr.skip(), said, one, gr.skip()
        with torch.no_grad():
            start = Estimate(one.ws, model.generate(one.ws))
        chain = method()

    def estimates() -> Iterator[Estimate]:
        yield start
        yield from chain(target, start)

    yield from follow(model, shelf, target, estimates(), one.changed)


def method_of(model: ReStyle) -> Chain:
    """Return the method of `nearer`, for a model."""
    objective = objective_for([NEARER], usual_features(model), model.device, model.dtype)
    return build(NEARER, networks_of(model, objective))


def sample(model: ReStyle, shelf: Shelf) -> Shown:
    """Take a person whom the generator draws by itself."""
    seed = random.randrange(10**6)
    person = Person(model.sample(1, seed, truncation=0.8).ws)
    picture = picture_of(model, person)
    said = f"Sample {seed} of the model. {GO_ON}"
    return (picture, picture), gr.skip(), said, person, shelf.put(model, person)


def _since(started: float) -> str:
    return f"{time.perf_counter() - started:.1f} s"


def tab(model: ReStyle, shelf: Shelf, person: gr.State) -> None:
    """Lay the tab out."""
    refines = model.has_encoder and not model.single_shot
    with gr.Row():
        with gr.Column():
            photo = upload("Your picture", 280, model.has_encoder)
            with gr.Row():
                find = gr.Button("Find it", variant="primary", visible=model.has_encoder)
                draw = gr.Button("Take a sample instead")
            align = gr.Checkbox(
                label="Cut out the face",
                info="For models of aligned faces, when the picture shows more than the face.",
                visible=model.has_encoder,
            )
            faces = gr.Gallery(
                label="Faces found: click another one",
                visible=False,
                columns=4,
                height=160,
                allow_preview=False,
                interactive=False,
                buttons=[],
            )
            auto = gr.Checkbox(label="As many steps as help", visible=refines)
            steps = gr.Slider(1, MOST_STEPS, value=5, step=1, label="Steps", visible=refines)
        with gr.Column():
            pair = gr.ImageSlider(
                label="Your picture, and what was found", type="pil", interactive=False, buttons=[]
            )
            said = gr.Markdown("Give a picture, or take a sample.", elem_id="invert-said")
            closer = gr.Button("Nearer, as optimisation does", visible=model.has_encoder)
            files = take_home()
    inputs, outputs = [photo, align, auto, steps], [pair, faces, said, person, files]
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
    method = cache(partial(method_of, model))

    def run(path: str | None, align: bool, auto: bool, steps: float) -> Iterator[Shown]:
        yield from invert(model, shelf, path, align, "auto" if auto else steps)

    def choose(path: str | None, auto: bool, steps: float, event: gr.SelectData) -> Iterator[Shown]:
        every = invert(model, shelf, path, True, "auto" if auto else steps, int(event.index))
        for pair, _, said, person, files in every:
            yield pair, gr.skip(), said, person, files

    def closer_still(who: Person | None) -> Iterator[Shown]:
        yield from nearer(model, shelf, who, method)

    find.click(run, inputs, outputs, **private)
    faces.select(choose, [photo, auto, steps], outputs, **private)
    closer.click(closer_still, person, outputs, **private)
    auto.change(lambda on: gr.Slider(visible=not on), auto, steps, queue=False, **private)
    draw.click(lambda: sample(model, shelf), None, outputs, **private)
