"""A teacher's codes: those of the best inversion there is, found once, for a student to learn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor
from tqdm import tqdm

from restyle.hub.registry import load, loss_networks
from restyle.inversion.methods import invert_by_method
from restyle.io.checkpoints import CheckpointError, weights_hash
from restyle.io.files import atomic_write
from restyle.io.images import from_uint8
from restyle.io.tensors import read_tensor
from restyle.training.data import Source
from restyle.training.encoder_trainer import EncoderTrainer
from restyle.training.options import as_record
from restyle.training.parallel import wait
from restyle.training.run import Run

FOLDER = "teacher"
"""Of the codes, in a run folder."""
PART = 256
"""Images of which the codes lie in a file."""
BATCH = 32


class ImagesFrom:
    """Some images of a source, from one of them on."""

    def __init__(self, source: Source, first: int, count: int):
        """Take no more of a source than there are.

        Raises:
            ValueError: There are none from the first one on.
        """
        self.source, self.first = source, first
        self.count = min(count, len(source) - first)
        if self.count < 1:
            raise ValueError(f"skip: expected less than {len(source):,}, all images, got {first:,}")

    def __len__(self) -> int:
        """The number of images."""
        return self.count

    def images(self, indices: Sequence[int]) -> np.ndarray:
        """Return images as the source does."""
        return self.source.images([self.first + index for index in indices])


def be_taught(trainer: EncoderTrainer, run: Run, source: Source) -> tuple[Source, Tensor]:
    """Find the teacher's codes, or read those that a run has found before; all processes.

    Each process inverts parts of the images, and writes each part at once, so that a run that was
    stopped goes on.

    Returns:
        The images, first those that have codes, and these, (N, num_ws, w_dim) float16 on the CPU.

    Raises:
        ValueError: The teacher has another generator, or there is no such method.
        CheckpointError: A file of codes is damaged, or of another teacher or other images.
    """
    config, teaching = trainer.config, trainer.config.teaching
    model = load(teaching.teacher_model, device=str(run.device))
    if weights_hash(model.generator.state_dict()) != weights_hash(trainer.generator.state_dict()):
        raise ValueError(
            f"teacher_model: expected one of the generator '{config.generator}', "
            f"got '{teaching.teacher_model}' of another"
        )
    features = loss_networks(config.losses.perceptual_network)
    source = ImagesFrom(source, config.data.skip, teaching.taught_images + teaching.untaught_images)
    count = min(teaching.taught_images, len(source))
    facts = {
        "teacher": teaching.teacher,
        "model_sha256": model.weights_hash(),
        "features": config.losses.perceptual_network,
        "data": as_record(config.data)["data"],
        "skip": config.data.skip,
        "style": config.data.style,
        "size": list(model.domain.input_size),
    }
    starts = range(0, count, PART)
    mine = [first for first in starts[run.rank :: run.processes] if not _path(run, first).exists()]
    with tqdm(total=len(mine) * PART, unit="img", desc=teaching.teacher, disable=None) as bar:
        for first in mine:
            part = range(first, min(first + PART, count))
            pixels = from_uint8(torch.from_numpy(source.images(part))).to(run.device)
            found = invert_by_method(model, teaching.teacher, pixels, BATCH, features)
            ws = torch.cat([result.ws for result in found])
            _write(_path(run, first), ws, facts)
            bar.update(len(part))
    wait()
    return source, torch.cat([_read(_path(run, first), facts) for first in starts])


def codes_of(taught: Tensor, images: Sequence[int]) -> Tensor:
    """Return the codes (B, num_ws, w_dim) of images by number, float32; NaN where there are none.

    Args:
        taught: (N, num_ws, w_dim), of the first N images.
        images: Their numbers.
    """
    numbers = torch.tensor(images)
    known = numbers < len(taught)
    found = torch.full((len(images), *taught.shape[1:]), torch.nan)
    found[known] = taught[numbers[known]].float()
    return found


def _path(run: Run, first: int) -> Path:
    return run.folder / FOLDER / f"{first:08d}.safetensors"


def _write(path: Path, ws: Tensor, facts: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    with atomic_write(path) as temporary:
        temporary.write_bytes(save({"ws": ws.half().cpu()}, {"facts": json.dumps(facts)}))


def _read(path: Path, facts: dict[str, Any]) -> Tensor:
    ws, texts = read_tensor(path, "ws", "a teacher's codes", CheckpointError)
    if (found := texts.get("facts")) != json.dumps(facts):
        raise CheckpointError(f"{path}: expected codes of {facts}, got those of {found}")
    if not bool(ws.isfinite().all()):  # NaN means that an image has none
        raise CheckpointError(f"{path}: expected finite codes, got NaN or infinity")
    return ws
