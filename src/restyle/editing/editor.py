"""Edits of one generator's codes: directions by name, checked against it and measured with it."""

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from restyle.editing.directions import (
    BUNDLED,
    Direction,
    DirectionError,
    directions_in,
    find_direction,
)
from restyle.editing.edits import Layers, shift
from restyle.editing.styles import Styled, calibrated, check_direction, shift_styles
from restyle.generators.stylegan2 import StyleGAN2
from restyle.generators.styles import StyleLayer, style_layers
from restyle.refine import Estimate

SAMPLES = 10_000
"""Codes that a direction's scale is measured over."""

Which = str | os.PathLike[str] | Direction
"""A direction: its name, its file, or itself."""

Edits = Which | Mapping[Any, float | Tensor]
"""One direction, or a table of directions and their strengths."""


class Edited(NamedTuple):
    """Codes or styles after an edit.

    Attributes:
        ws: (B, num_ws, D), moved by the edits in W and W+.
        styles: (B, S), those of the codes, moved by the edits in S; None where there are none.
    """

    ws: Tensor
    styles: Tensor | None = None

    @property
    def moved(self) -> Tensor:
        """What is rendered: the styles where there are some, else the codes."""
        return self.ws if self.styles is None else self.styles

    def rendered(self, generate: Callable[..., Tensor]) -> Estimate:
        """Return the codes and their pictures; a `Styled` where styles are rendered."""
        if self.styles is None:
            return Estimate(self.ws, generate(self.ws))
        return Styled(self.ws, generate(styles=self.styles), styles=self.styles)


class Editor:
    """Moves the codes of one generator along directions.

    Attributes:
        generator: Whose codes they are.
        generator_sha256: Hash of its weights.
    """

    def __init__(self, generator: StyleGAN2, generator_sha256: str):
        self.generator = generator
        self.generator_sha256 = generator_sha256
        self._ready: dict[str | Direction, Direction] = {}

    @cached_property
    def known(self) -> list[Direction]:
        """The bundled directions, of all generators."""
        return directions_in(BUNDLED)

    @property
    def names(self) -> list[str]:
        """Names of the known directions that were found with this generator."""
        return sorted({d.name for d in self.known if d.generator_sha256 == self.generator_sha256})

    def add(self, folder: str | os.PathLike[str]) -> None:
        """Know the directions of a folder too; those that name no generator are taken for this one.

        Raises:
            DirectionError: A file is damaged, a direction has other codes, or none is this
                generator's.
        """
        found = directions_in(folder)
        mine = [d for d in found if d.generator_sha256 in (None, self.generator_sha256)]
        if not mine:
            raise DirectionError(
                f"{folder}: expected directions of this generator, got {len(found)} of others"
            )
        for direction in mine:
            direction.check_codes(self.generator.num_ws, self.generator.config.w_dim)
        ours = [replace(d, generator_sha256=self.generator_sha256) for d in mine]
        self.known = [*self.known, *ours]

    def direction(self, which: Which) -> Direction:
        """Make a direction ready for this generator.

        Args:
            which: A bundled direction's name, a direction's file, or a direction. One that has no
                scale is measured over 10,000 of the generator's codes; one that was found with
                another generator is used with a warning.

        Raises:
            DirectionError: Unknown, damaged, or of other codes than the generator's.
        """
        key = which if isinstance(which, Direction) else os.fspath(which)
        if key not in self._ready:
            given = isinstance(which, Direction)
            found = which if given else find_direction(which, self.generator_sha256, self.known)
            ready = self._checked(found)
            self._ready |= {key: ready, ready: ready}
        return self._ready[key]

    def edit(
        self,
        ws: Tensor,
        directions: Edits,
        strength: float | Tensor = 1.0,
        layers: Layers = None,
    ) -> Edited:
        """Move codes along one direction, or along several at once.

        Args:
            ws: (B, num_ws, D).
            directions: One direction, or a table of directions and their strengths.
            strength: Of a single direction, in standard deviations of the generator's codes along
                it; a number, or (B,).
            layers: The layers (rows of W+) that are moved: a group (coarse, middle, fine), numbers,
                or those of each direction if None.

        Returns:
            The new codes, and the new styles where a direction moves those.

        Raises:
            ValueError: An unknown or unfitting direction, a strength that is no finite number, or
                layers that there are not.
        """
        if not isinstance(directions, Mapping):
            directions = {directions: strength}
        found = [(self.direction(which), amount) for which, amount in directions.items()]
        for direction, amount in found:
            if direction.space != "S":
                ws = shift(ws, direction, amount, layers)
        in_styles = [(direction, amount) for direction, amount in found if direction.space == "S"]
        if not in_styles:
            return Edited(ws)
        styles = torch.cat(self.generator.synthesis.styles(ws), dim=1)
        for direction, amount in in_styles:
            styles = shift_styles(styles, direction, amount, self.style_layers, layers)
        return Edited(ws, styles)

    @cached_property
    def style_layers(self) -> tuple[StyleLayer, ...]:
        """Where the styles of each layer lie in a vector (S,)."""
        return style_layers(self.generator.synthesis)

    def _checked(self, direction: Direction) -> Direction:
        if direction.space == "S":
            check_direction(direction, self.style_layers)
        else:
            direction.check_codes(self.generator.num_ws, self.generator.config.w_dim)
        if direction.generator_sha256 not in (None, self.generator_sha256):
            warnings.warn(
                f"direction '{direction.name}' was found with another generator: "
                "what it changes, and how much, may differ",
                stacklevel=4,
            )
        if direction.scale:
            return direction
        w = self.generator.sample_w(SAMPLES)
        if direction.space == "S":
            return calibrated(direction, self.generator, w)
        return direction.calibrated(w)
