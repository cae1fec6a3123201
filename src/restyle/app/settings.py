"""The options of `restyle app`, free of torch and Gradio, that the command line derives from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from restyle.runtime.options import Device, Dtype

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Page:
    """Open a web page that inverts, edits and drags pictures.

    Pictures stay on this machine: the page loads nothing from other hosts, keeps what visitors
    upload apart from one another, and forgets it after an hour. Needs the extra `restyle[app]`.

    Attributes:
        model: A bundled model's name, a checkpoint folder, or another project's checkpoint file.
        toon: The model that toons are made with, which has the same codes. [default: portraits-toon
            for portraits, else none]
        directions: A folder of directions' files, which have sliders beside those of the model.
        host: The address that it listens on; the default is reached from this machine alone.
        port: The port that it listens on.
        max_clients: Requests that wait at once; further ones are told that the page is busy.
        share: Let Gradio make a public address, through a server of its makers.
        device: Where to compute; auto is a GPU where there is one.
        dtype: Precision; below float32 by automatic mixed precision.
    """

    model: str = "portraits"
    toon: str | None = None
    directions: Path | None = None
    host: str = LOOPBACK
    port: int = 7860
    max_clients: int = 32
    share: bool = False
    device: Device = "auto"
    dtype: Dtype = "float32"

    def __post_init__(self) -> None:
        """Check the numbers, and find the model's toons."""
        if self.toon is None and self.model == "portraits":
            object.__setattr__(self, "toon", "portraits-toon")
        if not 1 <= self.port <= 65535:
            raise ValueError(f"port: expected a number from 1 to 65535, got {self.port}")
        if self.max_clients < 1:
            raise ValueError(f"max_clients: expected 1 or more, got {self.max_clients}")
