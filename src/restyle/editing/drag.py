"""Dragging: points of a picture are pulled to where they shall be, and what they belong to follows.

Source: Pan et al., "Drag Your GAN: Interactive Point-based Manipulation on the Generative Image
Manifold" (SIGGRAPH 2023, arXiv 2305.10973), section 3.2. Each step moves the latent codes so that a
patch of the generator's feature map around each point moves a little towards its target (motion
supervision, equation 1), and then looks for the point in the new map (point tracking, equation 2).
Two things differ: what moves is compared with the patch of the first map, where the paper takes the
map before the step, so that a face stays more like itself; and maps are sampled between their
pixels instead of being enlarged, which makes a step as cheap at 1024 pixels as the map is. Beyond
the paper, a person shall stay the same one to a network that tells persons apart, if there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from restyle.domains import Domain
from restyle.editing.edits import Layers, check_codes, layer_numbers
from restyle.losses.identity import Embedding
from restyle.refine import Render, pool_to
from restyle.runtime.engine import Inference

STEPS = 60
"""Steps after which a drag ends where its points have not arrived."""
MOST_STEPS = 1000
MOST_POINTS = 100
SMALLEST_MAP, LARGEST_MAP = 64, 128
"""Feature maps have half the height of the picture within these limits (the paper: 128 of 512)."""
CODES = 1000
"""Random codes that the learning rate's unit is measured over."""

Points = Sequence[tuple[float, float]] | Tensor
"""Points (N, 2): x to the right and y down, in pixels, the centre of the first one at (0, 0)."""


@dataclass(frozen=True)
class DragOptions:
    """Settings of a drag; lengths are in pixels of the feature map.

    Attributes:
        layers: The layers whose codes may change. The first six decide about shape, the others
            about colours and texture.
        lr: Learning rate of Adam, in standard deviations of the generator's codes.
        radius: Of the patch around a point that moves with it.
        stride: How far a patch is asked to move in a step, at most.
        search: How far from its last place a point is looked for, in each direction.
        tolerance: Distance from the target at which a point has arrived.
        mask_weight: Of what changes outside the mask.
        identity_weight: Of the identity distance to the start, where a network tells persons apart.
    """

    layers: Layers = "0-5"
    lr: float = 0.02
    radius: float = 3.0
    stride: float = 1.0
    search: float = 4.0
    tolerance: float = 0.5
    mask_weight: float = 4.0
    identity_weight: float = 0.3


class Networks(NamedTuple):
    """A generator as a drag sees it.

    Attributes:
        features: (1, num_ws, D) codes to a feature map (1, C, h, w), differentiable.
        render: The same codes to a picture (1, 3, H, W), RGB in [-1, 1].
        w_std: Standard deviation of random codes, over all their numbers.
        person: Tells persons apart, if there is one.
    """

    features: Callable[[Tensor], Tensor]
    render: Render
    w_std: float = 1.0
    person: Person | None = None


class Person(NamedTuple):
    """What a drag keeps a person by.

    Attributes:
        embed: Pictures (1, 3, H, W) to embeddings (1, E) of unit length.
        both: (1, num_ws, D) codes to a feature map and a picture, differentiable, in one pass.
    """

    embed: Callable[[Tensor], Tensor]
    both: Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Dragged:
    """A step of a drag.

    Attributes:
        ws: (1, num_ws, D) codes.
        image: (1, 3, H, W) their render, RGB in [-1, 1].
        points: (N, 2) where the dragged points are now, x and y as they were given.
        distances: (N,) how far they are from their targets, in the same unit.
        arrived: (N,) whether that is near enough.
    """

    ws: Tensor
    image: Tensor
    points: Tensor
    distances: Tensor
    arrived: Tensor


