"""The curvature of an objective over a generator's codes: estimated once, and kept.

Both are tied by hash to the generator and to the objective that they were estimated for.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from tqdm import tqdm

from restyle.generators.stylegan2 import StyleGAN2
from restyle.io.checkpoints import CheckpointError, weights_hash
from restyle.io.files import atomic_write, cache_folder
from restyle.losses.weighted import WeightedLosses
from restyle.refine import Render, pool_to

Residuals = Callable[[Tensor, Tensor], Tensor]
"""(images, targets), (B, 3, h, w) each, to residuals (B, M): their squared norms are minimised."""

PROBES = 512
RANK = 192
BATCH = 8
_KIND = "curvature"


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
        count, rank = self.vectors.shape
        return (float(self.values.sum()) + self.rest * (count - rank)) / count

    def solve(self, b: Tensor, damping: Tensor) -> Tensor:
        """Return the solution x of (H + damping I) x = b.

        Args:
            b: (B, N).
            damping: (B, 1), positive.
        """
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
            "vectors": self.vectors.half().cpu().contiguous(),
            "values": self.values.float().cpu().contiguous(),
            "rest": torch.tensor([self.rest]),
        }
        facts = {"kind": _KIND, "generator_sha256": generator, "objective_sha256": objective}
        with atomic_write(path) as temporary:
            temporary.write_bytes(save(tensors, facts))

    @classmethod
    def load(cls, path: Path, generator: str, objective: str) -> Curvature:
        """Read what `save` wrote.

        Raises:
            CheckpointError: Damaged, or for another generator or objective.
        """
        try:
            with safe_open(path, "pt") as file:
                facts = file.metadata() or {}
                tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
            vectors, values = tensors["vectors"], tensors["values"]
            rest = float(tensors["rest"])
        except (OSError, SafetensorError, KeyError, RuntimeError, ValueError) as error:
            raise CheckpointError(f"{path}: expected a curvature, got: {error}") from error
        wanted = {"kind": _KIND, "generator_sha256": generator, "objective_sha256": objective}
        for name, value in wanted.items():
            if facts.get(name) != value:
                raise CheckpointError(
                    f"{path}: expected the curvature of this generator and objective ({name} "
                    f"{value[:12]}), got {str(facts.get(name))[:12]}"
                )
        finite = all(bool(torch.isfinite(t).all()) for t in tensors.values())
        if vectors.ndim != 2 or values.shape != vectors.shape[1:] or not finite or rest <= 0:
            raise CheckpointError(f"{path}: expected finite (N, rank) vectors and (rank,) values")
        return cls(vectors, values, rest)


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

    With v of independent normal entries, the products g = J'v have covariance J'J. The probes are
    kept, (probes, N) numbers; the matrix of N x N is never built.

    Args:
        render: (B, num_ws, D) to (B, 3, H, W) in [-1, 1], differentiable.
        residuals: Of images and of targets, for which the images themselves are taken.
        codes: Batches (B, num_ws, D) around which the curvature is wanted; as many are taken as the
            probes need, one for each of them.
        probes: Products in all; several times `rank`, for a good estimate.
        rank: Eigenvectors that are kept; at most `probes` and N.
        size: Height and width at which images are compared; the render's own if None.
        show: Show the progress.
    """
    random = torch.Generator().manual_seed(0)
    rows: list[Tensor] = []
    progress = tqdm(total=probes, unit="probe", desc="curvature", disable=None if show else True)
    while sum(map(len, rows)) < probes:
        ws = next(codes).detach().requires_grad_(True)
        with torch.enable_grad():
            image = render(ws)
            image = image if size is None else pool_to(image, image.new_empty(1, 3, *size))
            r = residuals(image, image.detach())
            v = torch.randn(r.shape, generator=random).to(r)
            (gradient,) = torch.autograd.grad(r, ws, v)
        rows.append(gradient.flatten(1))
        progress.update(len(gradient))
    progress.close()
    sampled = torch.cat(rows)[:probes] / probes**0.5
    _, sizes, vectors = torch.linalg.svd(sampled, full_matrices=False)
    values = sizes.square()
    rank = min(rank, len(values))
    left = sampled.shape[1] - rank
    rest = float(values[rank:].sum()) / left if left else 0.0
    return Curvature(vectors[:rank].T.contiguous(), values[:rank], max(rest, 1e-12))


def curvature_of(
    generator: StyleGAN2,
    render: Render,
    objective: WeightedLosses,
    size: tuple[int, int],
    show: bool = True,
) -> Curvature:
    """Return the curvature of an objective for a generator, from the cache or estimated now.

    It is estimated around samples whose layers are mixed of two people, the codes of the W+ space
    that are known without images.

    Args:
        generator: Its synthesis network and objective decide which file it is.
        render: What is differentiated: (B, num_ws, D) to (B, 3, H, W).
        objective: What will be minimised.
        size: Height and width at which images are compared.
        show: Say that it is estimated, and show the progress.

    Raises:
        CheckpointError: The file in the cache is damaged.
    """
    digest = weights_hash(generator.state_dict())
    about = f"{size[0]}x{size[1]}-{objective.digest()}"
    path = cache_folder() / "curvature" / f"{digest[:16]}-{about[:24]}.safetensors"
    if not path.exists():
        found = _estimate(generator, render, objective, size, show)
        try:
            found.save(path, digest, about)
        except OSError as error:  # what took minutes is of use all the same
            warnings.warn(f"the curvature is not kept: {error}", stacklevel=2)
            return found
    return Curvature.load(path, digest, about)


def _estimate(
    generator: StyleGAN2,
    render: Render,
    objective: WeightedLosses,
    size: tuple[int, int],
    show: bool,
) -> Curvature:
    if show:
        print("newton: estimating this generator's curvature, once", file=sys.stderr)
    codes = _mixed_samples(generator)
    count = generator.num_ws * generator.config.w_dim
    return estimate_curvature(
        render, objective.residuals, codes, PROBES, min(RANK, count), size, show
    )


def _mixed_samples(generator: StyleGAN2) -> Iterator[Tensor]:
    random = torch.Generator().manual_seed(0)
    seed = 0
    while True:
        first, second = (generator.broadcast(generator.sample_w(BATCH, seed + k)) for k in range(2))
        swapped = torch.rand(BATCH, generator.num_ws, 1, generator=random) < 0.5
        yield torch.where(swapped.to(first.device), second, first)
        seed += 2
