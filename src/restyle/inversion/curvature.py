"""The curvature of an objective over a generator's codes: estimated once, and kept.

Both are tied by hash to the generator and to the objective that they were estimated for.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from restyle.generators.stylegan2 import StyleGAN2
from restyle.io.checkpoints import CheckpointError, weights_hash
from restyle.io.tied import TiedFile
from restyle.losses.weighted import WeightedLosses
from restyle.refine import Render, pool_to

Residuals = Callable[[Tensor, Tensor], Tensor]
"""(images, targets), (B, 3, h, w) each, to residuals (B, M): their squared norms are minimised."""

PROBES = 512
"""Where one is estimated on first use; `restyle models curvature` takes more."""
PROBES_A_RENDER = 4
"""Backward passes through each render, which is a third of the cost."""
RANK = 512
MOST_PIXELS = 8 * 256 * 256
"""In a batch of renders, which memory bounds."""
FILE = "curvature.safetensors"
"""Its name in a model's folder."""


@dataclass(frozen=True)
class Curvature:
    """The mean of J'J over a generator's codes, as low rank plus a multiple of the identity.

    Attributes:
        vectors: (N, rank) orthonormal eigenvectors, N = num_ws * w_dim.
        values: (rank,) their eigenvalues, the largest first.
        rest: The mean of the other eigenvalues.
    """

    vectors: Tensor
    values: Tensor
    rest: float

    @property
    def mean(self) -> float:
        """The mean of all N eigenvalues."""
        codes, rank = self.vectors.shape
        return (float(self.values.sum()) + self.rest * (codes - rank)) / codes

    def to(self, like: Tensor) -> Curvature:
        """Return the same with a tensor's device and type."""
        return Curvature(self.vectors.to(like), self.values.to(like), self.rest)

    def solve(self, b: Tensor, damping: float) -> Tensor:
        """Return the solution x (B, N) of (H + damping I) x = b, for a positive damping."""
        flat = b / (self.rest + damping)
        inside = b @ self.vectors
        gain = 1 / (self.values + damping) - 1 / (self.rest + damping)
        return flat + (inside * gain) @ self.vectors.T

    def product(self, x: Tensor) -> Tensor:
        """Return H x for x (B, N)."""
        inside = x @ self.vectors
        return self.rest * x + (inside * (self.values - self.rest)) @ self.vectors.T

    def save(self, path: Path, generator: str, objective: str) -> None:
        """Write a file of float16 vectors, tied to the hashes of a generator and an objective."""
        tensors = {
            "vectors": self.vectors.half(),
            "values": self.values.float(),
            "rest": torch.tensor([self.rest]),
        }
        tied_file(generator, objective).write(path, tensors)

    @classmethod
    def load(cls, path: Path, generator: str, objective: str) -> Curvature:
        """Read what `save` wrote.

        Raises:
            CheckpointError: Damaged, or for another generator or objective.
        """
        return cls.of(tied_file(generator, objective).read(path))

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Curvature:
        """Check the tensors of a file.

        Raises:
            CheckpointError: They have other names or shapes, or the rest is not positive.
        """
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        columns = shapes.get("vectors", ())[1:]
        fits = {"values": columns, "rest": (1,), "vectors": shapes.get("vectors")} == shapes
        if not (fits and len(columns) == 1 and float(tensors["rest"]) > 0):
            raise CheckpointError(
                f"{FILE}: expected vectors (N, rank), values (rank,), a positive rest, got {shapes}"
            )
        return cls(tensors["vectors"], tensors["values"], float(tensors["rest"]))


def tied_file(generator: str, objective: str) -> TiedFile:
    """Return where the curvature of a generator and an objective, by their hashes, is kept."""
    ties = {"generator_sha256": generator, "objective_sha256": objective}
    return TiedFile("curvature", ties, "a curvature", "this generator and objective")