def drag(
    networks: Networks,
    ws: Tensor,
    pull: tuple[Tensor, Tensor],
    mask: Tensor | None = None,
    steps: int = STEPS,
    options: DragOptions = DragOptions(),
) -> Iterator[Dragged]:
    """Drag points until they arrive, or for a number of steps.

    Args:
        networks: The generator.
        ws: (1, num_ws, D) codes of the picture that is dragged.
        pull: Where points are, and where they shall be: (N, 2) each, x and y from -1 (left, top
            edge of the feature map) to 1.
        mask: (1, 1, H, W), 1 where the picture may change and 0 where it shall stay; None for all.
        steps: At most so many.
        options: How.

    Yields:
        The start, and what there is after each step, without gradients.
    """
    rows = layer_numbers(options.layers, ws.shape[1])
    start, (points, targets) = ws.detach(), pull
    shift = torch.zeros_like(start[:, rows]).requires_grad_(True)
    optimiser = torch.optim.Adam([shift], lr=options.lr * networks.w_std)
    person = networks.person if options.identity_weight else None

    def moved() -> tuple[Tensor, Tensor, Tensor | None]:
        ws = start.index_add(1, torch.tensor(rows, device=start.device), shift)
        return (ws, *person.both(ws)) if person else (ws, networks.features(ws), None)

    with torch.enable_grad():
        ws, features, image = moved()
        known = person.embed(image).detach() if person and image is not None else None
    first, unit = features.detach(), 2 / features.shape[-1]  # a pixel of the map
    patch, content = _disc(options.radius).to(points) * unit, sample(first, points[:, None])
    before = sample(first, points[:, None] + patch)
    fixed = None if mask is None else 1 - pool_to(mask.to(first), first)
    for step in range(steps + 1):
        way = targets - points
        distances = way.norm(dim=1, keepdim=True)
        arrived = distances[:, 0] <= options.tolerance * unit
        with torch.no_grad():
            shown = networks.render(ws.detach()) if image is None else image.detach()
        yield Dragged(ws.detach(), shown, points, distances[:, 0], arrived)
        if step == steps or bool(arrived.all()):
            return
        way = way * (options.stride * unit / distances.clamp_min(1e-9)).clamp_max(1)
        with torch.enable_grad():
            loss = (sample(features, (points + way)[:, None] + patch) - before).abs().mean()
            if fixed is not None:
                change = ((features - first).abs().mean(dim=1, keepdim=True) * fixed).sum()
                loss = loss + options.mask_weight * change / fixed.sum().clamp_min(1)
            if person and image is not None and known is not None:
                apart = 1 - (person.embed(image) * known).sum()
                loss = loss + options.identity_weight * apart
            (shift.grad,) = torch.autograd.grad(loss, shift)
            optimiser.step()
            ws, features, image = moved()
        points = track(features.detach(), content, points, options.search)


def sample(features: Tensor, points: Tensor) -> Tensor:
    """Read a feature map (1, C, h, w) at points (N, K, 2) in [-1, 1], bilinearly: (N, K, C)."""
    found = F.grid_sample(features, points[None], padding_mode="border", align_corners=False)
    return found[0].permute(1, 2, 0)


def track(features: Tensor, content: Tensor, points: Tensor, search: float) -> Tensor:
    """Find points again in a map that has changed: the nearest neighbour in feature space.

    Args:
        features: (1, C, h, w).
        content: (N, 1, C): what is at the points in the first map.
        points: (N, 2), where they were last, x and y in [-1, 1].
        search: How far around they are looked for, in pixels of the map.

    Returns:
        (N, 2), to a quarter of a pixel.
    """
    unit = 2 / features.shape[-1]
    for reach, spacing in ((search, 1.0), (0.75, 0.25)):
        places = (points[:, None] + _square(reach, spacing).to(points) * unit).clamp(-1, 1)
        distance = (sample(features, places) - content).abs().sum(dim=2)
        points = places[torch.arange(len(points)), distance.argmin(dim=1)]
    return points


def _square(reach: float, spacing: float) -> Tensor:
    """Return the points of a square grid around 0, (K, 2), the middle first."""
    count = int(reach / spacing + 1e-6)
    line = torch.arange(-count, count + 1) * spacing
    grid = torch.cartesian_prod(line, line)
    return grid[grid.norm(dim=1).argsort(stable=True)]  # of equally good places the nearest wins


def _disc(radius: float) -> Tensor:
    square = _square(radius, 1.0)
    return square[square.norm(dim=1) <= radius]


