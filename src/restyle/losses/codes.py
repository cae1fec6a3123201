"""Distances of latent codes, which keep them where a generator is editable."""

from collections.abc import Callable

from torch import Tensor


def w_norm(ws: Tensor, average: Tensor) -> Tensor:
    """Measure the Euclidean distance (B,) of codes (B, num_ws, D) from the average.

    That is (num_ws, D), or (D,) for every row (Richardson et al., CVPR 2021, equation 4).
    """
    return (ws - average).flatten(1).norm(dim=1)


def delta_norms(ws: Tensor, stage: int | None = None) -> Tensor:
    """Measure how far rows of codes (B, num_ws, D) are from the first one: (B, stage).

    The loss is the sum over the first `stage` rows behind it, or over all of them if None (Tov et
    al., SIGGRAPH 2021, equation 4).
    """
    last = ws.shape[1] if stage is None else stage + 1
    return (ws[:, 1:last] - ws[:, :1]).norm(dim=2)


def curved_distance(ws: Tensor, wanted: Tensor, product: Callable[[Tensor], Tensor]) -> Tensor:
    """Measure how far codes are from others, by how much of it images show.

    Args:
        ws: (B, num_ws, w_dim).
        wanted: Equal in shape.
        product: The product of (B, num_ws * w_dim) with the curvature of an objective.

    Returns:
        (B,) twice the objective that the difference makes, to second order.
    """
    difference = (ws - wanted).flatten(1)
    return (difference * product(difference)).sum(dim=1)
