"""Training the text-image network on portraits and captions of them, whose truth is known exactly.

The loss is CLIP's (Radford et al., ICML 2021, figure 3) with three differences. A caption that
leaves things out fits several pictures of a batch, and is drawn apart from none of them. Every
picture has a further caption that is wrong in one fact alone. And every fact is told from its other
levels by sentences that say nothing else, as prompts do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restyle.hub.registry import load_features
from restyle.io.files import write_json
from restyle.io.images import from_uint8
from restyle.portraits.captions import choose, compose, facts
from restyle.portraits.dataset import Portraits
from restyle.portraits.features import FeatureConfig, FeatureNetwork
from restyle.portraits.text import TextConfig, TextNetwork
from restyle.portraits.visibility import visible
from restyle.portraits.wording import WORDS
from restyle.training.cards import check_export, drawn, export
from restyle.training.data import ahead
from restyle.training.features import attribute_losses, schedule
from restyle.training.pairs import LAST, augment
from restyle.training.parallel import average_gradients, same_everywhere
from restyle.training.run import Run
from restyle.training.text_config import TextTraining
from restyle.training.zero_shot import describe, measure_text

ABOUT = (
    """A text-image network for the drawn portraits of this package: which words fit a picture."""
)
LARGEST_SCALE = 4.6
"""Largest logarithm of what cosines are multiplied by: a hundred, as CLIP's."""

ATTRIBUTES = 0.2
"""Weight of the attributes, which the image side tells beside its embedding."""

LEVELS = {name: list(levels) for name, levels in WORDS.items()}
UNSAID = -1
"""Number of the level of a fact that a picture does not show."""


@dataclass
class Seen:
    """Pictures as the trunk saw them, and what they show; rows are pictures.

    Attributes:
        found: (B, F) what `FeatureNetwork.observe` found, float16 to save memory.
        vectors: (B, C) continuous attributes, scaled to [-1, 1].
        labels: (B, K) class numbers.
        shown: (B, C + K) whether the picture shows the attribute.
        levels: (B, facts) numbers of the levels in `wording.WORDS`.
    """

    found: Tensor
    vectors: Tensor
    labels: Tensor
    shown: Tensor
    levels: Tensor

    def rows(self, chosen: Tensor) -> Seen:
        """Return some of the pictures."""
        return Seen(*(part[chosen] for part in vars(self).values()))

    def put(self, rows: Tensor, others: Seen) -> None:
        """Replace some of the pictures by others."""
        for part, other in zip(vars(self).values(), vars(others).values(), strict=True):
            part[rows] = other


class Memory:
    """Pictures that were drawn some steps ago, so that drawing costs less than learning.

    Attributes:
        drawn: Persons drawn so far; the next one has this number (times the stride).
    """

    def __init__(self, network: FeatureNetwork, config: TextTraining, rank: int, processes: int):
        """Start with nothing."""
        self.network, self.config = network, config
        self.rank, self.processes = rank, processes
        self.drawn = self._filled = 0
        self._kept: Seen | None = None
        self._coming: Iterator[tuple[np.ndarray, ...]] | None = None

    def batch(self, count: int, fresh: int, rng: np.random.Generator) -> Seen:
        """Take a batch, part of it drawn now and the rest from what was drawn before."""
        kept = min(self._filled, self.config.pool)
        fresh = min(count, max(fresh, count - kept))
        new = self._draw(fresh) if fresh else None
        if self._kept is None:
            assert new is not None
            self._kept = Seen(
                *(part.new_empty(self.config.pool, *part.shape[1:]) for part in vars(new).values())
            )
        old = torch.from_numpy(rng.choice(kept, count - fresh, replace=False).astype(np.int64))
        places = (self._filled + torch.arange(fresh)) % self.config.pool
        if new is not None:
            self._kept.put(places, new)
        self._filled += fresh
        # A new picture may have taken the place of a chosen old one; then it comes twice.
        return self._kept.rows(torch.cat([old, places]))

    @torch.no_grad()
    def _draw(self, count: int) -> Seen:
        if self._coming is None:
            first = self.rank + self.drawn * self.processes
            portraits = Portraits("train", size=self.network.config.size)
            people = range(first, LAST, self.processes)
            self._coming = ahead(partial(view, portraits), people, self.config.workers)
        rows = zip(*(next(self._coming) for _ in range(count)), strict=True)
        self.drawn += count
        images, *told = (np.stack(row) for row in rows)
        device = next(self.network.parameters()).device
        found, _ = self.network.observe(augment(from_uint8(images).to(device)))
        return Seen(found.half().cpu(), *map(torch.from_numpy, told))


