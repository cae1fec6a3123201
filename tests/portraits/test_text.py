import pytest
import torch

from restyle.io.checkpoints import CheckpointError, save_folder
from restyle.portraits.features import FeatureConfig
from restyle.portraits.text import TextConfig, TextNetwork

TINY = TextConfig(FeatureConfig(16, (4, 4, 4, 4, 4), 8, 12), width=8)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return TextNetwork(TINY).eval()


def test_both_sides_have_unit_embeddings_of_one_length(network):
    texts = network.embed_text(["a person with glasses", "somebody"])
    images = network.embed_image(torch.rand(3, 3, 24, 24) * 2 - 1)
    assert texts.shape == (2, 12) and images.shape == (3, 12)
    torch.testing.assert_close(texts.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(images.norm(dim=1), torch.ones(3))


def test_texts_of_a_batch_do_not_influence_one_another(network):
    long = "a portrait of an old person with big blue eyes and a full beard"
    alone, _ = network.embed_text(["no beard", "no beard"])
    torch.testing.assert_close(network.embed_text([long, "No beard."])[1], alone)


def test_the_neighbours_of_a_word_matter(network):
    first, other = network.embed_text(["brown hair and blue eyes", "blue hair and brown eyes"])
    assert (first - other).norm() > 1e-3


@pytest.mark.parametrize("texts", [[], [""], ["a person", "  ... "]])
def test_texts_without_words_are_refused(network, texts):
    with pytest.raises(ValueError, match="text: expected words, got none"):
        network.embed_text(texts)


def test_unknown_words_are_named_beside_the_known_ones(network):
    with pytest.raises(ValueError, match="zebra, zeppelin; it knows a, adult, .*youthful"):
        network.embed_text(["a zebra with a zeppelin"])


def test_a_text_without_end_is_refused(network):
    with pytest.raises(ValueError, match="expected at most 400 words, got 500"):
        network.embed_text(["a " * 500])


def test_pictures_are_differentiable(network):
    images = (torch.rand(1, 3, 16, 16) * 2 - 1).requires_grad_(True)
    network.embed_image(images)[0, 0].backward()
    assert images.grad is not None and bool(images.grad.abs().sum() > 0)


def test_a_saved_network_keeps_its_words(network, tmp_path):
    network.save_pretrained(tmp_path)
    again = TextNetwork.from_pretrained(tmp_path)
    assert again.known == network.known and again.config == TINY
    torch.testing.assert_close(again.embed_text(["a hat"]), network.embed_text(["a hat"]))
    assert not any(p.requires_grad for p in again.parameters())


def test_other_checkpoints_are_refused(tmp_path):
    save_folder(tmp_path, {"kind": "features", "network": {}}, {"a": torch.zeros(2)})
    with pytest.raises(CheckpointError, match="expected a text-image network, got a 'features'"):
        TextNetwork.from_pretrained(tmp_path)


def test_an_even_reach_is_refused():
    with pytest.raises(ValueError, match="reach: expected an odd number, got 4"):
        TextNetwork(TextConfig(TINY.image, reach=4))


def test_the_network_that_ships_fits_three_megabytes():
    network = TextNetwork()
    stored = sum(p.numel() * (2 if p.ndim > 1 else 4) for p in network.state_dict().values())
    assert stored < 3_000_000
