"""Training feature networks on portraits, whose attributes and identities are known exactly.

There are two: one to train others with, and a judge, of another seed and width, to measure them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restyle.io.files import write_json
from restyle.portraits.attributes import class_names, continuous_names
from restyle.portraits.dataset import Portraits
from restyle.portraits.features import FeatureConfig, FeatureNetwork
from restyle.runtime.devices import autocast, training_dtype
from restyle.training.cards import check_export, drawn, export
from restyle.training.config import FeatureTraining
from restyle.training.pairs import Batch, Pool, augment
from restyle.training.parallel import average_gradients, same_everywhere
from restyle.training.presets import FEATURES
from restyle.training.run import Run

ABOUT = """A feature network for the drawn portraits of this package: perceptual distance, identity
embedding and attributes."""

TEST_PERSONS = 2048


class Told(Protocol):
    """What pictures show: a row each, in the order of the schema, as in `pairs.Batch`."""

    vectors: Tensor
    labels: Tensor
    shown: Tensor


CLASSES = [len(names) for names in class_names.values()]


def contrast(embedding: Tensor, temperature: float = 0.1) -> Tensor:
    """Draw the views of a person together and all others apart (NT-Xent, Chen et al. 2020, eq. 1).

    Args:
        embedding: (2 N, E) of unit length; row i and row N + i show the same person.
        temperature: Scale of the cosines.

    Returns:
        The mean loss, a scalar.
    """
    count = len(embedding)
    cosines = embedding @ embedding.T / temperature
    cosines = cosines.masked_fill(torch.eye(count, dtype=torch.bool, device=cosines.device), -1e4)
    partner = torch.arange(count, device=cosines.device).roll(count // 2)
    return F.cross_entropy(cosines, partner)


def feature_loss(network: FeatureNetwork, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute what is minimised: regression, classification and contrast, equally weighted parts.

    Args:
        network: The network in training.
        batch: Portraits; what they do not show does not count.

    Returns:
        The loss, and its parts by name.
    """
    heads = network.heads(batch.images)
    values, classes = attribute_losses(network, heads, batch)
    identity = contrast(heads["embedding"])
    points = (heads["points"] - batch.points).abs().mean() * network.config.size / 2  # pixels
    parts = {"values": values, "classes": classes, "identity": identity, "points": points}
    return values + classes + 0.25 * identity + 0.5 * points, parts


def attribute_losses(
    network: FeatureNetwork, heads: Mapping[str, Tensor], truth: Told
) -> tuple[Tensor, Tensor]:
    """Compute how far a network's `heads` are from the attributes that pictures show.

    Returns:
        The mean squared error of the standardised values, and the mean cross entropy of the
        classes; scalars.
    """
    real = len(continuous_names)
    seen_values, seen_classes = truth.shown[:, :real], truth.shown[:, real:]
    errors = (heads["values"] - network.standardise(truth.vectors)).square()
    classes = [
        _mean(F.cross_entropy(logits, labels, reduction="none"), seen)
        for logits, labels, seen in zip(
            heads["logits"].split(CLASSES, dim=1),
            truth.labels.unbind(1),
            seen_classes.unbind(1),
            strict=True,
        )
    ]
    return _mean(errors, seen_values), torch.stack(classes).nanmean()


def _mean(values: Tensor, seen: Tensor) -> Tensor:
    """The mean of those that are seen, NaN without any; a GPU need not be waited for."""
    return torch.where(seen, values, 0).sum() / seen.sum()


@torch.no_grad()
def evaluate_features(
    network: FeatureNetwork,
    portraits: Portraits,
    count: int = TEST_PERSONS,
    batch: int = 128,
    workers: int = 0,
) -> dict[str, Any]:
    """Measure a feature network on portraits that it was not trained on.

    Args:
        network: In evaluation mode.
        portraits: A split other than the training's.
        count: Persons, two views each.
        batch: Persons at a time.
        workers: Processes that draw ahead; 0: one thread.

    Returns:
        `accuracy` by class attribute and `r2` by continuous one, where the picture shows it;
        `lowest_accuracy`, `mean_r2`, and `auc` (see `verification_auc`).
    """
    device = next(network.parameters()).device
    pool = Pool(portraits, batch, workers=workers)
    rng = np.random.default_rng(0)
    outputs: list[tuple[Tensor, ...]] = []
    for start in range(0, count, batch):
        persons = min(batch, count - start)
        data = pool.batch(persons, persons, rng)
        heads = network.heads(data.images.to(device))
        rows = [data.shown, data.labels, network.standardise(data.vectors.to(device))]
        rows += [heads["values"], heads["logits"]]
        pairs = heads["embedding"].unflatten(0, (2, persons)).transpose(0, 1)
        outputs.append(tuple(x.cpu() for x in (*rows, pairs)))
    seen, labels, truth, values, logits, pairs = (torch.cat(x) for x in zip(*outputs, strict=True))
    real, accuracy = len(continuous_names), {}
    for i, (name, part) in enumerate(zip(class_names, logits.split(CLASSES, dim=1), strict=True)):
        right = part.argmax(1) == labels[:, i]
        accuracy[name] = right[seen[:, real + i]].float().mean().item()
    r2 = {}
    for i, name in enumerate(continuous_names):
        rows = seen[:, i]
        error = (values[rows, i] - truth[rows, i]).square().mean()
        r2[name] = (1 - error / truth[rows, i].var(correction=0)).item()
    return {
        "persons": count,
        "lowest_accuracy": min(accuracy.values()),
        "mean_r2": sum(r2.values()) / len(r2),
        "auc": verification_auc(pairs[:, 0], pairs[:, 1]),
        "accuracy": accuracy,
        "r2": r2,
    }


