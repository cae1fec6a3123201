"""The options of `restyle drag`, free of torch, that the command line derives from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from restyle.jobs.checks import check_least, check_paste
from restyle.jobs.settings import _People


@dataclass(frozen=True, kw_only=True)
class Drag(_People):
    """Pull points of a picture to where they shall be; what they belong to follows.

    Photographs are inverted first; latents files of `restyle invert`, and samples, are dragged as
    they are. Writes for each input the picture (OUT/images), a strip of the way with its points
    (OUT/strips), the codes before and after (OUT/latents), a film if asked for (OUT/videos), and a
    line of OUT/manifest.jsonl. A file that cannot be used costs only itself, and repeating the
    command goes on where it was interrupted.

    Attributes:
        from_: The points that are dragged, each as x,y in pixels of the picture that is given (of
            the render, for latents and samples), from its upper left corner.
        to: Where each of them shall be, in the same order.
        mask: A picture of the same size, white where something may change, black where all shall
            stay. [default: all may change]
        steps: Steps of dragging, at most; it ends when all points have arrived.
        inversion_steps: How often the inversion of a photograph is refined; auto as long as it
            helps it. [default: 5, or 1 for a single-shot encoder]
        layers: The layers that change: coarse, middle, fine, or numbers such as 0-5, which decide
            about shape.
        video: Film the way; mp4 needs the extra `restyle[video]`.
        out: The folder of the results.
        paste_back: Put the dragged face back into the photograph, with a soft border (OUT/pasted);
            needs --align.
    """

    from_: tuple[str, ...]
    to: tuple[str, ...]
    mask: Path | None = None
    steps: int = 60
    inversion_steps: int | Literal["auto"] | None = None
    layers: str = "0-5"
    video: Literal["mp4", "gif"] | None = None
    out: Path = Path("results/drags")
    paste_back: bool = False

    def __post_init__(self) -> None:
        """Check the points and numbers, and that somebody is there."""
        super().__post_init__()
        check_least(self, 1, "inversion_steps")
        check_paste(self)
        if len(self.from_) != len(self.to):
            raise ValueError(
                f"to: expected {len(self.from_)} points, one for each --from, got {len(self.to)}"
            )
        self.points()

    def points(self) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        """Return the points that are dragged, and their targets, in pixels.

        Raises:
            ValueError: One is not two numbers, or there are none.
        """
        return _points("from_", self.from_), _points("to", self.to)


def _points(name: str, texts: tuple[str, ...]) -> list[tuple[float, float]]:
    number = r"\s*(-?\d+(?:\.\d*)?)\s*"
    found = []
    for text in texts:
        if not (match := re.fullmatch(f"{number},{number}", text)):
            raise ValueError(f"{name}: expected x,y in pixels such as 120,80, got '{text[:60]}'")
        found.append((float(match[1]), float(match[2])))
    if not found:
        raise ValueError(f"{name}: expected at least one point x,y in pixels, got none")
    return found
