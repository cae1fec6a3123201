"""Telling foreign files apart by their content."""

import codecs
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from restyle.faces.networks import CascadeNetwork
from restyle.generators.stylegan2 import StyleGAN2
from restyle.importers.archive import is_archive, read_archive
from restyle.importers.faces import is_array, read_array, read_cascade, read_embedding
from restyle.importers.keys import Weights
from restyle.importers.moco import is_moco, take_moco
from restyle.importers.nvidia import is_pickle, read_pickle
from restyle.importers.perceptual import LPIPSPart, take_calibration, take_stages
from restyle.importers.pixel2style import read_model
from restyle.importers.rosinality import read_generator
from restyle.importers.trunks import read_torchvision
from restyle.io.checkpoints import CONFIG, WEIGHTS, CheckpointError, listed
from restyle.losses.moco import MoCo
from restyle.model import ReStyle
from restyle.nn.backbones import ArcFace, Trunk

GZIP_START = b"\x1f\x8b"
Imported = ReStyle | StyleGAN2 | ArcFace | Trunk | CascadeNetwork | MoCo | LPIPSPart
"""All that a foreign file may hold."""

TABLES: dict[str, Callable[[Weights], Imported]] = {
    "input_layer.0.weight": read_embedding,
    "features.prelu1.weight": read_cascade,
    "layer1.0.conv1.weight": read_torchvision,
    "features.0.weight": take_stages,
    "lin0.model.1.weight": take_calibration,
}
"""Readers of plain tables of weights, by an entry that tells the kind; a new one is a line here."""


def read(path: str | os.PathLike[str]) -> Imported:
    """Read an official checkpoint; its kind is detected from its content.

    Args:
        path: One of
            - a ReStyle, pSp or e4e model (`state_dict`, `latent_avg`, `opts`);
            - a StyleGAN2 generator of rosinality's (`g_ema`), or of NVIDIA's stylegan2-ada-pytorch
              (`.pkl`);
            - a backbone: the ArcFace IR-SE50, or a residual network in torchvision's naming;
            - a face network: CurricularFace's IR-101, or one of the MTCNN detector (`.npy`);
            - a network of the losses: MoCo, version 2, or one of the two files of LPIPS: AlexNet or
              VGG-16 in torchvision's naming, or the linear layers of version 0.1.

    Returns:
        A `ReStyle`, a `StyleGAN2`, an `ArcFace`, a `Trunk`, a `CascadeNetwork` or a `MoCo`, on the
        CPU, in evaluation mode; or an `LPIPSPart`.

    Raises:
        CheckpointError: None of these, damaged, or with missing, unexpected or mis-shaped weights.
            Nothing in the file is ever executed.
    """
    source = os.fspath(path)
    if is_archive(path):
        return _from_archive(read_archive(path), source)
    if is_pickle(path):
        return read_pickle(path)
    if is_array(path):
        return read_cascade(read_array(path))
    raise CheckpointError(
        f"{source}: expected a PyTorch checkpoint or a network pickle, got {_described(path)}"
    )


def _from_archive(content: object, source: str) -> Imported:
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{source}: expected a table, got {type(content).__name__}")
    if "g_ema" in content:
        return read_generator(content, source)
    if is_moco(content):
        return take_moco(content, source)
    if isinstance(content.get("state_dict"), Mapping):
        return read_model(content, source)
    if content and all(isinstance(value, Tensor) for value in content.values()):
        weights = Weights(content, source)
        for entry, take in TABLES.items():
            if entry in weights:
                return take(weights)
    raise CheckpointError(
        f"{source}: expected a ReStyle, pSp or e4e model, a StyleGAN2 generator, a backbone or a "
        f"network of a loss, got a table of {listed(content) or 'nothing'}"
    )


def _described(path: str | os.PathLike[str]) -> str:
    if (Path(path).parent / CONFIG).exists() and Path(path).name in (CONFIG, WEIGHTS):
        return "a part of a native checkpoint, whose folder is its name"
    with open(path, "rb") as file:
        start = file.read(512)
    if not start:
        return "an empty file"
    if start.removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"<":
        return "an HTML page, such as a download site's message"
    if start.startswith(GZIP_START):
        return "a compressed file, which has to be unpacked first"
    return "neither"