def view(portraits: Portraits, person: int) -> tuple[np.ndarray, ...]:
    """Draw a person, and tell what the picture shows: the image, then a row of what `Seen` has."""
    portrait = portraits[person % len(portraits)]
    a = portrait.attributes
    shown = np.array([*visible(a).values()])
    return portrait.image, a.to_vector(), a.to_labels(), shown, numbers_of(facts(a))


def numbers_of(told: Mapping[str, str]) -> np.ndarray:
    """Number the levels of facts: (facts,) int8, `UNSAID` where there is none."""
    row = [LEVELS[name].index(told[name]) if name in told else UNSAID for name in WORDS]
    return np.array(row, dtype=np.int8)


def facts_of(row: Sequence[int]) -> dict[str, str]:
    """Return the facts whose levels have these numbers."""
    return {n: LEVELS[n][i] for n, i in zip(WORDS, row, strict=True) if i != UNSAID}


def altered(told: Mapping[str, str], rng: np.random.Generator) -> dict[str, str]:
    """Return facts one of which, chosen at random, has another level."""
    name = list(told)[int(rng.integers(len(told)))]
    others = [level for level in WORDS[name] if level != told[name]]
    return {**told, name: others[int(rng.integers(len(others)))]}


def fits(captions: Tensor, pictures: Tensor) -> Tensor:
    """Tell which captions are true of which pictures.

    Args:
        captions: (N, facts) numbers of the levels that are said.
        pictures: (B, facts) numbers of the levels that there are.

    Returns:
        (B, N) bool.
    """
    said = captions.unsqueeze(0)
    return ((said == UNSAID) | (said == pictures.unsqueeze(1))).all(2)


