"""Edits of one generator's codes by text, by any of the methods."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from restyle.editing.directions import Direction
from restyle.editing.editor import Edited, Editor
from restyle.editing.edits import Layers, checked_strength, layer_numbers
from restyle.editing.mapper import Mapper
from restyle.editing.one_pass import OnePass
from restyle.editing.relevance import network_hash, relevance_of
from restyle.editing.styleclip import covariance_of, gradient_step, optimised_step
from restyle.editing.text import NEUTRAL, TextImage, text_direction
from restyle.io.bundled import WEIGHTS, bundled_names
from restyle.io.checkpoints import CONFIG, load_config
from restyle.losses.identity import Embedding
from restyle.portraits.features import FeatureNetwork
from restyle.portraits.text import TextNetwork
from restyle.runtime.options import TextMethod

PORTRAITS_TEXT = "portraits-text"
"""The text-image network that is used if no other one is given."""

FACES = "portraits-features"
"""The network that knows the persons of portraits."""

ONE_PASS = "one-pass"
"""The folder of a one-pass network in a model's folder."""


@dataclass(frozen=True)
class TextEdit:
    """What shall change, in words.

    Attributes:
        text: What the pictures shall show, such as "a person with glasses".
        neutral: What the text is compared with, such as "a person".
        method: one-pass, a network that was trained on pairs of pictures; global, a direction in
            style space; mapper, a network that was trained for this text; optimiser, a search in
            W+ for the picture that the text fits; direct, a step along the gradient of the
            similarity.
        threshold: Of global: relevance below which channels are left alone; see
            `restyle.editing.relevance.Relevance.direction`.
        mapper: The folder of the mapper.
    """

    text: str
    neutral: str = NEUTRAL
    method: TextMethod = "one-pass"
    threshold: float | None = None
    mapper: str | None = None

    def __post_init__(self):
        """Refuse what says nothing.

        Raises:
            ValueError: An empty text, one that is the neutral one, or what the method does not
                take.
        """
        for name in ("text", "neutral"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name}: expected words, got none")
        if self.text.split() == self.neutral.split():
            raise ValueError(f"text: expected another one than the neutral one, got '{self.text}'")
        if self.threshold is not None and self.method != "global":
            raise ValueError(f"threshold: expected the method global, got {self.method}")
        if (self.mapper is not None) != (self.method == "mapper"):
            found = f"the method {self.method}" if self.mapper else "none"
            raise ValueError(f"mapper: expected a folder with the method mapper, got {found}")

    @property
    def news(self) -> str:
        """What the text says that the neutral one does not begin with, as a caption."""
        words, common = self.text.split(), os.path.commonprefix
        known = len(common([words, self.neutral.split()]))  # pyright: ignore - lists will do
        return " ".join(words[known:] or words)

    @property
    def name(self) -> str:
        """The text as part of a file's name."""
        words = re.sub(r"[^\w]+", "-", self.text.lower()).strip("-")
        return words[:60].rstrip("-") or "text"


