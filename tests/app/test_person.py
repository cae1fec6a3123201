"""What the page keeps of a picture, what it refuses, and that files go."""

import os
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

gr = pytest.importorskip("gradio")

from restyle.app.person import (  # noqa: E402 - after the check for Gradio
    KEPT,
    UNDONE,
    Shelf,
    found,
    picture_of,
    plain_errors,
    read_upload,
)
from tests.tiny import picture  # noqa: E402


def test_changes_are_undone_one_by_one(person):
    first = person.changed(person.ws + 1)
    second = first.changed(person.ws + 2)
    assert torch.equal(second.undone().ws, first.ws)
    assert torch.equal(second.undone().undone().ws, person.ws)
    assert person.undone() is person
    for _ in range(2 * UNDONE):
        second = second.changed(second.ws)
    assert len(second.before) == UNDONE


def test_picture_and_codes_can_be_taken_home(model, shelf, person):
    image, latents = map(Path, shelf.put(model, person))
    with Image.open(image) as shown:
        assert shown.size == (16, 16)
    assert torch.equal(load_file(latents)["ws"], person.ws)
    assert image.is_relative_to(shelf.folder)


def test_files_are_gone_after_an_hour_and_with_the_server(model, person):
    shelf = Shelf()
    old = Path(shelf.put(model, person)[0]).parent
    past = time.time() - KEPT - 1
    os.utime(old, (past, past))
    new = Path(shelf.put(model, person)[0]).parent
    assert not old.exists() and new.exists() and new.name != old.name
    folder = shelf.folder
    del shelf
    assert not folder.exists()


def test_pictures_are_shown_large(model, person):
    assert picture_of(model, person).size == (512, 512)
    assert picture_of(model, None) is None


def said(make):
    with pytest.raises(gr.Error) as caught, plain_errors():
        make()
    assert not caught.value.print_exception
    return caught.value.message


def test_what_is_no_picture_is_said_without_its_path(tmp_path, monkeypatch):
    text = tmp_path / "me.png"
    text.write_text("hello")
    for path, words in [
        (text, "a file that begins with b'hello'"),
        (None, "Expected a picture first, got none."),
        (picture(tmp_path / "large.png", size=(40, 40)), "1,000 pixels, got 40 x 40"),
    ]:
        monkeypatch.setattr("restyle.app.person.MOST_PIXELS", 1000)
        message = said(lambda path=path: read_upload(path and str(path)))
        assert words in message and str(tmp_path) not in message
    monkeypatch.setattr("restyle.app.person.MOST_BYTES", 3)
    assert "got 0 MB" in said(lambda: read_upload(str(text)))


def test_nobody_is_there_yet():
    assert said(lambda: found(None)) == "First find a picture, or take a sample, under Invert."
