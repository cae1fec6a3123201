"""`restyle edit --text`: what it writes, and what it refuses before anything is written."""

import pytest
import torch
from safetensors.torch import load_file

from restyle.editing.mapper import Mapper, MapperConfig
from restyle.editing.one_pass import OnePass, OnePassConfig
from restyle.editing.relevance import measure_relevance, network_hash
from restyle.hub import registry
from restyle.io.files import read_jsonl
from tests.editing.text_stubs import Colours
from tests.tiny import CODES, tiny_model


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model with what texts need, in its folder, and a mapper of another one."""
    folder = tmp_path_factory.mktemp("files")
    model, network = tiny_model(), Colours()
    model.save_pretrained(folder / "model")
    hashes = model.editor.generator_sha256, network_hash(network)
    torch.manual_seed(3)
    OnePass(OnePassConfig(*CODES, 4, 8, *hashes)).save_pretrained(folder / "model/one-pass")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESTYLE_CACHE", str(folder / "cache"))
        path = folder / "model/relevance.safetensors"
        measure_relevance(model.generator, styled(model), network, path, samples=4)
    Mapper(MapperConfig(*CODES, "red", "another")).save_pretrained(folder / "mapper")
    return folder


def styled(model):
    return lambda styles: model.generate(styles=styles)


@pytest.fixture
def edit(run, files, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "load_text", lambda _: Colours())

    def call(*arguments):
        line = ["edit", "--seed", 5, *arguments, "--model", files / "model", "--device", "cpu"]
        return run(*line, "--out", tmp_path / "out")

    return call


@pytest.mark.parametrize(("method", "kind"), [("one-pass", "latents"), ("global", "styles")])
def test_a_sample_is_edited_by_text(edit, files, tmp_path, method, kind):
    line = ("--text", "red", "--neutral", "dark", "--text-method", method, "--strengths", "-1:1:3")
    result = edit(*line, "--video", "gif")
    assert (result.code, result.err) == (0, "")
    out = tmp_path / "out"
    assert (out / "strips/seed5.red.png").exists() and (out / "videos/seed5.red.gif").exists()
    model = registry.load(files / "model", "cpu")
    model.text_editor.network = Colours()
    how = {"text": "red", "neutral": "dark", "method": method}
    expected = model.edit(model.sample(1, 5).ws, strength=1.0, **how)
    [kept] = load_file(out / kind / "seed5.red.safetensors").values()
    wanted = expected.ws if kind == "latents" else expected.styles
    torch.testing.assert_close(kept[2], wanted[0], atol=1e-4, rtol=1e-4)
    [record] = read_jsonl(out / "manifest.jsonl")
    assert record["text"] == "red" and record["neutral"] == "dark"
    assert record["text_sha256"] == network_hash(Colours())


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "expected --direction or --text, got neither"),
        (["--direction", "smile", "--text", "red"], "expected --direction or --text, got both"),
        (["--text", " "], "text: expected words, got none"),
        (["--text", "a person"], "text: expected another one than the neutral one"),
        (["--text", "blue"], "does not know: blue"),
        (["--text", "red", "--threshold", "0.5"], "threshold: expected the method global"),
        (["--text", "red", "--text-method", "mapper"], "mapper: expected a folder"),
        (
            ["--text", "red", "--text-method", "global", "--threshold", "1"],
            "the relevance of the most relevant channel for 'red'",
        ),
        (
            ["--text", "red", "--text-method", "mapper", "--mapper", "MAPPER"],
            "expected a mapper of this generator",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(edit, files, tmp_path, options, complaint):
    result = edit(*(files / "mapper" if option == "MAPPER" else option for option in options))
    assert result.code == 2 and complaint in result.err
    assert result.err.strip().count("\n") == 0
    assert not (tmp_path / "out").exists()
