"""Finding directions: from labelled codes, from their spread, and from a generator's weights."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from restyle.generators.stylegan2 import ModulatedConv, StyleGAN2
from restyle.io.imports import needed


class Whitening:
    """Coordinates in which codes vary alike in all directions, as z does and W does not.

    In them the direction that separates best is also the one that moves codes where others are. In
    W itself separating normals point to where codes hardly ever are, and edits along them do little
    within the range of the codes.

    Attributes:
        mean: (D,) of the codes.
        root: (D, D) symmetric root of their covariance.
    """

    def __init__(self, w: np.ndarray):
        """Take codes (N, D)."""
        self.mean = w.mean(axis=0, dtype=np.float64)
        values, vectors = np.linalg.eigh(
            np.cov(w, rowvar=False, dtype=np.float64).reshape(w.shape[1], -1)
        )
        kept = values > 1e-10 * values.max()  # what rounding leaves of a flat direction
        roots = np.sqrt(values.clip(0))
        self.root = (vectors * roots) @ vectors.T
        self._inverse = (vectors * np.where(kept, 1 / roots.clip(1e-30), 0)) @ vectors.T

    def __call__(self, w: np.ndarray) -> np.ndarray:
        """Take codes (N, D) to these coordinates."""
        return (w - self.mean) @ self._inverse

    def direction(self, normal: np.ndarray) -> np.ndarray:
        """Take a direction in these coordinates to W: (D,) of unit length."""
        moved = self.root @ normal
        return (moved / np.linalg.norm(moved)).astype(np.float32)


def boundary(w: np.ndarray, scores: np.ndarray, share: float = 0.25, seed: int = 0) -> np.ndarray:
    """Find the direction in which an attribute changes fastest: the normal of a linear SVM.

    The codes with the highest and those with the lowest scores are told apart. Source: Shen et al.
    2020, "Interpreting the Latent Space of GANs for Semantic Face Editing" (InterFaceGAN), section
    3.1.

    Args:
        w: (N, D) codes, best whitened ones.
        scores: (N,): how much of the attribute each code's picture shows.
        share: How many of the codes, as a share of N, are taken from each end.
        seed: Of the solver.

    Returns:
        (D,) of unit length, towards higher scores.

    Raises:
        ValueError: Shapes that do not fit, scores that are not finite or all alike.
        ImportError: scikit-learn is missing (`pip install 'restyle[evaluate]'`).
    """
    with needed("evaluate", "finding directions needs scikit-learn"):
        from sklearn.svm import LinearSVC

    if w.ndim != 2 or scores.shape != w.shape[:1] or not np.isfinite(scores).all():
        raise ValueError(
            f"expected codes (N, D) and N finite scores, got {w.shape} and {scores.shape}"
        )
    count = int(share * len(w))
    if not 0 < share <= 0.5 or count < 1 or np.ptp(scores) == 0:
        raise ValueError(
            f"expected scores that differ and a share of at least one code, got {share:g} of "
            f"{len(w)} codes"
        )
    order = np.argsort(scores, kind="stable")
    chosen = np.concatenate([order[:count], order[-count:]])
    mean, spread = w.mean(axis=0), w.std()  # one number: the geometry of W stays as it is
    # Labels are noisy: a stronger C fits the few codes near the boundary and generalises worse.
    machine = LinearSVC(C=1 / len(chosen), dual="auto", random_state=seed)
    machine.fit((w[chosen] - mean) / spread, np.repeat([0, 1], count))
    normal = machine.coef_[0]
    return (normal / np.linalg.norm(normal)).astype(np.float32)


def conditional(direction: np.ndarray, others: Sequence[np.ndarray]) -> np.ndarray:
    """Return what is left of a direction that must not change others, (D,) of unit length.

    It is orthogonal to the directions (D,) of all other attributes. Source: InterFaceGAN, section
    3.2, equation 3 (conditional manipulation), for several conditions at once.

    Raises:
        ValueError: The others leave nothing of it.
    """
    left = direction.astype(np.float64)
    if len(others):
        basis = np.linalg.qr(np.stack(others, axis=1).astype(np.float64))[0]
        for _ in range(2):  # the second time for what rounding left
            left = left - basis @ (basis.T @ left)
    length = np.linalg.norm(left)
    if length < 1e-6 * np.linalg.norm(direction):
        raise ValueError(f"expected a direction that {len(others)} others do not span")
    return (left / length).astype(np.float32)


def disentangled(direction: np.ndarray, effects: np.ndarray, weight: float) -> np.ndarray:
    """Find a direction that changes other attributes less, without leaving them alone by force.

    Where attributes depend on nearly the same codes, `conditional` leaves little more than noise of
    a direction. This one, (D,) of unit length, minimises |d - direction|^2 + weight |effects d|^2
    instead: with weight 0 it is the direction (D,) itself; the larger the weight, the less it
    changes the others. Effects (K, D) say how much each of those changes along each coordinate.
    """
    effects = effects.astype(np.float64)
    system = np.eye(len(direction)) + weight * effects.T @ effects
    left = np.linalg.solve(system, direction.astype(np.float64))
    return (left / np.linalg.norm(left)).astype(np.float32)


def principal_components(w: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Find the directions in which codes vary most, and how much.

    Source: Härkönen et al. 2020, "GANSpace: Discovering Interpretable GAN Controls", section 2.1
    (PCA of W).

    Args:
        w: (N, D) random codes.
        count: How many components, at most min(N, D).

    Returns:
        (count, D), rows of unit length from the largest variance on; and their standard deviations
        (count,).

    Raises:
        ValueError: There are not so many.
    """
    if not 1 <= count <= min(w.shape):
        raise ValueError(f"expected 1 to {min(w.shape)} components, got {count}")
    centred = (w - w.mean(dim=0)).double()
    _, values, rows = torch.linalg.svd(centred, full_matrices=False)
    return _signed(rows[:count]).float(), (values[:count] / (len(w) - 1) ** 0.5).float()


def closed_form(weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Find the directions that styles react to most strongly, from the weights alone.

    The weights are matrices (C, D) from codes to styles. Source: Shen and Zhou 2021, "Closed-Form
    Factorization of Latent Semantics in GANs" (SeFa), equation 4.

    Returns:
        (D, D), rows of unit length from the strongest on; and their singular values (D,).
    """
    _, values, rows = torch.linalg.svd(
        torch.cat([w.double() for w in weights]), full_matrices=False
    )
    return _signed(rows).float(), values.float()


def style_weights(generator: StyleGAN2) -> list[Tensor]:
    """Return the style matrices (C, D) of a generator that SeFa's authors' recipe factorises.

    All of its convolutions and the first conversion to RGB, as the widely used implementation does.
    """
    layers = (*generator.synthesis.layers, generator.synthesis.to_rgbs[0])
    return [cast(ModulatedConv, layer).style.weight for layer in layers]


def _signed(rows: Tensor) -> Tensor:
    # Signs are arbitrary: let the largest entry of each row be positive.
    largest = rows.abs().argmax(dim=1, keepdim=True)
    return rows * rows.gather(1, largest).sign()
