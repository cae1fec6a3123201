"""Edits by text measured, with a judge whose readings are known."""

import json

import numpy as np
import pytest
import torch

from restyle.editing.directions import Direction
from restyle.editing.editor import SAMPLES
from restyle.editing.mapper import Mapper, MapperConfig
from restyle.evaluation import text_edits
from restyle.evaluation.text_edits import PROMPTS, by_text
from restyle.portraits.attributes import SCHEMA
from restyle.portraits.captions import split, vocabulary
from restyle.portraits.features import FeatureConfig
from restyle.portraits.text import TextConfig, TextNetwork
from tests.evaluation.stubs import Pixels
from tests.tiny import CODES, tiny_model

pytest.importorskip("skia")
pytest.importorskip("matplotlib")

COUNT = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, a text-image network, and a mapper of the model's generator."""
    folder = tmp_path_factory.mktemp("models")
    model = tiny_model()
    model.save_pretrained(folder / "model")
    torch.manual_seed(5)
    TextNetwork(TextConfig(FeatureConfig(16, (4,) * 5, 8, 12), width=8)).save_pretrained(
        folder / "text"
    )
    mapper = Mapper(MapperConfig(*CODES, "a smiling person", model.editor.generator_sha256))
    for group in mapper.groups.values():
        torch.nn.init.normal_(group.last.weight, std=0.3)
    mapper.save_pretrained(folder / "mappers/smile/mapper")
    return folder


@pytest.fixture
def evaluate(run, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(text_edits, "load_features", lambda name: Pixels())
    monkeypatch.setattr(
        "restyle.editing.editor.Editor.direction", lambda self, name: _direction(self, name)
    )

    def call(*arguments):
        line = ["--model", folder / "model", "--methods", "restyle:1", "--images", COUNT]
        line += ["--text-network", folder / "text", "--mappers", folder / "mappers"]
        options = ["--out", tmp_path / "out", "--device", "cpu", "--batch-size", 2]
        return run("evaluate", "text", *line, *options, *arguments)

    return call


def _direction(editor, name):
    vector = torch.randn(CODES[1], generator=torch.Generator().manual_seed(len(name)))
    return Direction(name, vector).calibrated(editor.generator.sample_w(SAMPLES))


def test_prompts_ask_for_attributes_in_known_words():
    known = set(vocabulary())
    assert len(PROMPTS) == 20
    for name, texts in PROMPTS.items():
        assert name in SCHEMA and texts[0] != texts[1]
        assert all(set(split(text)) <= known for text in texts)


def test_every_text_method_is_measured_on_the_same_inversions(evaluate, tmp_path):
    methods = ["labelled", "direct", "mapper"]
    result = evaluate("--prompts", "smile", "--text-methods", *methods)
    assert (result.code, result.err) == (0, "")
    results = json.loads((tmp_path / "out/results.json").read_text())
    found = results.get("results", results)
    assert [name.rpartition(", ")[2] for name in found] == methods
    errors = {json.dumps(one["mse"]) for one in found.values()}
    assert len(errors) == 1
    for one in found.values():
        assert list(one["attributes"]) == ["smile"]
    assert f"{COUNT} test portraits" in result.out and "prompts that 80%" in result.out
    assert (tmp_path / "out/report.html").exists()


def test_a_repeated_command_measures_nothing_again(evaluate, monkeypatch):
    evaluate("--prompts", "smile", "--text-methods", "direct")
    monkeypatch.setattr(text_edits, "measure", None)
    monkeypatch.setattr(text_edits, "inverted", None)
    assert evaluate("--prompts", "smile", "--text-methods", "direct").code == 0


def test_edits_move_codes_by_their_strength(folder):
    model = tiny_model()
    model.text_editor.network = TextNetwork.from_pretrained(folder / "text")
    ws = model.generator.sample_ws(2)
    one = type("Codes", (), {"ws": ws, "render": staticmethod(model.generate)})
    for method in ("direct", "mapper"):
        edit = by_text(model.text_editor, method, folder / "mappers", "smile", one)
        at = {s: edit(torch.full((2,), s)).ws - ws for s in (0.0, 1.0, -2.0)}
        assert bool((at[0.0] == 0).all()) and bool((at[1.0] != 0).any())
        torch.testing.assert_close(at[-2.0], -2 * at[1.0], atol=1e-5, rtol=1e-4)
        mixed = edit(torch.tensor([1.0, -2.0])).ws - ws
        np.testing.assert_allclose(mixed[1], at[-2.0][1], atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prompts", "nose"], "prompts: expected some of glasses, "),
        (["--prompts", "hat", "--text-methods", "mapper"], "expected a folder with mappers"),
        (["--methods", "restyle:1+pti:1", "--prompts", "hat"], "expected codes of the model's own"),
    ],
)
def test_what_cannot_be_measured_is_said(evaluate, arguments, message):
    result = evaluate(*arguments)
    assert result.code == 2 and message in result.err