class Dragger:
    """Drags the pictures of one generator by points in pixels.

    Attributes:
        networks: The generator.
        codes: num_ws and D of its codes.
        size: Height and width of its renders, in pixels.
        rows: The first row of them that belongs to the picture, and the end.
    """

    def __init__(
        self, inference: Inference, domain: Domain, render: Render, network: Embedding | None = None
    ):
        """Take a generator.

        Args:
            inference: Runs the generator.
            domain: Says which rows of a render are the picture.
            render: (1, num_ws, D) codes to the picture.
            network: Tells persons apart, if there is one.
        """
        generator = inference.generator
        self.size, self.rows = generator.config.size, domain.rows(generator.config.size)
        resolution = min(max(self.size // 2, SMALLEST_MAP), LARGEST_MAP, self.size)
        w_std = generator.sample_w(CODES).std(dim=0).square().mean().sqrt().item()
        self.codes = (generator.num_ws, generator.config.w_dim)

        def both(ws: Tensor) -> tuple[Tensor, Tensor]:
            features, image = inference.features_and_image(ws, resolution)
            return features, domain.crop_render(image)

        person = None if network is None else Person(network.embed, both)
        self.networks = Networks(
            lambda ws: inference.features(ws, resolution), render, w_std, person
        )

    def __call__(
        self,
        ws: Tensor,
        handles: Points,
        targets: Points,
        mask: Tensor | None = None,
        steps: int = STEPS,
        options: DragOptions = DragOptions(),
    ) -> Iterator[Dragged]:
        """Drag points of a picture until they arrive, or for a number of steps.

        Args:
            ws: (1, num_ws, D) codes of the picture.
            handles: (N, 2), the points that are dragged, in pixels of the render: x to the right, y
                down, the centre of the first pixel at (0, 0).
            targets: (N, 2), where each of them shall be.
            mask: (H, W) of any size, 1 where the picture may change and 0 where it shall stay; all
                of it may change if None.
            steps: At most so many.
            options: How.

        Returns:
            An iterator over the start and what there is after each step.

        Raises:
            ValueError: Codes of several pictures, points that are not in the picture or without a
                target, a mask of another shape, layers that there are not, or steps that are no
                number from 1 to 1000.
        """
        check_codes(ws, *self.codes)
        layer_numbers(options.layers, self.codes[0])
        if len(ws) != 1:
            raise ValueError(f"expected the codes of one picture (1, num_ws, D), got {len(ws)}")
        if not isinstance(steps, int) or not 1 <= steps <= MOST_STEPS:
            raise ValueError(f"expected steps from 1 to {MOST_STEPS}, got {steps}")
        height = self.rows[1] - self.rows[0]
        size = (self.size, height)
        handles, targets = checked_points(handles, size), checked_points(targets, size)
        if len(handles) != len(targets):
            raise ValueError(
                f"expected a target for each of {len(handles)} points, got {len(targets)}"
            )
        pull = (self._to_map(handles.to(ws.device)), self._to_map(targets.to(ws.device)))
        whole = None if mask is None else self._whole(mask).to(ws.device)
        steps_of = drag(self.networks, ws, pull, whole, steps, options)
        return (self._in_pixels(one) for one in steps_of)

    def _to_map(self, points: Tensor) -> Tensor:
        """Take pixels of the picture to the square that the feature map covers, [-1, 1]."""
        below = points.new_tensor([0.5, 0.5 + self.rows[0]])
        return (points + below) * (2 / self.size) - 1

    def _in_pixels(self, one: Dragged) -> Dragged:
        below = one.points.new_tensor([0.5, 0.5 + self.rows[0]])
        scale = self.size / 2
        return replace(
            one, points=(one.points + 1) * scale - below, distances=one.distances * scale
        )

    def _whole(self, mask: Tensor) -> Tensor:
        """Make a picture's mask one of the whole render, whose bars may change: (1, 1, H, W)."""
        if mask.ndim != 2 or not mask.numel() or not bool(((mask >= 0) & (mask <= 1)).all()):
            raise ValueError(f"expected a mask (H, W) from 0 to 1, got {tuple(mask.shape)}")
        if not bool(mask.any()):
            raise ValueError("expected a mask with something that may change, got an empty one")
        top, bottom = self.rows
        inside = F.interpolate(mask[None, None].float(), (bottom - top, self.size), mode="nearest")
        return F.pad(inside, (0, 0, top, self.size - bottom), value=1.0)


def mask_around(points: Tensor, size: tuple[int, int], room: float = 0.11) -> Tensor:
    """Let only the box around some points change.

    Args:
        points: (N, 2), x and y in pixels: handles and targets.
        size: Width and height of the picture.
        room: How far the box reaches beyond them, as a share of the picture's width.

    Returns:
        (H, W), 1 in the box and 0 outside.
    """
    places, beyond = points.float(), room * size[0]
    left, top = (places.amin(dim=0) - beyond).floor().int().clamp_min(0).tolist()
    right, bottom = (places.amax(dim=0) + beyond).ceil().int().add(1).tolist()
    mask = torch.zeros(size[1], size[0])
    mask[top:bottom, left:right] = 1
    return mask


def checked_points(points: Points, size: tuple[int, int]) -> Tensor:
    """Make points (N, 2) a tensor, float32.

    Args:
        points: Numbers, in pixels.
        size: Width and height of the picture that they are to be in.

    Raises:
        ValueError: No points, too many, another shape, or one that is not in the picture.
    """
    try:
        found = torch.as_tensor(points, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"expected points (x, y) of numbers, got {points!r}") from error
    if found.ndim != 2 or found.shape[1] != 2 or not 1 <= len(found) <= MOST_POINTS:
        raise ValueError(
            f"expected 1 to {MOST_POINTS} points (x, y), got an array of {tuple(found.shape)}"
        )
    for x, y in found.tolist():
        if not (-0.5 <= x <= size[0] - 0.5 and -0.5 <= y <= size[1] - 0.5):
            raise ValueError(
                f"expected points in the picture of {size[0]} x {size[1]} pixels, got {x:g},{y:g}"
            )
    return found
