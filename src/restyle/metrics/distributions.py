"""Fréchet distance, precision and recall: two sets of images by the features of a network."""

import numpy as np

from restyle.io.imports import needed


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Measure the Fréchet distance of the normal distributions that fit two sets of features.

    Source: Dowson and Landau 1982; for images Heusel et al. 2017, "GANs Trained by a Two Time-Scale
    Update Rule Converge to a Local Nash Equilibrium", equation 6. The trace of the root of the
    covariances' product is taken from the eigenvalues of a symmetric matrix, which is exact for
    singular covariances too.

    Args:
        first: (N, F) features, at least two rows.
        second: (M, F).

    Returns:
        0 for equal means and covariances.

    Raises:
        ValueError: Other shapes.
    """
    _check(first, second, rows=2)
    means = [x.mean(axis=0, dtype=np.float64) for x in (first, second)]
    covariances = [np.cov(x, rowvar=False, dtype=np.float64) for x in (first, second)]
    root = _root(np.atleast_2d(covariances[0]))
    product = root @ np.atleast_2d(covariances[1]) @ root
    cross = np.sqrt(np.linalg.eigvalsh(product).clip(0)).sum()
    traces = sum(np.trace(np.atleast_2d(covariance)) for covariance in covariances)
    return max(0.0, float(np.square(means[0] - means[1]).sum() + traces - 2 * cross))


def precision_recall(
    real: np.ndarray, generated: np.ndarray, neighbours: int = 3
) -> tuple[float, float]:
    """Measure improved precision and recall.

    A set covers what lies within a ball around any of its members, as large as the distance to that
    member's k-th nearest neighbour in the set (Kynkäänniemi et al. 2019, "Improved Precision and
    Recall Metric for Assessing Generative Models", equations 1 to 3).

    Args:
        real: (N, F) features of the data.
        generated: (M, F) features of the samples.
        neighbours: k.

    Returns:
        Precision, the share of samples that the data cover, and recall, the share of the data that
        the samples cover.

    Raises:
        ValueError: Other shapes, or sets of no more than k members.
        ImportError: scikit-learn is missing (`pip install 'restyle[evaluate]'`).
    """
    _check(real, generated, rows=neighbours + 1)
    return _covered(real, generated, neighbours), _covered(generated, real, neighbours)


def _covered(members: np.ndarray, points: np.ndarray, neighbours: int) -> float:
    with needed("evaluate", "precision and recall need scikit-learn"):
        from sklearn.metrics import pairwise_distances_chunked
        from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=neighbours, algorithm="brute").fit(members)
    radii = search.kneighbors()[0][:, -1]  # without an argument no member is its own neighbour
    chunks = pairwise_distances_chunked(points, members, working_memory=128)
    return sum(int((chunk <= radii).any(axis=1).sum()) for chunk in chunks) / len(points)


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T


def _check(first: np.ndarray, second: np.ndarray, rows: int) -> None:
    fit = first.ndim == second.ndim == 2 and first.shape[1] == second.shape[1]
    if not fit or min(len(first), len(second)) < rows:
        raise ValueError(
            f"expected two sets (N, F) of at least {rows} feature vectors, "
            f"got {first.shape} and {second.shape}"
        )
