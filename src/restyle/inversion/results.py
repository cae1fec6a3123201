"""Results of an inversion."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from restyle.editing.latents import save_latents
from restyle.io.images import save_image
from restyle.refine import Estimate


@dataclass(frozen=True, repr=False)
class InversionResult:
    """Codes and pictures that an inversion found for a batch of B images.

    Attributes:
        target: What was inverted, (B, 3, h, w), RGB in [-1, 1], at the encoder's input size.
        steps: The start (the average image, t = 0) and the estimate after each step. Images that
            stopped early repeat the best estimate that they had.
        steps_used: How many steps each image took, (B,) int64; all of them if None is given.
    """

    target: Tensor
    steps: tuple[Estimate, ...]
    steps_used: Tensor = None  # pyright: ignore - filled in below

    def __post_init__(self) -> None:
        """Count every step for every image where nothing else is known."""
        if self.steps_used is None:
            used = torch.full((len(self.target),), len(self.steps) - 1, device=self.target.device)
            object.__setattr__(self, "steps_used", used)

    def __repr__(self) -> str:
        """Return one line: how many images, of what shapes, after how many steps."""
        return (
            f"InversionResult({len(self.target)} of {tuple(self.image.shape[1:])}, "
            f"ws {tuple(self.ws.shape[1:])}, steps {self.steps_used.tolist()})"
        )

    @property
    def ws(self) -> Tensor:
        """The last step's latent codes in W+, (B, num_ws, D)."""
        return self.steps[-1].ws

    @property
    def image(self) -> Tensor:
        """The last step's reconstruction, (B, 3, H, W), RGB in [-1, 1]."""
        return self.steps[-1].image

    def split(self) -> list["InversionResult"]:
        """Return a result for each image of the batch, with the steps that it took."""
        return [
            InversionResult(
                self.target[i : i + 1], tuple(e[i : i + 1] for e in self.steps[: n + 1])
            )
            for i, n in enumerate(self.steps_used.tolist())
        ]

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write `reconstructions/N.png` and `latents/N.safetensors` for each image N, from 0 on.

        The folder is made where missing; files of these names in it are replaced.

        Raises:
            OSError: A file cannot be written.
        """
        for number, one in enumerate(self.split()):
            paths = [Path(folder, part) for part in ("reconstructions", "latents")]
            for path in paths:
                path.mkdir(parents=True, exist_ok=True)
            save_image(one.image[0], paths[0] / f"{number}.png")
            ws = torch.cat([step.ws for step in one.steps])
            save_latents(ws, {}, paths[1] / f"{number}.safetensors")


def joined(results: list[InversionResult]) -> InversionResult:
    """Join several batches into one; a single one stays as it is, without copies.

    Raises:
        ValueError: There are none.
    """
    if not results:
        raise ValueError("expected at least one image, got none")
    if len(results) == 1:
        return results[0]
    most = max(len(result.steps) for result in results)
    padded = [r.steps + (r.steps[-1],) * (most - len(r.steps)) for r in results]
    return InversionResult(
        target=torch.cat([result.target for result in results]),
        steps=tuple(
            Estimate(torch.cat([e.ws for e in step]), torch.cat([e.image for e in step]))
            for step in zip(*padded, strict=True)
        ),
        steps_used=torch.cat([result.steps_used for result in results]),
    )
