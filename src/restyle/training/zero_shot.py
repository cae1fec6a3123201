"""How well a text-image network knows portraits: retrieval of captions, and zero-shot classes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from restyle.editing.text import TextImage
from restyle.io.images import from_uint8
from restyle.portraits.attributes import class_names
from restyle.portraits.captions import complete, compose, facts
from restyle.portraits.dataset import Portrait, Portraits
from restyle.portraits.visibility import visible
from restyle.portraits.wording import SCALES, WORDS

CANDIDATES = 1000
"""Captions that a picture's own one is found among, and pictures likewise."""

PROMPTS = 8
"""Sentences that each class is described by; their embeddings are averaged."""

BATCH = 100


@torch.no_grad()
def measure_text(
    network: TextImage, portraits: Portraits | None = None, count: int | None = None
) -> dict[str, Any]:
    """Measure a text-image network on portraits that it was not trained on.

    Captions are complete (all that the picture shows is said) and each in its own random words.

    Args:
        network: In evaluation mode, on the CPU.
        portraits: A split other than the training's; test portraits if None.
        count: Portraits, each with a caption; `CANDIDATES` if None.

    Returns:
        `text_to_image` and `image_to_text`, the shares whose counterpart comes first among all;
        `accuracy` by class attribute, where the picture shows it, and `recall`, its mean over the
        classes; `levels`, the accuracy by continuous attribute that is said in words, where a
        picture has a level.
    """
    portraits, count = portraits or Portraits("test"), count or CANDIDATES
    chosen = [portraits[i] for i in range(count)]
    images = torch.cat([network.embed_image(batch) for batch in _pictures(chosen)])
    rng = np.random.default_rng(0)
    told = [facts(portrait.attributes) for portrait in chosen]
    captions = [compose(complete(one), rng) for one in told]
    texts = torch.cat([network.embed_text(captions[i : i + BATCH]) for i in range(0, count, BATCH)])
    own = torch.arange(count)
    cosines = images @ texts.T
    accuracy, recall = {}, {}
    for name, names in class_names.items():
        shown = [visible(portrait.attributes)[name] for portrait in chosen]
        truth = [names.index(getattr(portrait.attributes, name)) for portrait in chosen]
        scores = images @ class_embeddings(network, name, names).T
        accuracy[name], recall[name] = _scored(scores, truth, shown)
    levels = {}
    for name in SCALES:
        names = list(WORDS[name])
        truth = [names.index(one[name]) if name in one else 0 for one in told]
        scores = images @ class_embeddings(network, name, names).T
        levels[name], _ = _scored(scores, truth, [name in one for one in told])
    return {
        "portraits": count,
        "text_to_image": (cosines.argmax(0) == own).float().mean().item(),
        "image_to_text": (cosines.argmax(1) == own).float().mean().item(),
        "lowest_accuracy": min(accuracy.values()),
        "accuracy": accuracy,
        "recall": recall,
        "levels": levels,
    }


def class_embeddings(network: TextImage, name: str, levels: Sequence[str]) -> Tensor:
    """Embed the levels of a fact: (levels, E) of unit length, each from several sentences."""
    rng = np.random.default_rng(0)
    texts = [compose({name: level}, rng) for level in levels for _ in range(PROMPTS)]
    embedded = network.embed_text(texts).unflatten(0, (len(levels), PROMPTS))
    return F.normalize(embedded.mean(1), dim=1)


def describe(result: Mapping[str, Any]) -> str:
    """Return what `measure_text` measured as a Markdown list and table."""
    count = result["portraits"]
    lines = [
        f"Measured on {count:,} test portraits, with complete captions in random words:",
        "",
        f"- the caption's picture comes first of {count:,}: {result['text_to_image']:.3f}",
        f"- the picture's caption comes first of {count:,}: {result['image_to_text']:.3f}",
        f"- lowest zero-shot accuracy of a class attribute: {result['lowest_accuracy']:.3f}",
        "",
        "| attribute | zero-shot accuracy, where the picture shows it | mean of the classes |",
        "|---|---|---|",
    ]
    lines += [
        f"| {n} | {a:.3f} | {result['recall'][n]:.3f} |" for n, a in result["accuracy"].items()
    ]
    lines += [f"| {name}, in words | {value:.3f} | |" for name, value in result["levels"].items()]
    return "\n".join(lines)


def _pictures(portraits: Sequence[Portrait]) -> Iterator[Tensor]:
    for first in range(0, len(portraits), BATCH):
        yield from_uint8(np.stack([p.image for p in portraits[first : first + BATCH]]))


def _scored(scores: Tensor, truth: Sequence[int], shown: Sequence[bool]) -> tuple[float, float]:
    """Return the accuracy of the highest scores (N, classes), and its mean over the classes."""
    rows, wanted = torch.tensor(shown), torch.tensor(truth)
    right = (scores.argmax(1) == wanted)[rows].float()
    wanted = wanted[rows]
    recalls = [right[wanted == one].mean() for one in wanted.unique()]
    if not recalls:
        return float("nan"), float("nan")
    return right.mean().item(), torch.stack(recalls).mean().item()
