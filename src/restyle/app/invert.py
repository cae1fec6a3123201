"""The page's first tab: a picture in, every step of its inversion as it is made."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import gradio as gr
import torch
from PIL import Image

from restyle.app.person import SIDE, Person, Shelf, picture_of, plain_errors, read_upload
from restyle.faces import align_faces
from restyle.inversion.domain_check import DomainCheck
from restyle.inversion.targets import resized
from restyle.jobs.dragging import enlarged
from restyle.losses.pixels import l2
from restyle.model import ReStyle
from restyle.refine import Estimate, pool_to, refine

MOST_STEPS = 10

Shown = tuple[Any, Any, str, Person, Any]
"""Before and after, the picture's own tab, what is said, who it is, and files."""


def watch(model: ReStyle, target: torch.Tensor, steps: int) -> Iterator[Estimate]:
    """Yield the start of an inversion of (1, 3, h, w), and the estimate after each step."""
    estimate = model.start(1)
    yield estimate
    steps_to_come = refine(model.encode, model.generate, target, estimate, steps)
    for _ in range(steps):
        with torch.no_grad():
            estimate = next(steps_to_come)
        yield estimate


def invert(
    model: ReStyle, shelf: Shelf, path: str | None, align: bool, steps: float
) -> Iterator[Shown]:
    """Invert what a visitor gave, a step at a time."""
    with plain_errors():
        photo = read_upload(path)
        if align:
            photo = align_faces(photo)[0].crop
        count = 1 if model.single_shot else min(int(steps), MOST_STEPS)
        model.checked_steps(count)
        target = model.prepare([photo])
    started = time.perf_counter()
    for number, estimate in enumerate(watch(model, target, count)):
        seconds = time.perf_counter() - started
        person = Person(estimate.ws.clone(), target)
        pair = _pair(target, estimate.image)
        error = l2(pool_to(estimate.image, target), target).item()
        said = f"Step {number} of {count}: squared error {error:.4f}, {seconds:.1f} s."
        files = gr.skip()
        if number == count:
            files, said = shelf.put(model, person), f"{said} Go on under Edit or Drag."
            if DomainCheck(model).is_unlike(error):
                said += f" The picture is unlike the {model.domain.name} that this model knows."
        yield pair, gr.skip(), said, person, files


def sample(model: ReStyle, shelf: Shelf) -> Shown:
    """Take a person whom the generator draws by itself."""
    seed = random.randrange(10**6)
    person = Person(model.sample(1, seed, truncation=0.8).ws)
    picture = picture_of(model, person)
    said = f"Sample {seed} of the model. Go on under Edit or Drag."
    return (picture, picture), gr.skip(), said, person, shelf.put(model, person)


def _pair(target: torch.Tensor, image: torch.Tensor) -> tuple[Image.Image, Image.Image]:
    height, width = image.shape[-2:]
    first = resized(target.cpu(), (height, width))
    return enlarged(first[0], SIDE)[0], enlarged(image[0], SIDE)[0]


def tab(model: ReStyle, shelf: Shelf, person: gr.State) -> None:
    """Lay the tab out."""
    with gr.Row():
        with gr.Column():
            photo = gr.Image(
                label="Your picture",
                type="filepath",
                sources=["upload", "webcam", "clipboard"],
                buttons=[],
                height=320,
                visible=model.has_encoder,
            )
            align = gr.Checkbox(
                label="Cut out the face",
                info="For models of aligned faces, when the picture shows more than the face.",
                visible=model.has_encoder,
            )
            steps = gr.Slider(
                1,
                MOST_STEPS,
                value=5,
                step=1,
                label="Steps",
                visible=model.has_encoder and not model.single_shot,
            )
            with gr.Row():
                find = gr.Button("Find it", variant="primary", visible=model.has_encoder)
                draw = gr.Button("Take a sample instead")
        with gr.Column():
            pair = gr.ImageSlider(
                label="Your picture, and what was found", type="pil", interactive=False, buttons=[]
            )
            said = gr.Markdown("Give a picture, or take a sample.", elem_id="invert-said")
            files = gr.File(label="Take it home", file_count="multiple", interactive=False)
    outputs = [pair, photo, said, person, files]
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}

    def run(path: str | None, align: bool, steps: float) -> Iterator[Shown]:
        yield from invert(model, shelf, path, align, steps)

    find.click(run, [photo, align, steps], outputs, **private)
    draw.click(lambda: sample(model, shelf), None, outputs, **private)
