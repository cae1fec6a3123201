"""Changing latent codes: along directions, by mixing layers, and on the way between two people."""

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from restyle.editing.directions import Direction

GROUPS = {"coarse": (0, 4), "middle": (4, 8), "fine": (8, None)}
"""Groups of layers, their rows in W+: 4 to 8 pixels (pose, shape), 16 to 32 (features), the rest
(colours, texture). Source: Karras et al. 2019, "A Style-Based Generator Architecture for Generative
Adversarial Networks", section 3.1."""

LARGEST = 1e4
"""Largest number in codes: those of generators stay below about 100."""

LARGEST_STRENGTH = 1000.0
MOST_STRENGTHS = 1000

Layers = str | Sequence[int] | None
"""Layers (rows of W+): a group's name, numbers, or None for all of them."""


def check_codes(ws: Tensor, num_ws: int | None = None, w_dim: int | None = None) -> None:
    """Refuse what are no codes.

    Args:
        ws: (B, num_ws, D), float, each number at most 10,000 either way.
        num_ws: Rows of the generator's codes; any number if None.
        w_dim: Their width; any if None.

    Raises:
        ValueError: Another shape, no codes, another type, NaN, or numbers that no code has.
    """
    wanted = f"expected codes (B, {num_ws or 'num_ws'}, {w_dim or 'D'})"
    if not isinstance(ws, Tensor) or not ws.is_floating_point():
        raise ValueError(f"{wanted} of floats, got {getattr(ws, 'dtype', type(ws).__name__)}")
    if (
        ws.ndim != 3
        or not ws.numel()
        or ws.shape[1:] != (num_ws or ws.shape[1], w_dim or ws.shape[2])
    ):
        raise ValueError(f"{wanted}, got {tuple(ws.shape)}")
    if type(ws) is not Tensor:  # traced or fake: there are no values to look at
        return
    largest = ws.detach().abs().amax()
    if not bool(largest <= LARGEST):  # NaN is not, either
        raise ValueError(f"{wanted} of at most {LARGEST:,.0f} either way, got {float(largest):g}")


def layer_numbers(layers: Layers, num_ws: int) -> list[int]:
    """Return the rows of W+, of `num_ws`, that a group, numbers or text such as `0-3,7` mean.

    Raises:
        ValueError: No such group or layer, or none at all.
    """
    if layers is None:
        return list(range(num_ws))
    if isinstance(layers, str):
        layers = _parsed(layers, num_ws)
    if not layers or not all(isinstance(row, int) and 0 <= row < num_ws for row in layers):
        raise ValueError(f"expected layers from 0 to {num_ws - 1}, got {list(layers)}")
    return sorted(set(layers))


def shift(
    ws: Tensor, direction: Direction, strength: float | Tensor = 1.0, layers: Layers = None
) -> Tensor:
    """Move codes along a direction.

    Args:
        ws: (B, num_ws, D).
        direction: Where to; its scale must be known.
        strength: How far, in standard deviations of the generator's codes along the direction; one
            number, or (B,), one for each code.
        layers: The layers that are moved; those of the direction if None.

    Returns:
        New codes (B, num_ws, D).

    Raises:
        ValueError: The direction does not fit the codes or has no scale, a strength is not a finite
            number, or there are no such layers.
    """
    check_codes(ws)
    num_ws, w_dim = ws.shape[1:]
    direction.check_codes(num_ws, w_dim)
    if direction.scale is None:
        raise ValueError(f"direction '{direction.name}': expected a scale, got none")
    amount = checked_strength(strength, ws)
    rows = layer_numbers(direction.layers if layers is None else layers, num_ws)
    step = torch.zeros_like(ws[0])
    step[rows] = (direction.vector.to(ws) * direction.scale).expand_as(step)[rows]
    return ws + amount.reshape(-1, 1, 1) * step


def checked_strength(strength: float | Tensor, codes: Tensor) -> Tensor:
    """Return a strength as a tensor, () or (B,), for codes or styles (B, ...).

    Raises:
        ValueError: It is no finite number, too large, or there are not as many as codes.
    """
    if isinstance(strength, str) or not isinstance(strength, Tensor | int | float):
        raise ValueError(f"expected a strength that is a number, got {strength!r}")
    amount = torch.as_tensor(strength, dtype=codes.dtype, device=codes.device)
    if amount.ndim > 1 or not bool((amount.abs() <= LARGEST_STRENGTH).all()):
        raise ValueError(
            "expected strengths that are finite numbers, at most "
            f"{LARGEST_STRENGTH:g} either way, got {strength}"
        )
    if amount.ndim and len(amount) not in (1, len(codes)) and len(codes) != 1:
        raise ValueError(f"expected a strength, or {len(codes)}, got {len(amount)}")
    return amount


def mix(ws: Tensor, other: Tensor, layers: Layers) -> Tensor:
    """Give some layers of another person's codes to `ws` (B, num_ws, D): style mixing.

    `other` is (B, num_ws, D) or (1, num_ws, D); the result (B, num_ws, D) is new.

    Raises:
        ValueError: The codes differ in shape, or there are no such layers.
    """
    _check_alike(ws, other)
    mixed = ws.clone()
    rows = layer_numbers(layers, ws.shape[1])
    mixed[:, rows] = other[:, rows].to(ws)
    return mixed


def interpolate(ws: Tensor, other: Tensor, steps: int) -> Tensor:
    """Go from one person to another, (1, num_ws, D) each, in a straight line: (steps, num_ws, D).

    Raises:
        ValueError: The codes differ in shape, or there are fewer than two steps (ends included).
    """
    _check_alike(ws, other)
    if len(ws) != 1 or steps < 2:
        raise ValueError(f"expected one code and at least 2 steps, got {len(ws)} and {steps}")
    share = torch.linspace(0, 1, steps, device=ws.device).reshape(-1, 1, 1)
    return torch.lerp(ws, other.to(ws), share)


def parse_strengths(text: str) -> list[float]:
    """Read strengths: `2`, `-2,0,2`, or `-3:3:7` for seven from -3 to 3.

    Raises:
        ValueError: Not finite numbers, or no whole number of them.
    """
    wanted = f"strengths: expected numbers such as 2, -2,0,2 or -3:3:7, got '{text[:60]}'"
    try:
        if ":" in text:
            first, last, count = text.split(":")
            number = int(count)
            if not 2 <= number <= MOST_STRENGTHS:
                raise ValueError(wanted)
            width = float(last) - float(first)
            values = [float(first) + width * i / (number - 1) for i in range(number)]
        else:
            values = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ValueError(wanted) from error
    if not all(abs(value) <= LARGEST_STRENGTH for value in values):
        raise ValueError(f"{wanted} (at most {LARGEST_STRENGTH:g} either way)")
    return values


def _parsed(text: str, num_ws: int) -> list[int]:
    if text in GROUPS:
        rows = list(range(num_ws))[slice(*GROUPS[text])]
        if not rows:
            raise ValueError(f"expected layers from 0 to {num_ws - 1}: there are no {text} ones")
        return rows
    rows = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not found:
            raise ValueError(
                f"layers: expected {', '.join(GROUPS)} or numbers such as 0-3,7, got '{text}'"
            )
        rows += range(int(found[1]), int(found[2] or found[1]) + 1)
    return rows


def _check_alike(ws: Tensor, other: Tensor) -> None:
    if ws.ndim != 3 or other.shape[1:] != ws.shape[1:] or len(other) not in (1, len(ws)):
        raise ValueError(f"expected codes of shape {tuple(ws.shape)}, got {tuple(other.shape)}")