def verification_auc(first: Tensor, second: Tensor) -> float:
    """Area under the curve of telling same persons from different ones by the cosine.

    Args:
        first: (N, E) embeddings of unit length, one view a person.
        second: (N, E), another view of the same persons.

    Returns:
        How likely a pair of one person is closer than a pair of two, from all N * N pairs.
    """
    cosines = first @ second.T
    count = len(cosines)
    same = cosines.diagonal().contiguous()
    other = cosines[~torch.eye(count, dtype=torch.bool, device=cosines.device)].sort().values
    below = torch.searchsorted(other, same) + torch.searchsorted(other, same, right=True)
    return (below.double() / (2 * len(other))).mean().item()


def train_features(config: FeatureTraining) -> dict[str, Any]:
    """Train a feature network, evaluate it on test portraits and export it.

    Repeating the call resumes at the last checkpoint; a finished run is only evaluated and
    exported again.

    Returns:
        What `evaluate_features` measured.

    Raises:
        ValueError: The folder holds a run with another configuration, that of the export something
            else than a feature network, or the batch does not divide into pairs.
        SystemExit: With status 130, after saving, when interrupted.
    """
    if config.export is not None:
        check_export(Path(config.export), FeatureNetwork.kind)
    run = Run(config, config.images, config.batch, 2, may_change="export")
    with run:
        dtype = training_dtype(config.precision, run.device)
        run.announce("a feature network for portraits", dtype)
        network = FeatureNetwork(feature_config(config))
        network.to(run.device, memory_format=torch.channels_last)  # pyright: ignore
        optimiser = torch.optim.AdamW(network.parameters(), lr=config.lr, weight_decay=1e-4)
        portraits = Portraits("train", size=config.size)
        pool = Pool(portraits, config.pool, run.rank, run.processes, config.workers)
        if (state := run.load()) is not None:
            network.load_state_dict(state["network"])
            optimiser.load_state_dict(state["optimiser"])
            pool.drawn = state["drawn"]
        same_everywhere(network)

        def current() -> dict[str, Any]:
            return {
                "network": network.state_dict(),
                "optimiser": optimiser.state_dict(),
                "drawn": pool.drawn,
            }

        network.train()
        while run.unfinished:
            numbers = _step(run, config, network, optimiser, pool, dtype)
            run.step(numbers)
            run.checkpoint(current)
        run.save(current())
        network.eval()
        if not run.is_main:
            return {}
        return _finish(run, config, network)


def feature_config(config: FeatureTraining) -> FeatureConfig:
    """The network that a training makes."""
    return FeatureConfig(config.size, config.widths, config.hidden, config.embedding)


def _step(
    run: Run,
    config: FeatureTraining,
    network: FeatureNetwork,
    optimiser: torch.optim.Optimizer,
    pool: Pool,
    dtype: torch.dtype,
) -> Mapping[str, Tensor | float]:
    persons = run.batch // 2
    batch = pool.batch(persons, round(config.fresh * persons), run.rng).to(run.device)
    batch.images = augment(batch.images)
    rate = config.lr * schedule(run.images / config.images)
    for group in optimiser.param_groups:
        group["lr"] = rate
    with autocast(run.device, dtype):
        loss, parts = feature_loss(network, batch)
    optimiser.zero_grad()
    loss.backward()
    average_gradients(network)
    nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimiser.step()
    return {"loss": loss, **parts, "learning_rate": rate}


def schedule(done: float) -> float:
    """Return the share of the learning rate where a share of the training, 0 to 1, is done.

    Up for the first 3 %, then down along a cosine to zero.
    """
    return min(done / 0.03, 1.0) * 0.5 * (1 + math.cos(math.pi * done)) + 1e-3


def _finish(run: Run, config: FeatureTraining, network: FeatureNetwork) -> dict[str, Any]:
    portraits = Portraits("test", size=config.size)
    result = evaluate_features(network, portraits, TEST_PERSONS, workers=config.workers)
    write_json(Path(config.out) / "evaluation.json", result)
    figures = describe(result)
    print(figures)
    if config.export is not None:
        export(network, run, ABOUT, f"features{_preset(config)}", figures, drawn(run.images))
    return result


def describe(result: Mapping[str, Any]) -> str:
    """Return what `evaluate_features` measured as a Markdown list and table."""
    lines = [
        f"Measured on {result['persons']:,} test persons, two views each:",
        "",
        f"- lowest accuracy of a class attribute: {result['lowest_accuracy']:.3f}",
        f"- mean R2 of the continuous attributes: {result['mean_r2']:.3f}",
        f"- same-person verification AUC: {result['auc']:.4f}",
        "",
        "| attribute | accuracy or R2, where the picture shows it |",
        "|---|---|",
    ]
    figures = {**result["accuracy"], **result["r2"]}
    return "\n".join([*lines, *(f"| {name} | {value:.3f} |" for name, value in figures.items())])


def _preset(config: FeatureTraining) -> str:
    """The option that names the preset of this network, if there is one."""
    made = feature_config(config), config.seed
    names = [n for n, preset in FEATURES.items() if (feature_config(preset), preset.seed) == made]
    return f" --preset {names[0]}" if names else ""
