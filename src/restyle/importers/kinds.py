"""Kinds of foreign files in words for messages: each with what takes it."""

from restyle.faces.networks import CascadeNetwork
from restyle.generators.stylegan2 import StyleGAN2
from restyle.importers.files import Imported
from restyle.importers.perceptual import NAMES, LPIPSPart
from restyle.losses.moco import MoCo
from restyle.model import ReStyle
from restyle.nn.backbones import ArcFace, Trunk

PULLED = {"alex": "alexnet", "vgg": "vgg16"}
TRAINING = "restyle train encoder"
USES: dict[type, str] = {
    ReStyle: "a generator with an encoder",
    StyleGAN2: f"a generator alone, for {TRAINING} --generator",
    ArcFace: f"a face recognition network, for --identity-network and --initial of {TRAINING}",
    Trunk: f"a backbone, for {TRAINING} --initial",
    CascadeNetwork: "a part of the MTCNN face detector, for identity scores",
    MoCo: f"MoCo's network, for {TRAINING} --moco-network",
}


def describe(found: Imported) -> str:
    """Say what `read` has found in a file, and what it is for."""
    if isinstance(found, LPIPSPart):
        name = f"lpips-{found.network}"
        what = "the network" if found.part == "stages" else "the linear layers"
        pulled = PULLED[found.network] if found.part == "stages" else name
        return (
            f"{what} of LPIPS with {NAMES[found.network]}, for {TRAINING} --perceptual-network "
            f"{name} (restyle models pull {pulled})"
        )
    return USES[type(found)]
