"""The options of `restyle export`, free of torch, that the command line derives from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from restyle.jobs.checks import normalise


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a model as graphs that run wherever ONNX does.

    Writes OUT/encoder.onnx (target and current image in, residual out), OUT/generator.onnx (codes
    in, image out, and the image as the encoder sees it), OUT/mapping.onnx, and OUT/model.json: the
    domain, the average code, directions, hashes and the licence. Each graph takes any number of
    images at once. Before the folder is there, a step of the graphs is compared with PyTorch's.
    Every command that takes a model and needs no gradients takes the folder. Needs the extra
    `restyle[onnx]`.

    Attributes:
        model: A bundled model's name, a checkpoint folder, or another project's checkpoint file; a
            generator alone gives no encoder.onnx.
        out: The folder, which must be empty or not there.
        dtype: Precision of weights and maps; float16 is half as large.
        format: pt2 writes programs of torch.export instead, which PyTorch loads.
    """

    model: str
    out: Path
    dtype: Literal["float32", "float16"] = "float32"
    format: Literal["onnx", "pt2"] = "onnx"

    def __post_init__(self) -> None:
        """Refuse empty names."""
        normalise(self)
