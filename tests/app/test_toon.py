"""The tab for toons: bootstrapping as the library does it."""

import numpy as np
import pytest

gr = pytest.importorskip("gradio")

import restyle  # noqa: E402 - after the check for Gradio
from restyle.app.person import Person, shown  # noqa: E402
from restyle.app.settings import Page  # noqa: E402
from restyle.app.toon import toon  # noqa: E402
from tests.tiny import picture, tiny_model  # noqa: E402


def test_a_toon_is_the_librarys(model, shelf, tmp_path):
    other, photo = tiny_model(1), picture(tmp_path / "me.png")
    target = model.prepare([photo])
    person = Person(model.invert(photo).ws, target)
    (before, after), said, files = toon((model, other), shelf, person, 1, 2)
    expected = restyle.bootstrap(photo, model, other, source_steps=1, steps=2)
    wanted = shown(expected.image[0])
    assert np.array_equal(np.asarray(after), np.asarray(wanted))
    assert before.size == after.size and said == "1 of tiny, then 2 of tiny." and len(files) == 2


def test_it_needs_a_photograph(model, shelf, person):
    for who, words in [(None, "First find a picture"), (person, "begins with a photograph")]:
        with pytest.raises(gr.Error, match=words):
            toon((model, tiny_model(1)), shelf, who, 1, 2)


def test_toons_of_portraits_are_known():
    assert Page().toon == "portraits-toon"
    assert Page(model="portraits-e4e").toon is None
    assert Page(model="other", toon="mine").toon == "mine"
