"""The page's second tab: a slider for each direction of the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
import torch
from PIL import Image

from restyle.app.mix import EVERYTHING, GIVEN, given
from restyle.app.person import (
    Person,
    Shelf,
    found,
    output,
    picture_of,
    plain_errors,
    shown,
    take_home,
)
from restyle.editing.edits import Layers
from restyle.model import ReStyle

REACH = 3.0
"""Strength at the ends of a slider; beyond it edits leave what the generator was trained on."""

GROUPS = {
    "Pose": ("yaw", "pitch", "roll"),
    "Expression": ("smile", "mouth_open", "gaze", "eye_opening", "brow_raise", "brow_angle"),
    "Age and accessories": ("age", "glasses", "beard", "hat"),
    "Face": ("skin", "face", "jaw", "chin", "eye", "nose", "mouth", "lip", "brow"),
    "Hair": ("hair",),
    "Light, clothes and background": ("light", "clothes", "background"),
}
"""Headings, and names of directions or what they begin with; the first that fits is taken."""


def grouped(names: Sequence[str]) -> dict[str, list[str]]:
    """Sort names of directions under headings; those that fit none are under Other."""
    groups: dict[str, list[str]] = {heading: [] for heading in (*GROUPS, "Other")}
    for name in names:
        exact = (heading for heading, known in GROUPS.items() if name in known)
        part = (heading for heading, known in GROUPS.items() if name.startswith(known))
        groups[next(exact, next(part, "Other"))].append(name)
    return {heading: found for heading, found in groups.items() if found}


@torch.no_grad()
def edited(
    model: ReStyle,
    names: Sequence[str],
    person: Person,
    strengths: Sequence[float],
    layers: Layers = None,
) -> tuple[Person, Image.Image]:
    """Move a person along directions; return the person and what it looks like."""
    moves = {name: float(s) for name, s in zip(names, strengths, strict=True) if s}
    estimate = model.edit(person.ws, moves, layers=layers)
    return person.changed(estimate.ws), shown(estimate.image[0])


@torch.no_grad()
def by_text(
    model: ReStyle, person: Person, text: str, strength: float, layers: Layers = None
) -> tuple[Person, Image.Image]:
    """Change a person as a text says; return the person and what it looks like.

    Raises:
        ValueError: The text is empty, or has words that the model does not know.
    """
    estimate = model.edit(person.ws, strength=strength, layers=layers, text=text)
    return person.changed(estimate.ws), shown(estimate.image[0])


def _sliders(model: ReStyle) -> tuple[list[str], list[gr.Slider]]:
    """Lay the sliders out under their headings; return the directions that they move, and them."""
    names, sliders = [], []
    for number, (heading, group) in enumerate(grouped(model.editor.names).items()):
        with gr.Accordion(heading, open=number < 2):
            for name in group:
                names.append(name)
                label = name.replace("_", " ")
                sliders.append(gr.Slider(-REACH, REACH, value=0, step=0.1, label=label))
    return names, sliders


def tab(
    model: ReStyle, shelf: Shelf, person: gr.State
) -> tuple[gr.Image, Callable[[gr.Tab], Callable[..., Any]]]:
    """Lay the tab out.

    Returns:
        The picture, to be filled when the tab is opened; and what keeps the edit as soon as another
        tab is, and returns how to say what comes then.
    """
    with gr.Row():
        with gr.Column():
            names, sliders = _sliders(model)
            with gr.Accordion("What may change", open=False):
                layers = gr.Radio(given(model), value=EVERYTHING, show_label=False)
        with gr.Column():
            picture = output("Edited")
            with gr.Row():
                keep = gr.Button("Keep this", variant="primary")
                reset = gr.Button("Reset sliders")
                undo = gr.Button("Undo")
            film = gr.Button("Make a film of it")
            with gr.Row(visible=model.text_editor.ready):
                words = gr.Textbox(label="In words", placeholder="a person with glasses")
                amount = gr.Slider(-REACH, REACH, value=2, step=0.1, label="How much")
                say = gr.Button("Change it")
            files = take_home()
    zeros = [0.0] * len(sliders)

    def look(who: Person | None, layers: str, *strengths: float) -> Image.Image:
        with plain_errors():
            return edited(model, names, found(who), strengths, GIVEN[layers])[1]

    def take(who: Person | None, layers: str, *strengths: float) -> list[Any]:
        with plain_errors():
            one, image = edited(model, names, found(who), strengths, GIVEN[layers])
            return [one, image, shelf.put(model, one), *zeros]

    def told(who: Person | None, layers: str, text: str, strength: float) -> list[Any]:
        with plain_errors():
            one, image = by_text(model, found(who), text, strength, GIVEN[layers])
            return [one, image, shelf.put(model, one), *zeros]

    def settle(who: Person | None, layers: str, *strengths: float) -> list[Any]:
        if who is None or not any(strengths):
            return [gr.skip()] * (1 + len(zeros))
        with plain_errors():
            return [edited(model, names, who, strengths, GIVEN[layers])[0], *zeros]

    def back(who: Person | None) -> list[Any]:
        with plain_errors():
            one = found(who).undone()
            return [one, picture_of(model, one), shelf.put(model, one), *zeros]

    def filmed(who: Person | None, layers: str, *strengths: float) -> list[str]:
        with plain_errors():
            start = found(who)
            one, _ = edited(model, names, start, strengths, GIVEN[layers])
            if not any(strengths):
                raise ValueError("first move a slider: the film goes there and back")
            return shelf.film(model, [start.ws, one.ws, start.ws])

    def clear(who: Person | None) -> list[Any]:
        return [picture_of(model, who), *zeros]

    inputs: list[Any] = [person, layers, *sliders]
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
    for control in (*sliders, layers):  # what comes while one is computed replaces what waits
        control.input(look, inputs, picture, trigger_mode="always_last", **private)
    keep.click(take, inputs, [person, picture, files, *sliders], **private)
    for event in (say.click, words.submit):
        event(told, [person, layers, words, amount], [person, picture, files, *sliders], **private)
    undo.click(back, person, [person, picture, files, *sliders], **private)
    film.click(filmed, inputs, files, **{**private, "show_progress": "full"})
    reset.click(clear, person, [picture, *sliders], **private)
    return picture, lambda tab: tab.select(settle, inputs, [person, *sliders], **private).then
