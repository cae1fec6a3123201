"""Numbers that inversions are asked for, checked before anything is computed."""

from typing import Literal

from restyle.inversion.methods import DEFAULT_STEPS
from restyle.inversion.parsing import MOST_STEPS

Steps = int | Literal["auto"] | None


def checked_steps(steps: Steps, single_shot: bool) -> int | Literal["auto"]:
    """Return the number of steps to take: the given one, or 5, or 1 if single-shot.

    Raises:
        ValueError: Below 1, or more than one step of a single-shot encoder.
    """
    if steps is None or (steps == "auto" and single_shot):
        return 1 if single_shot else DEFAULT_STEPS
    if steps == "auto":
        return "auto"
    if not isinstance(steps, int) or not 1 <= steps <= MOST_STEPS:
        raise ValueError(f"expected steps of at least 1, or 'auto', got {steps}")
    if single_shot and steps > 1:
        raise ValueError(f"expected steps=1 for a single-shot encoder, got {steps}")
    return steps


def check_preview(resolution: int, steps: Steps, smallest: int, size: int) -> None:
    """Refuse a resolution that the steps before the last one cannot be rendered at.

    Raises:
        ValueError: No power of two from `smallest` (the encoder's input) to `size` (the
            generator's), or "auto" steps.
    """
    if not smallest <= resolution <= size or resolution & (resolution - 1):
        raise ValueError(
            f"expected a preview of a power of two from {smallest} to {size}, got {resolution}"
        )
    if steps == "auto":
        raise ValueError("expected a number of steps with a preview, got 'auto'")
