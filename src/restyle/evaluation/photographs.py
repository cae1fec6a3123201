"""The networks that `restyle evaluate` judges photographs by, from their published files."""

from collections.abc import Sequence
from typing import Literal, TypeVar

from restyle import importers
from restyle.evaluation.measures import PhotoNetworks
from restyle.faces.cascade import cascade_of
from restyle.faces.networks import CascadeNetwork
from restyle.faces.recognition import FaceRecognition
from restyle.hub.registry import load_maps, network_file
from restyle.io.checkpoints import CheckpointError
from restyle.nn.backbones import ArcFace

Network = TypeVar("Network")


def photo_networks(
    lpips: Literal["alex", "vgg"] | None, identity_network: str | None, mtcnn: Sequence[str]
) -> PhotoNetworks:
    """Load those that are asked for, on the CPU.

    Args:
        lpips: The network of LPIPS, which must have been pulled.
        identity_network: The file or the pulled name of a face recognition network.
        mtcnn: The three files of the face detector, in any order.

    Raises:
        ValueError: A file is not there, or only one of the last two is given.
        CheckpointError: A file holds something else, or is damaged.
    """
    if bool(identity_network) != bool(mtcnn):
        found = "--identity-network" if identity_network else "--mtcnn"
        raise ValueError(f"expected --identity-network and --mtcnn together, got {found} alone")
    maps = load_maps(f"lpips-{lpips}") if lpips else None
    if identity_network is None:
        return PhotoNetworks(maps)
    detector = cascade_of(_read(file, CascadeNetwork, "a network of MTCNN") for file in mtcnn)
    network = _read(identity_network, ArcFace, "a face recognition network")
    return PhotoNetworks(maps, FaceRecognition(detector, network))


def _read(name: str, kind: type[Network], expected: str) -> Network:
    path = network_file(name)
    found = importers.read(path)
    if not isinstance(found, kind):
        raise CheckpointError(f"{path}: expected {expected}, got {importers.describe(found)}")
    return found