def estimate_curvature(
    render: Render,
    residuals: Residuals,
    codes: Iterator[Tensor],
    probes: int,
    rank: int,
    size: tuple[int, int] | None = None,
    show: bool = False,
) -> Curvature:
    """Estimate the mean curvature of an objective from random vector-Jacobian products.

    With v of independent normal entries, the products g = J'v have covariance J'J. Neither the
    matrix of N x N nor all products are kept: where there are four times as many as `rank`, the
    `rank` largest directions of those so far take their place.

    Args:
        render: (B, num_ws, D) to (B, 3, H, W) in [-1, 1], differentiable.
        residuals: Of images and of targets, for which the images themselves are taken.
        codes: Batches (B, num_ws, D) around which the curvature is wanted; as many are taken as the
            probes need, up to four of them around each code.
        probes: Products in all; at least twice `rank`, for a good estimate.
        rank: Eigenvectors that are kept; at most `probes` and N.
        size: Height and width at which images are compared; the render's own if None.
        show: Show the progress.
    """
    random = torch.Generator().manual_seed(0)
    rows: list[Tensor] = []
    done, energy = 0, 0.0
    with tqdm(total=probes, unit="probe", desc="curvature", disable=None if show else True) as bar:
        while done < probes:
            ws = next(codes)[: probes - done].detach().requires_grad_(True)
            with torch.enable_grad():
                image = render(ws)
                image = image if size is None else pool_to(image, image.new_empty(1, 3, *size))
                r = residuals(image, image.detach())
            times = min(PROBES_A_RENDER, (probes - done) // len(ws))
            for left in reversed(range(times)):
                v = torch.randn(r.shape, generator=random).to(r)
                (gradient,) = torch.autograd.grad(r, ws, v, retain_graph=left > 0)
                rows.append(gradient.flatten(1) / probes**0.5)
                energy += float(rows[-1].square().sum())
                done += len(ws)
                bar.update(len(ws))
                if sum(map(len, rows)) >= 4 * rank:
                    vectors, values = _principal(torch.cat(rows), rank)
                    rows = [values.sqrt()[:, None] * vectors]
    vectors, values = _principal(torch.cat(rows), rank)
    left = vectors.shape[1] - len(values)
    rest = (energy - float(values.sum())) / left if left else 0.0
    return Curvature(vectors.T.contiguous(), values, max(rest, 1e-12))


def _principal(rows: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Return the first eigenvectors (rank, N) and eigenvalues of R'R for rows R (M, N)."""
    _, sizes, vectors = torch.linalg.svd(rows, full_matrices=False)
    return vectors[:rank], sizes[:rank].square()


def curvature_of(
    generator: StyleGAN2,
    render: Render,
    objective: WeightedLosses,
    size: tuple[int, int],
    folder: Path | None = None,
) -> Curvature:
    """Return the curvature of an objective for a generator: the model's, the cache's, or a new one.

    A new one is kept in the cache, and said to be estimated.

    Args:
        generator: Its synthesis network and objective decide which file it is.
        render: What is differentiated: (B, num_ws, D) to (B, 3, H, W).
        objective: What will be minimised.
        size: Height and width at which images are compared.
        folder: Of the model's checkpoint, where one for this objective may lie.

    Raises:
        CheckpointError: A file is damaged, or the folder's is for another generator.
    """
    tied = ties(generator, objective, size)
    file = tied_file(*tied)
    if (tensors := file.find(folder)) is not None:
        return Curvature.of(tensors)
    print("estimating this generator's curvature, once", file=sys.stderr)
    found = new_curvature(generator, render, objective, size, PROBES, RANK)
    try:
        found.save(file.cached, *tied)
    except OSError as error:  # what took minutes is of use all the same
        warnings.warn(f"the curvature is not kept: {error}", stacklevel=2)
        return found
    return Curvature.load(file.cached, *tied)


def ties(generator: StyleGAN2, objective: WeightedLosses, size: tuple[int, int]) -> tuple[str, str]:
    """Return the hashes of the generator and of the objective that a curvature belongs to."""
    return (
        weights_hash(generator.state_dict()),
        f"{size[0]}x{size[1]}-{objective.digest()}",
    )


def new_curvature(
    generator: StyleGAN2,
    render: Render,
    objective: WeightedLosses,
    size: tuple[int, int],
    probes: int,
    rank: int,
) -> Curvature:
    """Estimate the curvature of an objective for a generator, and show the progress.

    It is estimated around samples whose layers are mixed of two people, the codes of the W+ space
    that are known without images. The arguments are those of `curvature_of` and
    `estimate_curvature`.
    """
    # The last of as many directions as probes would be seen far too flat.
    rank = min(rank, max(1, probes // 2), generator.num_ws * generator.config.w_dim)
    batch = max(1, min(8, MOST_PIXELS // generator.config.size**2))
    codes = _mixed_samples(generator, batch)
    return estimate_curvature(render, objective.residuals, codes, probes, rank, size, show=True)


def _mixed_samples(generator: StyleGAN2, batch: int) -> Iterator[Tensor]:
    random = torch.Generator().manual_seed(0)
    for seed in count():
        first, second = generator.broadcast(generator.sample_w(2 * batch, seed)).chunk(2)
        swapped = torch.rand(batch, generator.num_ws, 1, generator=random) < 0.5
        swapped = swapped.to(first.device)
        yield torch.where(swapped, second, first)
        yield torch.where(swapped, first, second)  # the layers that the other left
