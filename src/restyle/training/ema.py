"""An exponential moving average of a network's weights, measured in images."""

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

N = TypeVar("N", bound=nn.Module)


class Ema(Generic[N]):
    """A slowly following copy of a network, the one that is evaluated and exported.

    The half-life is counted in images, so it does not depend on the batch size, and it is short at
    the start, so that the copy does not remember the untrained network (Karras et al. 2020,
    "Training Generative Adversarial Networks with Limited Data").

    Attributes:
        model: The averaged network, without gradients, in evaluation mode.
    """

    def __init__(self, model: N, halflife_images: float, ramp: float | None = 0.05):
        """Start from a copy of `model`.

        Args:
            model: The network that is trained; not kept.
            halflife_images: Images after which an old weight counts half.
            ramp: Largest half-life as a share of the images seen so far; None for no ramp.
        """
        self.model: N = copy.deepcopy(model).eval().requires_grad_(False)
        self.halflife_images = halflife_images
        self.ramp = ramp

    @torch.no_grad()
    def update(self, model: nn.Module, batch: int, images: int) -> None:
        """Follow `model` by a step on `batch` images over all processes, after `images` before."""
        halflife = self.halflife_images
        if self.ramp is not None:
            halflife = min(halflife, images * self.ramp)
        keep = 0.5 ** (batch / max(halflife, 1e-8))
        mine: list[Tensor] = [*self.model.parameters()]
        theirs: list[Tensor] = [*model.parameters()]
        get_ema_multi_avg_fn(keep)(mine, theirs, 0)  # one launch on a GPU
        for own, new in zip(self.model.buffers(), model.buffers(), strict=True):
            own.copy_(new)
