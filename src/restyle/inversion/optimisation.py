"""Inversion by gradient descent on the latent codes, image by image.

The objective is a plain callable, (images, targets) to a distance (B,) of each image, both at the
target's size. The images of a batch do not influence one another.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from restyle.refine import Estimate, Render, pool_to

Objective = Callable[[Tensor, Tensor], Tensor]
NoisyRender = Callable[[Tensor, Sequence[Tensor]], Tensor]


@dataclass(frozen=True)
class NoiseMaps:
    """The projector's noise inputs, which are optimised together with the code.

    Attributes:
        maps: The generator's own maps (1, 1, h, w), of any resolutions; every image gets copies,
            which start as normal noise.
        render: (B, num_ws, D) codes and (B, 1, h, w) maps to (B, 3, H, W) images in [-1, 1].
        weight: Of the regularisation.
    """

    maps: Sequence[Tensor]
    render: NoisyRender
    weight: float = 1e5


def learning_rate_ramp(done: float) -> float:
    """Return the share of the learning rate when a share of the steps, 0 to 1, is done.

    It goes up over the first 5 % of them, and down a cosine over the last 25 %. Source: Karras et
    al. 2020, appendix D.
    """
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - done) / 0.25))
    return down * min(1.0, (done + 1e-3) / 0.05)


def optimise_ws(
    render: Render,
    objective: Objective,
    target: Tensor,
    start: Estimate,
    steps: int,
    lr: float = 0.1,
) -> Iterator[Estimate]:
    """Optimise a code for each layer (W+) with Adam.

    Source: Abdal et al. 2019, "Image2StyleGAN: How to Embed Images Into the StyleGAN Latent Space?"
    The learning rate rises and falls as in `optimise_w`, which has the same arguments.

    Yields:
        The estimate after each step.

    Raises:
        ValueError: The batch of the target and of the start differ.
    """
    check_batch(target, start)
    ws = start.ws.detach().clone().requires_grad_(True)
    yield from descend(
        [ws],
        lambda _: Estimate(ws, render(ws)),
        lambda estimate: objective(pool_to(estimate.image, target), target).sum(),
        steps,
        lr,
    )


def optimise_w(
    render: Render,
    objective: Objective,
    target: Tensor,
    start: Estimate,
    steps: int,
    lr: float = 0.1,
    w_std: float = 0.0,
    noise: NoiseMaps | None = None,
    seed: int = 0,
) -> Iterator[Estimate]:
    """Optimise one code for all layers (W): the projector of StyleGAN2.

    Source: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", section 5
    and appendix D. The code is perturbed by noise that fades away over the first three quarters of
    the steps; what is yielded is what was rendered, perturbation included.

    Args:
        render: (B, num_ws, D) to (B, 3, H, W) in [-1, 1], differentiable.
        objective: What is minimised.
        target: (B, 3, h, w), RGB in [-1, 1].
        start: Where to start, such as the average; here the mean of its codes over the layers.
        steps: How many steps to take.
        lr: Adam's learning rate at its highest.
        w_std: Root mean square distance of random codes to the average one, which scales the
            perturbation; 0 for none.
        noise: The generator's noise inputs, when they are to be optimised as well. The image is
            then no longer a function of the codes alone.
        seed: Of the perturbation and of the noise maps.

    Yields:
        The estimate after each step.

    Raises:
        ValueError: The batch of the target and of the start differ.
    """
    check_batch(target, start)
    random = torch.Generator().manual_seed(seed)
    w = start.ws.detach().mean(dim=1).clone().requires_grad_(True)
    maps = [
        torch.randn(len(w), *own.shape[1:], generator=random).to(own).requires_grad_(True)
        for own in (noise.maps if noise else ())
    ]

    def rendered(step: int) -> Estimate:
        if step:
            _normalise(maps)
        strength = w_std * 0.05 * max(0.0, 1 - step / (0.75 * steps)) ** 2
        shift = strength * torch.randn(w.shape, generator=random).to(w)
        ws = (w + shift).unsqueeze(1).expand(-1, start.ws.shape[1], -1)
        return Estimate(ws, noise.render(ws, maps) if noise else render(ws))

    def distance(estimate: Estimate) -> Tensor:
        found = objective(pool_to(estimate.image, target), target).sum()
        return found + noise.weight * noise_regularisation(maps) if noise else found

    yield from descend([w, *maps], rendered, distance, steps, lr)


def descend(
    parameters: Sequence[Tensor],
    rendered: Callable[[int], Estimate],
    distance: Callable[[Estimate], Tensor],
    steps: int,
    lr: float,
    ramp: Callable[[float], float] = learning_rate_ramp,
) -> Iterator[Estimate]:
    """Minimise a distance with Adam.

    Args:
        parameters: Are changed in place.
        rendered: Makes of them the estimate after a number of steps; each is used twice, yielded
            and by the step that follows.
        distance: Of an estimate: ().
        steps: How many steps to take.
        lr: The learning rate at its highest.
        ramp: The share of it when a share of the steps is done.

    Yields:
        The estimate after each step, without gradients.
    """
    optimiser = torch.optim.Adam(parameters)
    with torch.enable_grad():
        estimate = rendered(0)
    for step in range(steps):
        with torch.enable_grad():
            gradients = torch.autograd.grad(distance(estimate), parameters, allow_unused=True)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            optimiser.param_groups[0]["lr"] = lr * ramp(step / steps)
            optimiser.step()
            estimate = rendered(step + 1)
        yield Estimate(estimate.ws.detach().clone(), estimate.image.detach())


def noise_regularisation(maps: Sequence[Tensor]) -> Tensor:
    """Sum how neighbours correlate in square noise maps (B, 1, h, w), on scales down to 8 pixels.

    The sum is over maps, scales, directions and batch. Source: Karras et al. 2020, appendix D.
    """
    total = torch.zeros((), device=maps[0].device)
    for noise in maps:
        while True:
            for axis in (2, 3):
                total = total + (noise * noise.roll(1, axis)).mean(dim=(1, 2, 3)).square().sum()
            if noise.shape[-1] <= 8:
                break
            # Averages of four have half the deviation: doubled, they are normal noise again.
            noise = F.avg_pool2d(noise, 2) * 2
    return total


@torch.no_grad()
def _normalise(maps: Sequence[Tensor]) -> None:
    for noise in maps:
        noise -= noise.mean(dim=(1, 2, 3), keepdim=True)
        noise *= noise.square().mean(dim=(1, 2, 3), keepdim=True).rsqrt()


def check_batch(target: Tensor, start: Estimate) -> None:
    """Refuse a start (B, ...) of another batch than the targets (B, 3, h, w)."""
    if len(target) != len(start.ws):
        raise ValueError(
            f"expected a start for each of the {len(target)} targets, got {len(start.ws)} starts"
        )
