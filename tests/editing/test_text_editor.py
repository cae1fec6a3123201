"""Edits by text: the methods on one generator, and what is refused."""

import pytest
import torch

from restyle.editing.editor import Editor
from restyle.editing.one_pass import OnePass, OnePassConfig
from restyle.editing.relevance import measure_relevance, network_hash
from restyle.editing.text import text_direction
from restyle.editing.text_editor import TextEdit
from tests.editing.text_stubs import Colours
from tests.tiny import CODES, tiny_model


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A model with all that edits by text need, in its folder."""
    monkeypatch.setenv("RESTYLE_CACHE", str(tmp_path / "cache"))
    model, network = tiny_model(), Colours()
    model.save_pretrained(tmp_path / "model")
    model.folder = tmp_path / "model"
    model.text_editor.network = network
    hashes = model.editor.generator_sha256, network_hash(network)
    one_pass = OnePass(OnePassConfig(*CODES, 4, 8, *hashes))
    one_pass.save_pretrained(model.folder / "one-pass")
    path = model.folder / "relevance.safetensors"
    measure_relevance(model.generator, render_styles(model), network, path, samples=8)
    return model


def render_styles(model):
    return lambda styles: model.generate(styles=styles)


def test_a_global_direction_makes_pictures_as_the_text_says(model):
    ws = model.sample(4, 5).ws
    edits = [model.edit(ws, text="red", method="global", strength=s) for s in (-1.0, 0.0, 1.0)]
    change = text_direction(Colours(), "red")
    along = torch.stack([Colours().embed_image(edit.image) @ change for edit in edits])
    assert (along.mean(dim=1).diff() > 0).all()
    assert edits[0].styles.shape == (4, 64)
    assert torch.allclose(edits[1].image, model.generate(ws), atol=1e-5)
    direction = model.text_editor.direction(ws[:1], TextEdit("red", method="global"))
    assert direction.space == "S" and "'red' from 'a person'" in direction.about
    assert direction.generator_sha256 == model.editor.generator_sha256


def test_one_pass_moves_codes_by_what_the_network_says(model):
    ws = model.sample(2, 5).ws
    edit = TextEdit("red", neutral="dark")
    found = model.edit(ws, text="red", neutral="dark", strength=2.0, layers=[1, 3])
    change = Colours().embed_text(["red", "dark"])
    change = torch.nn.functional.normalize(change[0] - change[1], dim=0)
    embedding = Colours().embed_image(model.generate(ws))
    steps = model.text_editor.one_pass.step_for(change, embedding)
    assert steps.abs().max() > 0
    expected = ws.clone()
    expected[:, [1, 3]] += 2 * steps[:, [1, 3]]
    torch.testing.assert_close(found.ws, expected)
    direction = model.text_editor.direction(ws[:1], edit)
    torch.testing.assert_close(direction.vector, steps[0], atol=1e-5, rtol=1e-5)
    assert (direction.space, direction.scale) == ("W+", 1.0)


def test_a_network_of_another_generator_is_not_taken(model):
    other = tiny_model(seed=1)
    editor = type(model.text_editor)(other.editor, other.generate, model.folder)
    editor.network = Colours()
    with pytest.raises(ValueError, match="restyle train one-pass"):
        editor.prepare(TextEdit("red"))
    assert isinstance(other.editor, Editor)


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        ({"text": " "}, "text: expected words, got none"),
        ({"text": "red", "neutral": ""}, "neutral: expected words, got none"),
        ({"text": "a  person"}, "text: expected another one than the neutral one"),
        ({"text": "red", "threshold": 0.2}, "threshold: expected the method global, got one-pass"),
    ],
)
def test_texts_that_say_nothing_are_refused(edit, complaint):
    with pytest.raises(ValueError, match=complaint):
        TextEdit(**edit)


def test_directions_and_a_text_exclude_one_another(model):
    ws = model.sample().ws
    with pytest.raises(ValueError, match="got both or neither"):
        model.edit(ws)
    with pytest.raises(ValueError, match="got both or neither"):
        model.edit(ws, "smile", text="red")
    with pytest.raises(ValueError, match="does not know: blue"):
        model.edit(ws, text="blue")


@pytest.mark.parametrize(
    ("text", "name"),
    [("A person, with  glasses!", "a-person-with-glasses"), ("...", "text"), ("x" * 99, "x" * 60)],
)
def test_a_text_names_files(text, name):
    assert TextEdit(text).name == name


@pytest.mark.parametrize(
    ("text", "news"),
    [
        ("a person with a hat", "with a hat"),
        ("an old person", "an old person"),
        ("a person", "a person"),
    ],
)
def test_a_caption_says_what_is_new(text, news):
    assert TextEdit(text, "a person" if text != "a person" else "a person with a hat").news == news
