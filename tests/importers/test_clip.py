"""CLIP's path with a tiny random network of transformers' own classes."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from restyle.editing.text import embed_prompts, text_direction
from restyle.hub.registry import load_text
from restyle.importers.clip import read_clip

transformers = pytest.importorskip("transformers")

WORDS = ("a", "person", "photo", "of", "with", "glasses", "picture", "an", "image", "portrait")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    letters = sorted({letter for word in WORDS for letter in word})
    vocabulary = [*letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    numbers = {token: number for number, token in enumerate(vocabulary)}
    tokens = transformers.CLIPTokenizer(vocab=numbers, merges=[])
    tokens.save_pretrained(folder)
    part = {"hidden_size": 64, "intermediate_size": 32, "num_hidden_layers": 2}
    text = {"vocab_size": len(vocabulary), "eos_token_id": len(vocabulary) - 1}
    config = transformers.CLIPConfig(
        text_config={**part, **text, "num_attention_heads": 1},
        vision_config={**part, "num_attention_heads": 1, "image_size": 64, "patch_size": 16},
        projection_dim=24,
    )
    torch.manual_seed(1)
    network = transformers.CLIPModel(config).eval()
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    weights["text_model.embeddings.position_ids"] = torch.arange(77)[None]  # of older files
    save_file(weights, folder / "model.safetensors")
    return folder, network, tokens


@pytest.fixture(scope="module")
def clip(files):
    return read_clip(files[0] / "model.safetensors", files[0] / "tokenizer.json")


def test_texts_are_embedded_as_transformers_does(files, clip):
    _, network, tokens = files
    texts = ["a person with glasses", "a person"]
    with torch.no_grad():
        found = network.text_model(**tokens(texts, padding=True, return_tensors="pt"))
        expected = network.text_projection(found.pooler_output)
    embedded = clip.embed_text(texts)
    torch.testing.assert_close(embedded, expected / expected.norm(dim=1, keepdim=True))
    torch.testing.assert_close(clip.embed_text(texts[1:]), embedded[1:])  # padding is nothing
    assert embedded.shape == (2, 24)


def test_pictures_are_embedded_as_transformers_does(files, clip):
    _, network, _ = files
    images = torch.rand(2, 3, 64, 64)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).reshape(3, 1, 1)
    deviation = torch.tensor([0.26862954, 0.26130258, 0.27577711]).reshape(3, 1, 1)
    with torch.no_grad():
        found = network.vision_model(pixel_values=(images - mean) / deviation)
        expected = network.visual_projection(found.pooler_output)
    embedded = clip.embed_image(images * 2 - 1)
    torch.testing.assert_close(embedded, expected / expected.norm(dim=1, keepdim=True))


@pytest.mark.parametrize("size", [32, 64, 100])
def test_pictures_of_any_size_are_differentiable(clip, size):
    images = (torch.rand(1, 3, size, size) * 2 - 1).requires_grad_(True)
    clip.embed_image(images)[0, 0].backward()
    assert images.grad is not None and bool(images.grad.abs().sum() > 0)


def test_prompts_go_into_all_templates(clip):
    one = embed_prompts(clip, ["a person"])
    parts = clip.embed_text([template.format("a person") for template in clip.templates])
    torch.testing.assert_close(one[0], parts.mean(0) / parts.mean(0).norm())
    step = text_direction(clip, "a person with glasses", "a person")
    assert step.norm() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "expected words, got none"),
        (["a person", " "], "expected words, got none"),
        (["a " * 90], "expected at most 77 of CLIP's tokens, got 92"),
    ],
)
def test_texts_that_say_nothing_or_too_much_are_refused(clip, texts, message):
    with pytest.raises(ValueError, match=message):
        clip.embed_text(texts)


def test_a_text_equal_to_the_neutral_one_is_refused(clip):
    with pytest.raises(ValueError, match="expected another one than the neutral 'a person'"):
        text_direction(clip, "A person", "a person")


def test_weights_and_tokens_are_checked(files, tmp_path):
    folder = files[0]
    weights = load_file(folder / "model.safetensors")
    missing = {n: t for n, t in weights.items() if n != "logit_scale"}
    save_file(missing, tmp_path / "missing.safetensors")
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    (tmp_path / "tokenizer.json").write_text("{}")
    for name, message in (
        ("missing", "missing: logit_scale"),
        ("other", "missing weights: text_model"),
        ("broken", "expected a safetensors file"),
    ):
        with pytest.raises(ValueError, match=f"{name}.safetensors: .*{message}"):
            read_clip(tmp_path / f"{name}.safetensors", folder / "tokenizer.json")
    with pytest.raises(ValueError, match="tokenizer.json: expected a tokenizer"):
        read_clip(folder / "model.safetensors", tmp_path / "tokenizer.json")


def test_a_clip_that_was_not_pulled_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("RESTYLE_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match="restyle models pull clip-vit-b-32"):
        load_text("clip-vit-b-32")