class TextEditor:
    """Edits codes of one generator by text.

    Attributes:
        editor: Of the same generator.
        network: Knows which words fit a picture; that of portraits until another one is given.
    """

    def __init__(self, editor: Editor, render: Callable[..., Tensor], folder: Path | None = None):
        """Take what renders codes, and the folder of the model, where what was measured may lie."""
        self.editor, self.render, self.folder = editor, render, folder
        self._network: TextImage | None = None
        self._ready: dict[TextEdit, Direction] = {}

    @property
    def network(self) -> TextImage:
        """The text-image network."""
        if self._network is not None:
            return self._network
        network: Any = TextNetwork.from_pretrained(PORTRAITS_TEXT)
        self._network = network.to(self.editor.generator.w_avg.device)
        return network

    @network.setter
    def network(self, network: TextImage) -> None:
        self._network = network
        self._ready.clear()
        for name in ("ready", "faces", "one_pass"):  # belong to the one before
            self.__dict__.pop(name, None)

    @cached_property
    def ready(self) -> bool:
        """True where any text can be made an edit in one pass."""
        try:
            return self.one_pass is not None
        except ValueError:
            return False

    @cached_property
    def faces(self) -> Embedding | None:
        """Knows persons, whom the optimiser keeps; None where nothing is known of them."""
        if not isinstance(self.network, TextNetwork):
            return None
        return FeatureNetwork.from_pretrained(FACES).to(self.editor.generator.w_avg.device)

    @cached_property
    def covariance(self) -> Tensor:
        """The covariance (D, D) of the generator's codes."""
        return covariance_of(self.editor.generator)

    @cached_property
    def one_pass(self) -> OnePass:
        """The one-pass network of this generator and this text-image network.

        Raises:
            ValueError: There is none.
        """
        hashes = self.editor.generator_sha256, network_hash(self.network)
        folders = [WEIGHTS / name for name in bundled_names(OnePass.kind)]
        if self.folder is not None and (self.folder / ONE_PASS / CONFIG).exists():
            folders.insert(0, self.folder / ONE_PASS)
        for folder in folders:
            shape = load_config(folder)["network"]
            if (shape.get("generator_sha256"), shape.get("text_sha256")) == hashes:
                return OnePass.from_pretrained(folder).to(self.editor.generator.w_avg.device)
        raise ValueError(
            "expected a one-pass network for this generator and text-image network, got none: "
            "train it with restyle train one-pass"
        )

    def edit(
        self, ws: Tensor, edit: TextEdit, strength: float | Tensor = 1.0, layers: Layers = None
    ) -> Edited:
        """Change pictures as a text says.

        Args:
            ws: (B, num_ws, D).
            edit: What shall change, and how.
            strength: How far, a number or (B,). By one-pass and global 1 is what moves embeddings
                towards the text by one deviation of those of the generator's pictures; by the
                others, a step of the codes that is one deviation of the data long.
            layers: The layers (rows of W+) that change; all of them if None.

        Returns:
            The new codes, and the new styles where the method moves those.

        Raises:
            ValueError: A text cannot be used, or the method needs what was not measured or trained.
        """
        if edit.method == "global":
            return self.editor.edit(ws, self._global(edit), strength, layers)
        amount = checked_strength(strength, ws).reshape(-1, 1, 1)
        steps = torch.zeros_like(ws)
        rows = layer_numbers(layers, ws.shape[1])
        steps[:, rows] = self.steps(ws, edit)[:, rows]
        return Edited(ws + amount * steps)

    def prepare(self, edit: TextEdit) -> None:
        """Find out whether an edit can be made, before anything is computed.

        Raises:
            ValueError: As `edit`.
        """
        if edit.method == "global":
            self._global(edit)
        elif edit.method == "mapper":
            self._mapper(edit)
        else:
            self._change(edit)
            if edit.method == "one-pass":
                self.one_pass  # noqa: B018 - is it there?

    def direction(self, ws: Tensor, edit: TextEdit) -> Direction:
        """Return where one picture's codes (1, num_ws, D) or styles go: in W+, or in S.

        Raises:
            ValueError: As `edit`.
        """
        if edit.method == "global":
            return self._global(edit)
        return Direction(edit.name, self.steps(ws, edit)[0], scale=1.0)

    @torch.no_grad()
    def steps(self, ws: Tensor, edit: TextEdit) -> Tensor:
        """Return the steps (B, num_ws, D) of strength 1, by any method but global.

        Raises:
            ValueError: As `edit`.
        """
        if edit.method == "mapper":
            return self._mapper(edit).step(ws)
        network, covariance = self.network, self.covariance
        if edit.method == "optimiser":
            self._change(edit)
            return optimised_step(self.render, network, ws, edit.text, covariance, self.faces)
        change = self._change(edit)
        if edit.method == "direct":
            return gradient_step(self.render, network, ws, change, covariance)
        return self.one_pass.step_for(change, network.embed_image(self.render(ws)))

    def _mapper(self, edit: TextEdit) -> Mapper:
        mapper = Mapper.from_pretrained(str(edit.mapper)).to(self.editor.generator.w_avg.device)
        mapper.check_generator(self.editor.generator_sha256)
        if mapper.config.text != edit.text:
            raise ValueError(
                f"{edit.mapper}: expected a mapper of the text '{edit.text}', got one of "
                f"'{mapper.config.text}'"
            )
        return mapper

    def _change(self, edit: TextEdit) -> Tensor:
        """Return the change (E,) of embeddings that is asked for, of unit length."""
        return text_direction(self.network, edit.text, edit.neutral)

    @torch.no_grad()
    def _global(self, edit: TextEdit) -> Direction:
        if edit not in self._ready:
            relevance = relevance_of(self.editor.generator, self.network, self.folder)
            found = relevance.direction(self._change(edit), edit.name, edit.threshold)
            about = f"global direction of '{edit.text}' from '{edit.neutral}'"
            sha256 = self.editor.generator_sha256
            self._ready[edit] = replace(found, generator_sha256=sha256, about=about)
        return self._ready[edit]
