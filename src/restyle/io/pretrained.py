"""One way to keep a network as a native checkpoint, and to have it back."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from restyle.io.bundled import bundled_or_path
from restyle.io.checkpoints import (
    CheckpointError,
    build_strict,
    load_folder,
    save_folder,
    with_prefix,
    without_prefix,
)


class Pretrained:
    """A network, or a model, that has `save_pretrained` and `from_pretrained`.

    Attributes:
        kind: What a checkpoint's `kind` says.
        folder: Of the checkpoint that it was read from; None if there is none.
    """

    kind: ClassVar[str]
    folder: Path | None = None

    def checkpoint_config(self) -> dict[str, Any]:
        """Return what `from_checkpoint` needs beside the weights; JSON-able."""
        raise NotImplementedError

    def checkpoint_tensors(self) -> dict[str, Tensor]:
        """Return the weights, by the names that they have in a checkpoint."""
        assert isinstance(self, nn.Module)
        return self.state_dict()

    @classmethod
    def from_checkpoint(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], source: object
    ) -> Self:
        """Build from a checkpoint's content; `source` names it in errors."""
        raise NotImplementedError

    def save_pretrained(
        self,
        folder: str | os.PathLike[str],
        half: bool = False,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Write a native checkpoint.

        Args:
            folder: Made where missing.
            half: Store most weights as float16, which halves the size.
            facts: Further entries of its configuration, JSON-able.

        Raises:
            CheckpointError: A weight is not finite, or does not fit half precision.
        """
        config = {"kind": self.kind, **self.checkpoint_config(), **(facts or {})}
        save_folder(folder, config, self.checkpoint_tensors(), half)

    @classmethod
    def from_pretrained(cls, name: str | os.PathLike[str]) -> Self:
        """Read a native checkpoint: frozen, in evaluation mode, on the CPU.

        Args:
            name: A folder, or the name of a bundled checkpoint. One of a whole model serves for its
                generator and its encoder, too.

        Raises:
            CheckpointError: There is no such checkpoint, or it is damaged.
        """
        folder = bundled_or_path(name)
        config, tensors = load_folder(folder)
        try:
            made = cls.from_checkpoint(config, tensors, folder)
        except CheckpointError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            found = f"no {error}" if isinstance(error, KeyError) else error
            raise CheckpointError(
                f"{folder}: expected a checkpoint of kind '{cls.kind}', "
                f"got one of '{config['kind']}': {found}"
            ) from error
        made.folder = folder
        return made


class PretrainedPart(Pretrained):
    """A network whose weights and shape lie under its `kind`, alone or in a model's checkpoint.

    Attributes:
        config: Its shape, an instance of `config_class`.
    """

    config_class: ClassVar[type]
    config: Any

    def checkpoint_config(self) -> dict[str, Any]:
        """Return the network's shape."""
        return {self.kind: asdict(self.config)}

    def checkpoint_tensors(self) -> dict[str, Tensor]:
        """Return the weights, under the network's prefix."""
        return with_prefix(super().checkpoint_tensors(), self.kind)

    @classmethod
    def from_checkpoint(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], source: object
    ) -> Self:
        """Build the network of a checkpoint of its own, or of a whole model."""
        if not isinstance(config.get(cls.kind), Mapping):
            raise CheckpointError(
                f"{source}: expected the {cls.kind} of a checkpoint, got a '{config.get('kind')}'"
            )
        shape = cls.config_class(**config[cls.kind])
        weights = without_prefix(tensors, cls.kind)
        network = build_strict(lambda: cls(shape), weights, f"{source} ({cls.kind})")  # type: ignore
        return network.eval().requires_grad_(False)  # type: ignore


class PretrainedNetwork(Pretrained):
    """A network with a checkpoint of its own, whose shape lies under `network`.

    Attributes:
        about: What it is, for messages.
        config: Its shape, an instance of `config_class`.
    """

    about: ClassVar[str]
    config_class: ClassVar[type]
    config: Any

    def checkpoint_config(self) -> dict[str, Any]:
        """Return the network's shape, and what it was trained for."""
        return {"network": asdict(self.config)}

    @classmethod
    def from_checkpoint(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], source: object
    ) -> Self:
        """Build the network, frozen and in evaluation mode.

        Raises:
            CheckpointError: It is another network, or the weights do not fit.
        """
        if config["kind"] != cls.kind:
            raise CheckpointError(f"{source}: expected {cls.about}, got a '{config['kind']}'")
        shape = cls.config_class(**config["network"])
        network = build_strict(lambda: cls(shape), tensors, str(source))  # type: ignore
        return network.eval().requires_grad_(False)  # type: ignore
