"""Retrieval and zero-shot classes of a network whose knowledge is known."""

import numpy as np
import pytest
import torch

from restyle.portraits import Portraits
from restyle.portraits.captions import split
from restyle.training.zero_shot import class_embeddings, describe, measure_text

pytest.importorskip("skia")

COLOURS = {"black": 0.1, "grey": 0.5, "white": 0.9}


class Backgrounds:
    """Knows nothing but how light a grey background is, in words as in pictures."""

    templates = ("{}",)

    def embed_text(self, texts):
        return torch.stack([self._unit(self._level(text)) for text in texts])

    def embed_image(self, images):
        light = (images[:, :, 0, 0].mean(1) + 1) / 2
        return torch.stack([self._unit(float(level)) for level in light])

    def _level(self, text):
        words = split(text)
        if "background" not in words:
            return 0.5
        return COLOURS.get(words[words.index("background") - 1], 0.5)

    def _unit(self, level):
        angle = torch.tensor(np.pi / 2 * level)
        return torch.stack([angle.cos(), angle.sin()])


def test_a_network_that_knows_one_thing_is_measured_by_it():
    result = measure_text(Backgrounds(), Portraits("val", size=16), 60)
    assert result["portraits"] == 60
    assert result["text_to_image"] < 0.2 and result["image_to_text"] < 0.2
    # All classes look alike to it: the first one is taken.
    assert result["recall"]["hat"] == pytest.approx(1 / 3)
    assert result["accuracy"]["hat"] > 0.7
    assert "| hat |" in describe(result)


def test_classes_are_embedded_by_several_sentences():
    names = list(COLOURS)
    embedded = class_embeddings(Backgrounds(), "background", names)
    torch.testing.assert_close(
        embedded, Backgrounds().embed_text([f"{n} background" for n in names])
    )
