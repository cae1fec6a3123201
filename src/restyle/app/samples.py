"""The page's tab of samples: pictures whose true codes are known, inverted again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr
import torch
from PIL import Image

from restyle.app.invert import GO_ON, follow, watch
from restyle.app.person import Person, Shelf, picture_of, plain_errors, shown, take_home
from restyle.model import ReStyle

SHOWN = 9
LARGEST_SEED = 10**9
_SMALL = 128  # pixels up to which samples are rendered that are shown side by side

Chosen = tuple[int, float]
"""A seed, and the truncation."""


@torch.no_grad()
def drawn(model: ReStyle, seed: float, truncation: float) -> list[tuple[Image.Image, str]]:
    """Draw samples from a seed on; return pictures and their seeds."""
    with plain_errors():
        first = _checked(seed)
        ws = model.generator.sample_ws(SHOWN, first, float(truncation))
        images = model.generate(ws, min(_SMALL, model.generator.config.size))
    return [(shown(image), f"{first + i}") for i, image in enumerate(images)]


def take(model: ReStyle, shelf: Shelf, chosen: Chosen) -> tuple[Any, str, Person, list[str]]:
    """Make a sample the person that is changed; return two pictures, what is said, and files."""
    with plain_errors():
        person = Person(model.sample(1, chosen[0], chosen[1]).ws)
    picture = picture_of(model, person)
    said = f"Sample {chosen[0]} at truncation {chosen[1]:g}. {GO_ON}"
    return (picture, picture), said, person, shelf.put(model, person)


def again(
    model: ReStyle, shelf: Shelf, chosen: Chosen | None
) -> Iterator[tuple[Any, str, Any, Any]]:
    """Invert a sample's picture; tell how far its codes are from the true ones.

    Undoing goes back to the true codes.
    """
    with plain_errors():
        if chosen is None:
            raise ValueError("first click one of the samples")
        true = model.sample(1, *chosen)
        target = model.prepare(true.image.clamp(-1, 1))
    steps = watch(model, target, model.checked_steps())
    person = Person(true.ws, target)
    for pair, _, said, found, files in follow(model, shelf, target, steps, person.changed):
        if files != gr.skip():
            far, usual = (_apart(ws, true.ws) for ws in (found.ws, model.average.ws))
            said = f"{said} Its codes are {far:.2f} from the true ones, the average's {usual:.2f}."
        yield pair, said, found, files


def _apart(ws: torch.Tensor, other: torch.Tensor) -> float:
    return (ws - other).square().mean().sqrt().item()


def _checked(seed: float) -> int:
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"expected a seed from 0 to {LARGEST_SEED:,}, got {seed:g}")
    return int(seed)


def tab(model: ReStyle, shelf: Shelf, person: gr.State) -> None:
    """Lay the tab out."""
    first, chosen = gr.State((0, 0.8)), gr.State(None)
    with gr.Row():
        with gr.Column():
            seed = gr.Number(0, label="First seed", precision=0, minimum=0, maximum=LARGEST_SEED)
            truncation = gr.Slider(
                0.0,
                1.0,
                value=0.8,
                step=0.05,
                label="Truncation",
                info="1 for the full variety, 0 for the average picture.",
            )
            draw = gr.Button(f"Draw {SHOWN}", variant="primary")
            gallery = gr.Gallery(
                label="Samples",
                show_label=False,
                columns=3,
                height="auto",
                allow_preview=False,
                interactive=False,
                buttons=[],
                object_fit="contain",
            )
        with gr.Column():
            pair = gr.ImageSlider(
                label="The sample, and what was found", type="pil", interactive=False, buttons=[]
            )
            said = gr.Markdown("Draw samples, and click one.")
            invert = gr.Button("Invert this one", visible=model.has_encoder)
            files = take_home()

    def start(seed: float, truncation: float) -> tuple[Any, Chosen]:
        return drawn(model, seed, truncation), (int(seed), float(truncation))

    def choose(begin: Chosen, event: gr.SelectData) -> tuple[Any, ...]:
        one = (begin[0] + min(max(int(event.index), 0), SHOWN - 1), begin[1])
        return *take(model, shelf, one), one

    def run(one: Chosen | None) -> Iterator[tuple[Any, ...]]:
        yield from again(model, shelf, one)

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
    draw.click(start, [seed, truncation], [gallery, first], **private)
    gallery.select(choose, first, [pair, said, person, files, chosen], **private)
    invert.click(run, chosen, [pair, said, person, files], **private)
