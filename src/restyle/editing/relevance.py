"""Relevance of the channels of style space for texts, and the directions that it gives.

Source: Patashnik et al., "StyleCLIP: Text-Driven Manipulation of StyleGAN Imagery", ICCV 2021,
section 6: global directions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from tqdm import tqdm

from restyle.editing.directions import Direction
from restyle.editing.effects import effects_at, sampled_styles
from restyle.editing.styles import statistics_of
from restyle.editing.text import TextImage
from restyle.generators.stylegan2 import StyleGAN2
from restyle.generators.styles import style_layers
from restyle.io.checkpoints import CheckpointError, weights_hash
from restyle.io.tied import TiedFile

SAMPLES = 64
"""Pictures that the relevance is averaged over."""

THRESHOLD = 0.1
"""Relevance below which a channel is left alone, if nothing else is said."""

LEAST = 32
"""So many channels, the most relevant ones, move in any case if no threshold is asked for."""

RIDGE = 0.03
"""Of the largest eigenvalue: what keeps channels from working against each other."""


@dataclass(frozen=True)
class Relevance:
    """What the channels of a generator change in the embeddings of its pictures.

    Attributes:
        effects: (S, E), the mean change for one deviation of each channel.
        covariance: (E, E), of the embeddings of samples.
        deviation: (S,), of each channel.
    """

    effects: Tensor
    covariance: Tensor
    deviation: Tensor

    def of(self, change: Tensor) -> Tensor:
        """Return the relevance (S,) of channels for a change (E,) of unit length, from -1 to 1.

        It is the cosine of what a channel changes and what is asked for.
        """
        return (self.effects @ change) / self.effects.norm(dim=1).clamp_min(1e-12)

    def direction(self, change: Tensor, name: str, threshold: float | None = None) -> Direction:
        """Return the direction in S that makes a change of embeddings, and little else.

        The paper moves each relevant channel by its relevance. Here their amounts are solved for
        together, so that what they change besides cancels.

        Args:
            change: (E,) of unit length, as `restyle.editing.text.text_direction` gives it.
            name: Of the direction.
            threshold: Relevance below which channels are left alone, from 0 to 1. If None,
                `THRESHOLD`, but the `LEAST` most relevant ones move in any case.

        Returns:
            A direction whose strength 1 moves embeddings along the change by one deviation of those
            of the generator's samples, to first order.

        Raises:
            ValueError: The threshold is no number from 0 to 1, or leaves no channel.
        """
        change = change.to(self.effects)
        relevance = self.of(change).abs()
        if threshold is None:
            least = relevance.topk(min(LEAST, len(relevance))).values[-1]
            chosen = relevance >= torch.clamp(least, max=THRESHOLD)
        elif not 0 <= threshold <= 1:
            raise ValueError(f"threshold: expected a number from 0 to 1, got {threshold}")
        else:
            chosen = relevance >= threshold
        if not bool(chosen.any()):
            raise ValueError(
                f"threshold: expected at most {float(relevance.max()):.3f}, the relevance of the "
                f"most relevant channel for '{name}', got {threshold}"
            )
        effects = self.effects[chosen].double()  # (C, E)
        system = effects.T @ effects
        ridge = RIDGE * torch.linalg.matrix_norm(system, ord=2)
        system += ridge * torch.eye(len(system), dtype=system.dtype, device=system.device)
        amounts = effects @ torch.linalg.solve(system, change.double())
        vector = torch.zeros_like(self.deviation)
        vector[chosen] = amounts.float() * self.deviation[chosen]
        reached = float(amounts @ (effects @ change.double()))
        wanted = float((change @ self.covariance @ change).clamp_min(1e-12).sqrt())
        return Direction(name, vector, wanted / max(reached, 1e-12), space="S")


def network_hash(network: TextImage) -> str:
    """Hash the weights of a text-image network (SHA-256, hex)."""
    return weights_hash(cast(nn.Module, network).state_dict())


def relevance_file(generator: StyleGAN2, network: TextImage) -> TiedFile:
    """Return where the relevance of a generator's channels for a network is kept."""
    return TiedFile(
        "relevance",
        {
            "generator_sha256": weights_hash(generator.state_dict()),
            "text_sha256": network_hash(network),
        },
    )


def measure_relevance(
    generator: StyleGAN2,
    render: Callable[[Tensor], Tensor],
    network: TextImage,
    path: Path,
    samples: int = SAMPLES,
    folder: Path | None = None,
) -> Relevance:
    """Measure the relevance of every channel, show the progress, and keep it.

    What is measured is kept after every batch; a call that was interrupted is gone on with.

    Args:
        generator: Whose channels they are.
        render: (B, S) styles to (B, 3, H, W) in [-1, 1], differentiable.
        network: Embeds the pictures.
        path: The file.
        samples: Pictures to average over.
        folder: Of the generator's model, where its statistics may lie.

    Raises:
        CheckpointError: What was kept is damaged.
        OSError: The file cannot be written.
    """
    file = relevance_file(generator, network)
    begun = path.with_name(f"{path.stem}-unfinished.safetensors")
    deviation = statistics_of(generator, folder).deviation.to(generator.w_avg)
    sums = file.read(begun) if begun.exists() else {}
    with tqdm(total=samples, unit="picture", desc="relevance", disable=None) as progress:
        first = 0
        for styles in sampled_styles(generator, samples):
            first, done = first + len(styles), int(sums["count"]) if sums else 0
            progress.update(len(styles))
            if first <= done:
                continue
            embedded = network.embed_image(render(styles)).detach()
            found = {
                "count": torch.tensor(float(first)),
                "effects": len(styles) * effects_at(styles, deviation, render, network.embed_image),
                "mean": embedded.sum(dim=0),
                "covariance": embedded.T @ embedded,
            }
            if sums:
                found |= {name: sums[name].to(value) + value for name, value in found.items()}
                found["count"] = torch.tensor(float(first))
            sums = found
            file.write(begun, sums)
    mean = sums["mean"] / samples
    tensors = {
        "effects": sums["effects"] / samples,
        "covariance": sums["covariance"] / samples - torch.outer(mean, mean),
        "deviation": deviation,
    }
    file.write(path, {**tensors, "effects": tensors["effects"].half()})
    begun.unlink(missing_ok=True)
    return relevance_of(generator, network, path.parent, path)


def relevance_of(
    generator: StyleGAN2,
    network: TextImage,
    folder: Path | None = None,
    path: Path | None = None,
) -> Relevance:
    """Return the relevance that was measured: the model's, the package's, or the cache's.

    Args:
        generator: Whose channels they are.
        network: Which embeds the pictures.
        folder: Of the model, where it may lie.
        path: Its file, if that is known.

    Raises:
        ValueError: It was not measured.
        CheckpointError: A file is damaged, or of other networks.
    """
    file, channels = relevance_file(generator, network), style_layers(generator.synthesis)[-1].stop
    tensors = file.find(folder) if path is None else file.read(path)
    if tensors is None:
        raise ValueError(
            "expected the relevance of this generator's channels for texts, got none: "
            "measure it with restyle models relevance"
        )
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    size = found.get("covariance", (0,))[0]
    wanted = {"effects": (channels, size), "covariance": (size, size), "deviation": (channels,)}
    if found != wanted:
        raise CheckpointError(f"expected relevance of shapes {wanted}, got {found}")
    return Relevance(**{name: tensor.to(generator.w_avg) for name, tensor in tensors.items()})
