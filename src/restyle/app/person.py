"""One visitor's picture: what the page keeps, how it shows it, and what can be taken home."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from PIL import Image
from torch import Tensor

from restyle.editing.latents import save_latents
from restyle.editing.video import between, check_video, save_video
from restyle.inversion.targets import resized
from restyle.io.images import ImageError, read_image, save_image
from restyle.jobs.dragging import enlarged
from restyle.jobs.editing import renders
from restyle.jobs.inversion import model_facts
from restyle.model import ReStyle

SIDE = 512
"""Pictures are shown at about this size."""
MOST_BYTES = 20_000_000
MOST_PIXELS = 25_000_000
KEPT = 3600
"""Seconds after which files are removed."""
UNDONE = 20
"""Changes that can be undone."""


@dataclass(frozen=True)
class Person:
    """Who is changed.

    Attributes:
        ws: (1, num_ws, D), the codes.
        target: (1, 3, h, w), the photograph, where there is one.
        before: The codes that undoing goes back to, the last ones last.
    """

    ws: Tensor
    target: Tensor | None = None
    before: tuple[Tensor, ...] = ()

    def changed(self, ws: Tensor) -> Person:
        """Return the person with other codes."""
        return Person(ws, self.target, (*self.before, self.ws)[-UNDONE:])

    def undone(self) -> Person:
        """Return the person before the last change."""
        return Person(self.before[-1], self.target, self.before[:-1]) if self.before else self


class Shelf:
    """Files that visitors can download, removed after an hour or with the server.

    Attributes:
        folder: Where they are.
    """

    def __init__(self) -> None:
        self._owner = tempfile.TemporaryDirectory(prefix="restyle-")
        self.folder = Path(self._owner.name)

    def put(self, model: ReStyle, person: Person, strip: Image.Image | None = None) -> list[str]:
        """Write picture, codes and strip of a person, where nobody guesses; return their paths."""
        place = self._place()
        files = [place / "picture.png", place / "latents.safetensors"]
        with torch.no_grad():
            save_image(model.generate(person.ws)[0], files[0])
        save_latents(person.ws, model_facts(model), files[1])
        if strip:
            files.append(place / "strip.png")
            save_image(strip, files[-1])
        return [str(file) for file in files]

    def film(self, model: ReStyle, stops: Sequence[Tensor]) -> list[str]:
        """Write a film that goes from code to code (1, num_ws, D); return its path.

        Raises:
            ImportError: imageio is missing (`pip install 'restyle[video]'`).
        """
        check_video("film.mp4")
        file = self._place() / "film.mp4"
        ways = between([ws[0] for ws in stops])
        frames = gr.Progress().tqdm(renders(model, ways), total=len(ways), unit="pictures")
        save_video(frames, file)
        return [str(file)]

    def _place(self) -> Path:
        for old in self.folder.iterdir():
            if old.stat().st_mtime < time.time() - KEPT:
                shutil.rmtree(old, ignore_errors=True)
        return Path(tempfile.mkdtemp(dir=self.folder))


@contextmanager
def plain_errors() -> Iterator[None]:
    """Tell a visitor what is wrong in one sentence, without paths of the server."""
    try:
        yield
    except ImageError as error:
        raise gr.Error(f"Expected {error.expected}, got {error.found}.", **_SAID) from None
    except (ValueError, ImportError) as error:
        text = str(error)
        raise gr.Error(f"{text[:1].upper()}{text[1:]}.", **_SAID) from None


_SAID = {"print_exception": False, "title": "That does not work"}


def read_upload(path: str | None) -> Image.Image:
    """Read a picture that a visitor gave, as `read_image` does, within the page's bounds.

    Raises:
        ImageError: There is none, it is too large, or it is no picture.
    """
    if path is None:
        raise ImageError("picture", "a picture first", "none")
    size = Path(path).stat().st_size
    if size > MOST_BYTES:
        found = f"{size / 1e6:.0f} MB"
        raise ImageError("picture", f"a picture of at most {MOST_BYTES // 10**6} MB", found)
    return read_image(path, MOST_PIXELS)


def upload(label: str, height: int, visible: bool) -> gr.Image:
    """Lay out a place for a visitor's picture, of which handlers are given the path."""
    place = gr.Image(
        label=label,
        type="filepath",
        sources=["upload", "webcam", "clipboard"],
        buttons=[],
        height=height,
        visible=visible,
    )

    def path_of(payload: Any) -> str | None:
        if payload is None or not payload.path:
            return None
        if not Path(payload.path).resolve().is_relative_to(Path(place.GRADIO_CACHE).resolve()):
            raise gr.Error("Expected a picture that was uploaded.", **_SAID)
        return payload.path

    # Gradio's own decodes pictures of any size, tells little of what it cannot read, and takes
    # paths of the server where a call by hand leaves out that they are files.
    place.preprocess = path_of  # pyright: ignore[reportAttributeAccessIssue]
    return place


def output(label: str, **options: Any) -> gr.Image:
    """Lay out a picture that the page shows; the options are `gr.Image`'s."""
    return gr.Image(
        label=label, type="pil", format="jpeg", interactive=False, buttons=[], **options
    )


def take_home() -> gr.File:
    """Lay out the files that can be downloaded."""
    return gr.File(
        label="Take it home",
        file_count="multiple",
        interactive=False,
        height=210,
        elem_classes="take-home",
    )


def found(person: Person | None) -> Person:
    """Return the person, or say that there is none yet.

    Raises:
        ValueError: There is none.
    """
    if person is None:
        raise ValueError("first find a picture, or take a sample, under Invert")
    return person


def shown(image: Tensor) -> Image.Image:
    """Make a picture (3, H, W) in [-1, 1] of the size in which the page shows it."""
    return enlarged(image, SIDE, smooth=True)[0]


def pair_of(target: Tensor, image: Tensor) -> tuple[Image.Image, Image.Image]:
    """Show a photograph (1, 3, h, w) and what was made of it, (1, 3, H, W), in one size."""
    height, width = image.shape[-2:]
    return shown(resized(target.cpu(), (height, width))[0]), shown(image[0])


@torch.no_grad()
def picture_of(model: ReStyle, person: Person | None) -> Image.Image | None:
    """Render a person as the page shows it."""
    return None if person is None else shown(model.generate(person.ws)[0])
