"""The page's tab for two people: what one gives the other, and the way between them."""

from __future__ import annotations

import random
from typing import Any

import gradio as gr
import torch
from PIL import Image
from torch import Tensor

from restyle.app.person import (
    Person,
    Shelf,
    found,
    output,
    picture_of,
    plain_errors,
    read_upload,
    shown,
    take_home,
    upload,
)
from restyle.editing.edits import GROUPS
from restyle.editing.edits import mix as mix_layers
from restyle.faces import align_faces
from restyle.model import ReStyle

EVERYTHING = "everything"
GIVEN = {
    EVERYTHING: None,
    "pose and shape (coarse)": "coarse",
    "features (middle)": "middle",
    "colours (fine)": "fine",
}
"""Groups of layers, in words, that can come from the other person."""


def given(model: ReStyle) -> list[str]:
    """Return what another person can give, of a model with so many layers."""
    rows = model.generator.num_ws
    return [words for words, group in GIVEN.items() if not group or GROUPS[group][0] < rows]


def mixed(person: Person | None, other: Tensor | None, what: str, share: float) -> Tensor:
    """Return codes on the way to a person with something of another.

    Raises:
        ValueError: One of them is not there.
    """
    ws = found(person).ws
    if other is None:
        raise ValueError("first give the other person: a picture or a sample")
    return torch.lerp(ws, mix_layers(ws, other, GIVEN.get(what)), float(share))


@torch.no_grad()
def look(
    model: ReStyle, person: Person | None, other: Tensor | None, what: str, share: float
) -> Image.Image | None:
    """Show the mixture."""
    if person is None or other is None:
        return picture_of(model, person)
    return shown(model.generate(mixed(person, other, what, share))[0])


def other_of(model: ReStyle, path: str | None, align: bool) -> Tensor:
    """Return the codes of a picture, by the model's usual steps."""
    with plain_errors():
        photo = read_upload(path)
        return model.invert(align_faces(photo)[0].crop if align else photo).ws


def tab(model: ReStyle, shelf: Shelf, person: gr.State) -> gr.Image:
    """Lay the tab out; return the mixture, to be filled when it is opened."""
    other = gr.State(None)
    with gr.Row():
        with gr.Column():
            photo = upload("The other person", 240, model.has_encoder)
            align = gr.Checkbox(label="Cut out the face", visible=model.has_encoder)
            with gr.Row():
                use = gr.Button("Use this picture", visible=model.has_encoder)
                draw = gr.Button("Take a sample as the other")
            second = output("The other, as found", height=240)
        with gr.Column():
            what = gr.Radio(given(model), value=EVERYTHING, label="What comes from the other")
            share = gr.Slider(0.0, 1.0, value=0.5, step=0.05, label="How far")
            picture = output("Mixed", elem_id="mixed")
            with gr.Row():
                keep = gr.Button("Keep this", variant="primary")
                film = gr.Button("Make a film")
            files = take_home()

    def show(who: Person | None, ws: Tensor | None, what: str, share: float) -> Any:
        with plain_errors():
            return look(model, who, ws, what, share)

    def read(path: str | None, align: bool) -> tuple[Tensor, Any]:
        ws = other_of(model, path, align)
        return ws, picture_of(model, Person(ws))

    def take() -> tuple[Tensor, Any]:
        ws = model.sample(1, random.randrange(10**6), truncation=0.8).ws
        return ws, picture_of(model, Person(ws))

    def keep_it(who: Person | None, ws: Tensor | None, what: str, share: float) -> tuple[Any, Any]:
        with plain_errors():
            one = found(who).changed(mixed(who, ws, what, share))
            return one, shelf.put(model, one)

    def filmed(who: Person | None, ws: Tensor | None, what: str) -> list[str]:
        with plain_errors():
            start = found(who).ws
            return shelf.film(model, [start, mixed(who, ws, what, 1.0), start])

    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
    mixture = [person, other, what, share]
    for event in (
        use.click(read, [photo, align], [other, second], **private),
        draw.click(take, None, [other, second], **private),
    ):
        event.success(show, mixture, picture, **private)
    for control in (what, share):
        control.input(show, mixture, picture, trigger_mode="always_last", **private)
    keep.click(keep_it, mixture, [person, files], **private)
    film.click(filmed, [person, other, what], files, **{**private, "show_progress": "full"})
    return picture
