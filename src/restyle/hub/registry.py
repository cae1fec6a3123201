"""Models by name: what is bundled, and how any model is loaded."""

import os
from pathlib import Path
from typing import Any

import torch

from restyle.editing.text import TextImage
from restyle.generators.stylegan2 import StyleGAN2
from restyle.hub import huggingface
from restyle.hub.catalogue import PUBLIC
from restyle.hub.downloads import pulled
from restyle.io.bundled import bundled_names, bundled_or_path
from restyle.io.checkpoints import CONFIG, CheckpointError
from restyle.losses.identity import AlignedFaces, Embedding
from restyle.losses.perceptual import FeatureMaps
from restyle.model import ReStyle
from restyle.nn.backbones import ArcFace
from restyle.portraits.features import FeatureNetwork
from restyle.runtime.devices import resolve_device, resolve_dtype

EXPORT = "model.json"
"""The file that the folder of an export has, and no checkpoint."""

LPIPS = {"lpips-alex": ("alexnet", "lpips-alex"), "lpips-vgg": ("vgg16", "lpips-vgg")}
"""The two pulled files of each LPIPS network: the convolutions, and the channels' weights."""

CLIP = {"clip-vit-b-32": ("clip-vit-b-32", "clip-tokenizer")}
"""The two pulled files of each CLIP: the weights, and what splits texts into tokens."""


def bundled() -> list[str]:
    """Return the names of the models that come with the package."""
    return bundled_names(ReStyle.kind)


def given_folder(model: ReStyle, name: str | os.PathLike[str]) -> Path | None:
    """Return where to keep what belongs to a model: its folder, if it was given by a folder.

    Args:
        model: What `load` has made of the name.
        name: As it was given. None is returned for a bundled or a pulled model.
    """
    return model.folder if Path(name).is_dir() else None


def folder_of(name: str | os.PathLike[str]) -> Path:
    """Find the native checkpoint of a bundled name, of a pulled public model, or of a folder.

    The folder of a training holds one: its generator, or the encoder that was validated best.

    Raises:
        ValueError: There is no such model.
    """
    path = bundled_or_path(name)
    path = path if path.is_dir() else pulled(str(name)) or path
    if not path.is_dir() and (repository := huggingface.repository_of(name)):
        return huggingface.fetch(repository)
    if (path / "checkpoint.pt").exists():
        made = [path / part for part in ("generator", "best", "model")]
        path = next((folder for folder in made if (folder / CONFIG).exists()), path)
    if not path.is_dir() and str(name) in [model.name for model in PUBLIC]:
        raise ValueError(f"model '{name}' is not here yet: fetch it by restyle models pull {name}")
    if not path.is_dir():
        known = ", ".join(bundled()) or "none"
        raise ValueError(
            f"unknown model '{name}': expected a bundled one ({known}), a checkpoint folder or "
            "file, or a public model that was pulled (restyle models pull)"
        )
    return path


def load(
    name: str | os.PathLike[str],
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "float32",
) -> ReStyle:
    """Load a model; a generator alone gives one that renders, samples and edits.

    Args:
        name: The name of a bundled or pulled model, a folder that `save_pretrained` or `restyle
            export` wrote (the latter is run by onnxruntime, in the precision of its graphs),
            a checkpoint file of another project (`restyle.importers` knows which), or a repository
            of the Hugging Face Hub (`user/model`, or `hf://user/model`). No code in it is run.
        device: `"auto"`, `"cpu"`, `"cuda"`, `"mps"` or a torch device.
        dtype: float32, bfloat16 or float16 (mixed precision); `"auto"` is bfloat16 where the device
            computes it, else float32.

    Raises:
        ValueError: There is no such model, device or dtype.
        CheckpointError: The weights cannot be used.
    """
    if not str(name):
        raise ValueError("expected a model's name, got an empty one")
    asked, device = device, resolve_device(device)
    dtype = resolve_dtype(dtype, device)
    if str(name) not in bundled() and Path(name).is_file():
        model = _foreign(Path(name))
    elif (folder := folder_of(name)) and (folder / EXPORT).is_file():
        from restyle.exporting import exported  # its libraries are needed for nothing else

        model = exported.read_export(folder, exported.providers_of(asked))
    else:
        model = ReStyle.from_pretrained(folder)
    return model.to(device, dtype)


