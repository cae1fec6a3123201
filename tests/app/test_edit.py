"""The second tab: sliders move codes as the library does."""

import pytest
import torch

gr = pytest.importorskip("gradio")

from restyle.app import edit  # noqa: E402 - after the check for Gradio
from restyle.editing.directions import Direction  # noqa: E402
from restyle.editing.one_pass import OnePass, OnePassConfig  # noqa: E402
from restyle.editing.relevance import network_hash  # noqa: E402
from tests.editing.text_stubs import Colours  # noqa: E402
from tests.tiny import CODES  # noqa: E402


def test_directions_stand_under_headings_each_once():
    names = ["yaw", "smile", "hair_part", "eye_size", "eye_opening", "beard", "light_direction"]
    groups = edit.grouped([*names, "mystery"])
    assert groups == {
        "Pose": ["yaw"],
        "Expression": ["smile", "eye_opening"],
        "Age and accessories": ["beard"],
        "Face": ["eye_size"],
        "Hair": ["hair_part"],
        "Light, clothes and background": ["light_direction"],
        "Other": ["mystery"],
    }


def test_several_sliders_move_at_once(model, person):
    directions = {}
    for seed, name in enumerate(("smile", "yaw", "age")):
        vector = torch.randn(CODES[1], generator=torch.Generator().manual_seed(seed))
        directions[name] = Direction(name, vector, 1.0)
        model.editor._ready[name] = directions[name]
    names = list(directions)
    one, image = edit.edited(model, names, person, [1.0, 0.0, -2.0])
    expected = model.edit(person.ws, {directions["smile"]: 1.0, directions["age"]: -2.0})
    assert torch.allclose(one.ws, expected.ws) and image.size == (512, 512)
    assert torch.equal(one.undone().ws, person.ws)
    same, _ = edit.edited(model, names, person, [0.0, 0.0, 0.0])
    assert torch.equal(same.ws, person.ws)


def test_a_text_changes_a_person(model, person):
    model.text_editor.network = network = Colours()
    assert not model.text_editor.ready
    shape = OnePassConfig(*CODES, 4, 8, model.editor.generator_sha256, network_hash(network))
    model.text_editor.one_pass = OnePass(shape)
    one, image = edit.by_text(model, person, "red", 2.0)
    expected = model.edit(person.ws, text="red", strength=2.0)
    assert torch.allclose(one.ws, expected.ws) and not torch.equal(one.ws, person.ws)
    assert image.size == (512, 512)
    with pytest.raises(ValueError, match="does not know: blue"):
        edit.by_text(model, person, "blue", 2.0)
