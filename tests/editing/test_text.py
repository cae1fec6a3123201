import pytest
import torch

from restyle.editing.text import embed_prompts, text_direction


class Letters:
    """Embeds a text as how often it has each of three letters."""

    templates = ("{}", "{}b")

    def embed_text(self, texts):
        counts = torch.tensor([[text.count(letter) for letter in "abc"] for text in texts])
        return torch.nn.functional.normalize(counts.float(), dim=1)


def test_prompts_are_the_means_over_templates():
    expected = torch.tensor([1.0, 0, 0]) + torch.tensor([1.0, 1, 0]) / 2**0.5
    found = embed_prompts(Letters(), ["a"])[0]
    torch.testing.assert_close(found, expected / expected.norm())


def test_a_direction_leads_from_the_neutral_text_to_the_other():
    step = text_direction(Letters(), "c", "a")
    assert step.norm() == pytest.approx(1) and step[2] > 0 > step[0]


@pytest.mark.parametrize("text", ["", "  "])
def test_empty_texts_are_refused(text):
    with pytest.raises(ValueError, match="text: expected words, got none"):
        text_direction(Letters(), text, "a")


def test_a_text_that_says_what_the_neutral_one_says_is_refused():
    with pytest.raises(ValueError, match="expected another one than the neutral 'ac', got 'ca'"):
        text_direction(Letters(), "ca", "ac")