def _foreign(path: Path) -> ReStyle:
    from restyle import importers  # its readers are needed for nothing else

    found = importers.read(path)
    if isinstance(found, StyleGAN2):
        return ReStyle.of_generator(found, path.stem)
    if not isinstance(found, ReStyle):
        what = importers.describe(found)
        raise CheckpointError(f"{path}: expected a model or a generator, got {what}")
    return found


def load_generator(name: str | os.PathLike[str]) -> StyleGAN2:
    """Load a generator alone, frozen, on the CPU; `name` is what `load` takes.

    Raises:
        ValueError: There is no such model.
        CheckpointError: The weights cannot be used.
    """
    if str(name) not in bundled() and Path(name).is_file():
        return _foreign(Path(name)).generator
    return StyleGAN2.from_pretrained(folder_of(name))


def load_features(name: str | os.PathLike[str]) -> FeatureNetwork:
    """Load a feature network, frozen, on the CPU: a bundled one by its name, or a folder's.

    Raises:
        CheckpointError: It is not there, or cannot be used.
    """
    if Path(name).is_file():
        from restyle import importers

        found = importers.describe(importers.read(Path(name)))
        raise CheckpointError(f"{name}: expected a feature network's folder, got {found}")
    return FeatureNetwork.from_pretrained(name)


def load_maps(name: str) -> FeatureMaps:
    """Load a network for the perceptual distance: LPIPS, or one for portraits.

    The name is "lpips-alex" or "lpips-vgg", which must be pulled, or what `load_features` takes.

    Raises:
        ValueError: A file is not there.
        CheckpointError: A network cannot be used.
    """
    if name in LPIPS:
        from restyle.importers.perceptual import read_lpips

        return read_lpips(*map(network_file, LPIPS[name]))
    return load_features(name)


def load_faces(name: str) -> Embedding:
    """Load a network for the identity distance: ArcFace's file, or one for portraits.

    Raises:
        CheckpointError: The file holds another network.
    """
    if (path := find_file(name)) is None:
        return load_features(name)
    from restyle import importers

    found = importers.read(path)
    if not isinstance(found, ArcFace):
        raise CheckpointError(f"{path}: expected an ArcFace network, got {type(found).__name__}")
    return AlignedFaces(found)


def load_text(name: str) -> TextImage:
    """Load a text-image network, frozen, on the CPU.

    Args:
        name: portraits-text, a folder with such a network, or clip-vit-b-32, which must be pulled
            with its tokenizer.

    Raises:
        ValueError: A file is not there.
        CheckpointError: A network cannot be used.
        ImportError: CLIP's library is missing.
    """
    if name in CLIP:
        from restyle.importers.clip import read_clip

        return read_clip(*map(network_file, CLIP[name]))
    from restyle.portraits.text import TextNetwork

    return TextNetwork.from_pretrained(name)


def loss_networks(name: str) -> str | tuple[Any, Any]:
    """Load the networks that an inversion's objective looks through, those for photographs.

    Args:
        name: One of LPIPS's (lpips-alex, lpips-vgg), which has to be pulled, with or without a face
            recognition network's file or pulled name (ir-se50) after a +; any other name is
            returned as it is.

    Raises:
        ValueError: A file is not there.
        CheckpointError: A network cannot be used.
    """
    maps, _, faces = name.partition("+")
    if maps not in LPIPS:
        return name
    return load_maps(maps), load_faces(faces) if faces else None


def find_file(name: str) -> Path | None:
    """Return the file of a path or of a pulled network's name; None if it is no file."""
    path = Path(name) if Path(name).is_file() else pulled(name)
    return path if path is not None and path.is_file() else None


def network_file(name: str) -> Path:
    """Return what `find_file` does, where there must be one.

    Raises:
        ValueError: There is none.
    """
    if (path := find_file(name)) is None:
        raise ValueError(
            f"expected a network's file, got nothing at '{name}' "
            f"(public ones are fetched by restyle models pull {name})"
        )
    return path
