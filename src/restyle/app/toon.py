"""The page's tab for toons: encoder bootstrapping from one model to another."""

from __future__ import annotations

from typing import Any

import gradio as gr
from PIL import Image

from restyle.app.person import Person, Shelf, found, pair_of, plain_errors, take_home
from restyle.inversion.bootstrapping import bootstrap
from restyle.model import ReStyle

MOST_STEPS = 5

Pair = tuple[Image.Image, Image.Image]


def toon(
    models: tuple[ReStyle, ReStyle],
    shelf: Shelf,
    person: Person | None,
    source_steps: float,
    steps: float,
) -> tuple[Pair, str, list[str]]:
    """Translate a visitor's photograph.

    Args:
        models: The one that begins, and the one that goes on.
        shelf: Where files are kept.
        person: Whose photograph it is.
        source_steps: Steps of the first model.
        steps: Steps of the second one.

    Returns:
        The photograph and the toon, what is said, and files.
    """
    source, target = models
    with plain_errors():
        photo = found(person).target
        if photo is None:
            raise ValueError("a toon begins with a photograph: give one under Invert")
        counts = [min(int(count), MOST_STEPS) for count in (source_steps, steps)]
        result = bootstrap(photo, source, target, *counts)
    said = f"{counts[0]} of {source.name}, then {counts[1]} of {target.name}."
    return pair_of(photo, result.image), said, shelf.put(target, Person(result.ws))


def tab(models: tuple[ReStyle, ReStyle], shelf: Shelf, person: gr.State) -> None:
    """Lay the tab out."""
    with gr.Row():
        with gr.Column():
            first = gr.Slider(1, MOST_STEPS, value=1, step=1, label="Steps as a photograph")
            second = gr.Slider(1, MOST_STEPS, value=1, step=1, label="Steps as a toon")
            make = gr.Button("Make a toon", variant="primary")
        with gr.Column():
            pair = gr.ImageSlider(
                label="Your picture, and the toon", type="pil", interactive=False, buttons=[]
            )
            said = gr.Markdown("It is made of the picture that was found under Invert.")
            files = take_home()

    def run(who: Person | None, source_steps: float, steps: float) -> tuple[Pair, str, Any]:
        return toon(models, shelf, who, source_steps, steps)

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
    make.click(run, [person, first, second], [pair, said, files], **private)
