"""The check that a picture is what a model knows, by its error beside those of known pictures."""

from __future__ import annotations

import json
import math
import sys
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from restyle.io.files import cache_folder, write_json
from restyle.losses.pixels import l2
from restyle.refine import pool_to

if TYPE_CHECKING:
    from restyle.model import ReStyle

LARGEST = "val_mse_max"
"""The largest error of a validation image after the last step, in the validation of a card."""

MARGIN, SAMPLE_MARGIN = 2.0, 4.0
"""Multiples of the largest error of validation images, or of samples, that a picture may have."""

SAMPLES = 16


class DomainCheck:
    """Tells pictures that a model was not made for by their squared error after its last step.

    A picture is unlike the model's domain if the error is more than twice the largest one of the
    validation images, which training keeps in the card; without it, four times the largest of 16 of
    the model's own samples, which are inverted more easily than pictures. That is measured when
    first needed, and kept in the cache folder. It finds what the model cannot draw, not what it can
    draw by chance, such as an even grey; models that translate, whose card says so, are not asked.

    Attributes:
        model: Has an encoder.
    """

    def __init__(self, model: ReStyle) -> None:
        """Take a model; nothing is measured yet."""
        self.model = model

    def is_unlike(self, error: float) -> bool:
        """Tell whether a picture with this mean squared error is unlike the domain."""
        return not error <= self.limit  # nor is one whose error is no number

    @cached_property
    def limit(self) -> float:
        """The largest mean squared error of a picture of the domain, values in [-1, 1]."""
        return SAMPLE_MARGIN * self._of_samples() if self.known is None else self.known

    @cached_property
    def known(self) -> float | None:
        """The limit, if it is known without a measurement, which takes long with a large model."""
        if self.model.card.get("translates"):  # its reconstructions are meant to differ
            return math.inf
        validation = self.model.card.get("validation")
        known = validation.get(LARGEST) if isinstance(validation, dict) else None
        if isinstance(known, int | float) and 0 < known < math.inf:
            return MARGIN * known
        with suppress(OSError, ValueError, TypeError, KeyError):
            found = float(json.loads(self._file.read_text(encoding="utf-8"))["largest"])
            if 0 < found < math.inf:
                return SAMPLE_MARGIN * found
        return None

    @cached_property
    def _file(self) -> Path:
        return cache_folder() / "errors" / f"{self.model.weights_hash()[:16]}.json"

    def _of_samples(self) -> float:
        name = self.model.name
        print(f"{name}: measuring the errors of {SAMPLES} samples, once", file=sys.stderr)
        target = self.model.sample(SAMPLES).image.clamp(-1, 1)
        result = self.model.invert(target)
        largest = max(errors(result.target, result.image))
        with suppress(OSError, ValueError):  # without a cache it is measured again
            write_json(self._file, {"largest": largest, "samples": SAMPLES})
        return largest


@torch.no_grad()
def errors(target: Tensor, image: Tensor) -> list[float]:
    """Return the mean squared error of each reconstruction (B, 3, H, W) at its target's size.

    Targets are (B, 3, h, w); values are RGB in [-1, 1].
    """
    target = target.to(image.device)
    return l2(pool_to(image, target), target).tolist()