def contrast(
    images: Tensor, texts: Tensor, wrong: Tensor, true: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """Draw pictures and their captions together, and apart from those that do not fit.

    Args:
        images: (B, E) of unit length.
        texts: (B, E) of unit length; row i describes picture i.
        wrong: (B, E) captions that are wrong in one fact.
        true: (B, 2 B) whether the texts, then the wrong ones, are true of the pictures.
        scale: What cosines are multiplied by.

    Returns:
        The mean losses of finding the text of each picture, and the picture of each text; scalars.
    """
    count = len(images)
    own = torch.arange(count, device=images.device)
    others = true.clone()
    others[own, own] = False
    logits = (scale * images @ torch.cat([texts, wrong]).T).masked_fill(others, -torch.inf)
    return F.cross_entropy(logits, own), F.cross_entropy(logits[:, :count].T, own)


def tell_levels(
    network: TextNetwork, images: Tensor, levels: Tensor, scale: Tensor, rng: np.random.Generator
) -> Tensor:
    """Tell the level of each fact by sentences that say it alone: zero-shot classification.

    Args:
        network: Embeds the sentences.
        images: (B, E) embeddings of unit length.
        levels: (B, facts) numbers of the levels that there are.
        scale: What cosines are multiplied by.
        rng: Chooses their words.

    Returns:
        The mean loss over the facts, a scalar.
    """
    texts = [compose({name: level}, rng) for name in WORDS for level in WORDS[name]]
    logits = scale * images @ network.embed_text(texts).T
    parts = logits.split([len(names) for names in LEVELS.values()], dim=1)
    losses = [
        F.cross_entropy(part, wanted, ignore_index=UNSAID, reduction="sum")
        for part, wanted in zip(parts, levels.long().unbind(1), strict=True)
    ]
    counts = (levels != UNSAID).sum(0).clamp(min=1)
    return (torch.stack(losses) / counts).mean()


def text_loss(
    network: TextNetwork, seen: Seen, rng: np.random.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute what is minimised, with captions chosen by `rng`.

    Returns:
        The loss, and its parts by name.
    """
    told = [choose(facts_of(row), rng) for row in seen.levels.tolist()]
    told += [altered(one, rng) for one in told]
    captions = torch.from_numpy(np.stack([numbers_of(one) for one in told]))
    heads = network.image.heads_of(seen.found.float())
    texts = network.embed_text([compose(one, rng) for one in told])
    true = fits(captions, seen.levels.cpu()).to(texts.device)
    scale = network.log_scale.clamp(max=LARGEST_SCALE).exp()
    right, wrong = texts.chunk(2)
    to_text, to_image = contrast(heads["embedding"], right, wrong, true, scale)
    values, classes = attribute_losses(network.image, heads, seen)
    prompts = tell_levels(network, heads["embedding"], seen.levels, scale, rng)
    parts = {"to_text": to_text, "to_image": to_image, "prompts": prompts}
    parts |= {"values": values, "classes": classes}
    return (to_text + to_image) / 2 + prompts + ATTRIBUTES * (values + classes), parts


def train_text(config: TextTraining) -> dict[str, Any]:
    """Train a text-image network, measure it on test portraits and export it.

    Repeating the call resumes at the last checkpoint; a finished run is only measured and exported
    again.

    Returns:
        What `measure_text` measured.

    Raises:
        ValueError: The folder holds a run with another configuration, or that of the export
            something else.
        CheckpointError: The initial network is not there, or cannot be used.
        SystemExit: With status 130, after saving, when interrupted.
    """
    if config.export is not None:
        check_export(Path(config.export), TextNetwork.kind)
    trunk = load_features(config.initial)
    run = Run(config, config.images, config.batch, may_change="export")
    with run:
        run.announce("a text-image network for portraits", torch.float32)
        network = TextNetwork(text_config(config, trunk.config))
        take_trunk(network.image, trunk)
        network.to(run.device)
        learned = [p for p in network.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(learned, lr=config.lr, weight_decay=1e-4)
        memory = Memory(network.image, config, run.rank, run.processes)
        if (state := run.load()) is not None:
            network.load_state_dict(state["network"])
            optimiser.load_state_dict(state["optimiser"])
            memory.drawn = state["drawn"]
        same_everywhere(network)

        def current() -> dict[str, Any]:
            return {
                "network": network.state_dict(),
                "optimiser": optimiser.state_dict(),
                "drawn": memory.drawn,
            }

        network.image.hidden.train()
        while run.unfinished:
            run.step(_step(run, config, network, optimiser, memory))
            run.checkpoint(current)
        run.save(current())
        network.eval()
        if not run.is_main:
            return {}
        result = measure_text(network)
        write_json(Path(config.out) / "evaluation.json", result)
        print(figures := describe(result))
        if config.export is not None:
            export(network, run, ABOUT, "text", figures, drawn(run.images))
        return result


def text_config(config: TextTraining, trunk: FeatureConfig) -> TextConfig:
    """The network that a training makes of a trunk."""
    image = FeatureConfig(trunk.size, trunk.widths, config.hidden, config.embedding)
    return TextConfig(image, config.width)


def take_trunk(network: FeatureNetwork, trunk: FeatureNetwork) -> None:
    """Give a feature network another one's layers, but for those behind them, and freeze these."""
    for name in ("levels", "pointer", "glimpses"):
        part = getattr(network, name)
        part.load_state_dict(getattr(trunk, name).state_dict())
        part.requires_grad_(False)
    network.eval()


def _step(
    run: Run,
    config: TextTraining,
    network: TextNetwork,
    optimiser: torch.optim.Optimizer,
    memory: Memory,
) -> dict[str, Tensor | float]:
    seen = memory.batch(run.batch, round(config.fresh * run.batch), run.rng)
    seen = Seen(*(part.to(run.device) for part in vars(seen).values()))
    rate = config.lr * schedule(run.images / config.images)
    for group in optimiser.param_groups:
        group["lr"] = rate
    loss, parts = text_loss(network, seen, run.rng)
    optimiser.zero_grad()
    loss.backward()
    average_gradients(network)
    nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimiser.step()
    return {"loss": loss, **parts, "scale": network.log_scale.exp(), "learning_rate": rate}
