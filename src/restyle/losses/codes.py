"""What keeps latent codes where a generator is editable: distances of the codes themselves."""

from torch import Tensor


def w_norm(ws: Tensor, average: Tensor) -> Tensor:
    """Distance from the average code (Richardson et al., CVPR 2021, equation 4).

    Args:
        ws: (B, num_ws, D) codes.
        average: (num_ws, D), or (D,) for every row.

    Returns:
        (B,): the Euclidean norm of each sample's difference, over all rows at once.
    """
    return (ws - average).flatten(1).norm(dim=1)


def delta_norms(ws: Tensor, stage: int | None = None) -> Tensor:
    """How far the rows are from the first one (Tov et al., SIGGRAPH 2021, equation 4).

    Args:
        ws: (B, num_ws, D) codes.
        stage: How many rows behind the first one have a delta; all of them if None.

    Returns:
        (B, stage): the Euclidean norm of each row's difference. The loss is their sum.
    """
    last = ws.shape[1] if stage is None else stage + 1
    return (ws[:, 1:last] - ws[:, :1]).norm(dim=2)
