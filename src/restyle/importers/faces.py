"""Face networks in their published files: CurricularFace's IR-101, and the detector's three."""

import _codecs
import io
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from restyle.faces.networks import (
    CascadeNetwork,
    ir_101,
    landmark_network,
    proposal_network,
    refinement_network,
)
from restyle.importers.archive import reason
from restyle.importers.keys import Weights, build
from restyle.importers.pickles import check_pickle
from restyle.importers.trunks import take_trunk
from restyle.io.checkpoints import CheckpointError, listed, with_prefix
from restyle.nn.backbones import ArcFace, Trunk

ARRAY_START = b"\x93NUMPY"
_MAX_ARRAY_FILE = 100_000_000  # the detector's files have 30 kB to 1.6 MB
_array = np.array(0.0).__reduce__()[0]
_ALLOWED = [
    np.ndarray,
    np.dtype,
    type(np.dtype(np.float32)),
    type(np.dtype(object)),
    (_codecs.encode, "_codecs.encode"),
    (_array, "numpy.core.multiarray._reconstruct"),
    (_array, "numpy._core.multiarray._reconstruct"),
]


def _names(convolutions: Sequence[str], last: str, outputs: int) -> dict[str, str]:
    """Return foreign layer names and ours; an activation follows each convolution."""
    table = {}
    for i, ours in enumerate(convolutions, start=1):
        part, _, place = ours.partition(".")
        table |= {f"features.conv{i}": ours, f"features.prelu{i}": f"{part}.{int(place) + 1}"}
    return table | {f"{last}_{k + 1}": f"outputs.{k}" for k in range(outputs)}


_THREE = ("features.0", "features.3", "features.6")
# The last fully connected layer tells the networks apart.
CASCADE: dict[str, tuple[Callable[[], CascadeNetwork], dict[str, str]]] = {
    "conv4_1": (proposal_network, _names(("features.0", "features.3", "features.5"), "conv4", 2)),
    "conv5_1": (refinement_network, _names((*_THREE, "hidden.0"), "conv5", 2)),
    "conv6_1": (landmark_network, _names((*_THREE, "features.9", "hidden.0"), "conv6", 3)),
}


def read_embedding(weights: Weights) -> ArcFace:
    """Read a face embedding file: ArcFace's IR-SE50, or CurricularFace's IR-101."""
    gated = any(".res_layer.5." in name for name in weights.names())
    widths, units, tensors = take_trunk(weights, "ir_se")
    dimensions = weights.shape("output_layer.3.bias", 1)[0]
    outputs = weights.rename(
        {"output_layer.0": "norm", "output_layer.3": "project", "output_layer.4": "standardise"}
    )
    weights.finish("an ArcFace network" if gated else "an IR-101 network")
    if not gated:  # the file's last normalisation has no scale and shift of its own
        outputs.setdefault("standardise.weight", torch.ones(dimensions))
        outputs.setdefault("standardise.bias", torch.zeros(dimensions))

    def make() -> ArcFace:
        if gated:
            return ArcFace(Trunk("ir_se", 3, widths, units), dimensions)
        return ir_101(widths, units, dimensions)

    return build(make, with_prefix(tensors, "trunk") | outputs, weights.source)


def read_cascade(weights: Weights) -> CascadeNetwork:
    """Read one of the face detector's networks."""
    for last, (make, table) in CASCADE.items():
        if f"{last}.weight" in weights:
            tensors = weights.rename(table)
            weights.finish("a network of the face detector")
            return build(make, tensors, weights.source)
    raise CheckpointError(
        f"{weights.source}: expected a network of the face detector ({', '.join(CASCADE)}), "
        f"got {listed(weights.names()[-2:])}"
    )


def is_array(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file was written by `numpy.save`."""
    with open(path, "rb") as file:
        return file.read(len(ARRAY_START)) == ARRAY_START


def read_array(path: str | os.PathLike[str]) -> Weights:
    """Read the table of arrays in a `.npy` file of the face detector.

    Such a file holds a pickle, which is read as PyTorch reads weights: arrays and containers only.
    """
    source = os.fspath(path)
    if os.path.getsize(path) > _MAX_ARRAY_FILE:
        raise CheckpointError(f"{source}: expected at most {_MAX_ARRAY_FILE} bytes, got more")
    try:
        with open(path, "rb") as file:
            _check_header(file)
            pickled = file.read()
        check_pickle(io.BytesIO(pickled))
        packed = _as_archive(pickled)
        with torch.serialization.safe_globals(_ALLOWED):
            table = torch.load(packed, weights_only=True)[()]
        _check_arrays(table, os.path.getsize(path))
        tensors = {name: torch.from_numpy(np.array(a, np.float32)) for name, a in table.items()}
    except Exception as error:  # a damaged pickle fails in as many ways as it can be damaged
        raise CheckpointError(
            f"{source}: expected a table of arrays, got: {reason(error)}"
        ) from error
    return Weights(tensors, source)


def _check_arrays(table: Mapping[str, np.ndarray], size: int) -> None:
    # Arrays may claim more than the file has, or be one array many times.
    if not all(isinstance(array, np.ndarray) for array in table.values()):
        raise ValueError("other things than arrays")
    claimed = sum(array.nbytes for array in table.values())
    if claimed > 2 * size:
        raise ValueError(f"{claimed} bytes of arrays in {size} bytes")


def _check_header(file: io.BufferedReader) -> None:
    """Move to the pickle in a `.npy` file, which must be one object in the protocol of its time."""
    version = np.lib.format.read_magic(file)
    read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    shape, _, dtype = read[version[0]](file)
    if shape != () or dtype != np.dtype(object):
        raise ValueError(f"an array {shape} of {dtype}")
    start = file.peek(2)[:2]
    if start != b"\x80\x02":
        raise ValueError(f"{start!r} instead of a pickle of protocol 2")


def _as_archive(pickled: bytes) -> io.BytesIO:
    """Put a pickle in the envelope that `torch.load` takes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    packed.seek(0)
    return packed
