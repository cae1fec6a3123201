"""Network pickles of NVIDIA's stylegan2-ada-pytorch, read without running anything in them.

Such a file embeds the source text of its classes, which the official reader executes. Here
unpickling builds nothing but inert records, from a fixed table of names; the networks are then made
by our own code from the recorded settings and tensors. Anything that the table does not have is
refused.
"""

import os
import pickle
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from mmap import ACCESS_READ, mmap
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from restyle.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from restyle.importers.archive import load_legacy, reason
from restyle.importers.keys import Weights, build
from restyle.importers.pickles import check_pickle
from restyle.importers.rosinality import check_filter
from restyle.io.checkpoints import CheckpointError, listed, with_prefix

MAX_MODULES = 1_000  # a generator of 1024 px has fewer than a hundred
SLACK = 2**20  # bytes of tensors that small files may have beyond twice their own
MAX_NAME = 10_000  # characters of a tensor's full name
ANY = None

# Constructor arguments: default, and the values that our generator can stand for. `int` stands for
# any count, `float` for any number or None.
Settings = dict[str, tuple[Any, Any]]
MAPPING_SETTINGS: Settings = {
    "num_layers": (8, int),
    "embed_features": (None, (None, "w_dim")),
    "layer_features": (None, (None, "w_dim")),
    "activation": ("lrelu", ("lrelu",)),
    "lr_multiplier": (0.01, (0.01,)),
    "w_avg_beta": (0.995, ANY),
}
SYNTHESIS_SETTINGS: Settings = {
    "channel_base": (32768, int),
    "channel_max": (512, int),
    "num_fp16_res": (0, ANY),  # a matter of speed: we compute in the precision that is asked for
    "conv_clamp": (None, float),
    "fp16_channels_last": (False, ANY),
    "architecture": ("skip", ("skip",)),
    "kernel_size": (3, (3,)),
    "resample_filter": ([1, 3, 3, 1], ([1, 3, 3, 1],)),
    "use_noise": (True, (True,)),
    "activation": ("lrelu", ("lrelu",)),
}
GENERATOR_SETTINGS: Settings = {
    "z_dim": (512, int),
    "c_dim": (0, int),
    "w_dim": (512, int),
    "img_resolution": (None, int),
    "img_channels": (3, (3,)),
    "mapping_kwargs": ({}, ANY),
    "synthesis_kwargs": ({}, ANY),
}
LAYER = {
    "weight": "weight",
    "bias": "bias",
    "affine.weight": "style.weight",
    "affine.bias": "style.bias",
}


def is_pickle(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file begins as a binary pickle does."""
    with open(path, "rb") as file:
        start = file.read(2)
    return len(start) == 2 and start[0] == 0x80 and 2 <= start[1] <= pickle.HIGHEST_PROTOCOL


def read_pickle(path: str | os.PathLike[str]) -> StyleGAN2:
    """Read the moving-average generator of a network pickle.

    The file is one of stylegan2-ada-pytorch, or of the StyleGAN2 configurations of stylegan3.

    Raises:
        CheckpointError: Not such a file, one of StyleGAN3 or of TensorFlow, damaged, or with
            settings that our generator does not have.
    """
    source = os.fspath(path)
    content = _unpickle(source)
    if not isinstance(content, Mapping) or "G_ema" not in content:
        raise CheckpointError(f"{source}: expected a network pickle with G_ema, got another pickle")
    state = _state(content["G_ema"], source)
    synthesis = _state(_entries(state, "_modules").get("synthesis"), source)
    if "input" in _entries(synthesis, "_modules"):
        raise CheckpointError(
            f"{source}: expected a StyleGAN2 generator, got one of StyleGAN3, "
            "which cannot be imported yet"
        )
    tensors = dict(_walk(content["G_ema"], source))
    return take_generator(Weights(tensors, source), _entries(state, "_init_kwargs"))


def take_generator(weights: Weights, settings: Mapping[str, Any]) -> StyleGAN2:
    """Take a generator.

    Args:
        weights: Its state dict, in NVIDIA's naming.
        settings: The arguments that NVIDIA's constructor was called with.
    """
    source = weights.source
    top = _checked(settings, GENERATOR_SETTINGS, source)
    mapping = _checked(top["mapping_kwargs"], MAPPING_SETTINGS, source, top["w_dim"])
    synthesis = _checked(top["synthesis_kwargs"], SYNTHESIS_SETTINGS, source)
    size = top["img_resolution"]
    resolutions = [4 * 2**i for i in range(max(size.bit_length() - 2, 0))]
    base, most = synthesis["channel_base"], synthesis["channel_max"]
    try:
        config = StyleGAN2Config(
            size=size,
            z_dim=top["z_dim"],
            w_dim=top["w_dim"],
            channels=tuple(min(base // resolution, most) for resolution in resolutions),
            mapping_layers=mapping["num_layers"],
            label_dim=top["c_dim"],
            clamp=synthesis["conv_clamp"],
        )
    except ValueError as error:
        raise CheckpointError(f"{source}: {error}") from error
    tensors = {"w_avg": weights.take("mapping.w_avg")}
    layers = {f"fc{i}": f"layers.{i}" for i in range(config.mapping_layers)}
    tensors |= weights.rename(layers | {"embed": "embed"}, ours="mapping.", theirs="mapping.")
    tensors |= with_prefix(_take_synthesis(weights, resolutions), "synthesis")
    weights.finish("a StyleGAN2 generator")
    return build(lambda: StyleGAN2(config), tensors, source)


def _take_synthesis(weights: Weights, resolutions: list[int]) -> dict[str, Tensor]:
    tensors = {"input": weights.take("synthesis.b4.const")[None]}
    for level, resolution in enumerate(resolutions):
        block = f"synthesis.b{resolution}"
        check_filter(weights, f"{block}.resample_filter")
        for conv in ("conv0", "conv1")[level == 0 :]:
            number = 2 * level - (conv == "conv0")
            layer = _take_layer(weights, f"{block}.{conv}")
            check_filter(weights, f"{block}.{conv}.resample_filter")
            layer["noise_strength"] = weights.take(f"{block}.{conv}.noise_strength")
            layer["noise"] = weights.take(f"{block}.{conv}.noise_const")[None, None]
            tensors |= with_prefix(layer, f"layers.{number}")
        tensors |= with_prefix(_take_layer(weights, f"{block}.torgb"), f"to_rgbs.{level}")
    return tensors


def _take_layer(weights: Weights, layer: str) -> dict[str, Tensor]:
    return {ours: weights.take(f"{layer}.{theirs}") for theirs, ours in LAYER.items()}


def _checked(
    given: Any, known: Settings, source: object, w_dim: int | None = None
) -> dict[str, Any]:
    """Return settings with their defaults, after checking that ours can stand for them."""
    if not isinstance(given, Mapping):
        raise CheckpointError(f"{source}: expected settings, got {type(given).__name__}")
    unknown = sorted(set(map(str, given)) - set(known))
    if unknown:
        raise CheckpointError(
            f"{source}: expected settings {sorted(known)}, got also [{listed(map(repr, unknown))}]"
        )
    settings = {name: given.get(name, default) for name, (default, _) in known.items()}
    for name, (_, allowed) in known.items():
        value = settings[name]
        if allowed is int:
            fits, wanted = type(value) is int and 0 <= value < 2**20, "to be a count"
        elif allowed is float:
            fits, wanted = isinstance(value, int | float | None), "to be a number"
        elif allowed is not ANY:
            values = [w_dim if choice == "w_dim" else choice for choice in allowed]
            fits, wanted = value in values, f"of {values}"
        else:
            continue
        if not fits:
            # Containers may hold themselves, or be long beyond printing.
            simple = isinstance(value, str | int | float | None)
            found = listed([repr(value)]) if simple else f"a {type(value).__name__}"
            raise CheckpointError(f"{source}: expected {name} {wanted}, got {found}")
    return settings


def _unpickle(source: str) -> Any:
    """Read the file's object, with records in the place of everything but plain containers."""
    try:
        # Mapped, so that no length can claim more than the file has.
        with open(source, "rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as pickled:
            check_pickle(pickled)
            return _Reader(pickled).load()
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from error
    except Exception as error:  # a damaged pickle fails in as many ways as it can be damaged
        raise CheckpointError(
            f"{source}: expected a network pickle, got: {reason(error)}"
        ) from error


class _Reader(pickle.Unpickler):
    """Knows a fixed table of names, and makes them records that do nothing.

    The table is made anew for each file, so that nothing a file does to it outlives the reading.
    """

    def __init__(self, pickled: mmap):
        super().__init__(pickled)
        self._table = _make_table()

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self._table:
            return self._table[module, name]
        if module == "dnnlib.tflib.network":
            raise CheckpointError(
                "expected a PyTorch network pickle, got one of the older TensorFlow versions"
            )
        raise CheckpointError(
            f"expected the names of a network pickle, got {module}.{name}, which is not run"
        )


def _make_table() -> dict[tuple[str, str], Any]:
    class EasyDict(dict):
        pass

    class Ignored:
        def __init__(self, *arguments: Any):
            pass

        def __setstate__(self, state: Any):
            pass

    class DType:
        def __init__(self, code: Any = "", *arguments: Any):
            self.code = code if isinstance(code, str) else ""

        def __setstate__(self, state: Any):
            pass

    def network(meta: Any) -> SimpleNamespace:
        # The embedded source text (module_src) is dropped unread.
        return SimpleNamespace(kind="network", state=dict(meta)["state"])

    def parameter(tensor: Any, *arguments: Any) -> Any:
        return tensor

    def tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> SimpleNamespace:
        return SimpleNamespace(
            kind="tensor", storage=storage, offset=offset, size=size, stride=stride
        )

    def storage(data: Any) -> SimpleNamespace:
        return SimpleNamespace(kind="storage", data=data)

    def scalar(dtype: Any, data: Any) -> Any:
        return np.frombuffer(data, np.dtype(dtype.code), count=1)[0].item()

    table: dict[tuple[str, str], Any] = {
        ("torch_utils.persistence", "_reconstruct_persistent_obj"): network,
        ("dnnlib.util", "EasyDict"): EasyDict,
        ("collections", "OrderedDict"): OrderedDict,
        ("builtins", "set"): set,
        ("__builtin__", "set"): set,
        ("torch._utils", "_rebuild_parameter"): parameter,
        ("torch.nn.parameter", "Parameter"): parameter,
        ("torch._utils", "_rebuild_tensor"): tensor,
        ("torch._utils", "_rebuild_tensor_v2"): tensor,
        ("torch.storage", "_load_from_bytes"): storage,
        ("numpy", "dtype"): DType,
        ("numpy", "ndarray"): Ignored,
    }
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        table[module, "scalar"] = scalar
        table[module, "_reconstruct"] = Ignored  # arrays are no settings of StyleGAN2
    return table


def _walk(network: Any, source: str) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a network by name, as in its state dict, children after parents."""
    left = [("", network)]
    visited, decoded, size = 0, 0, os.path.getsize(source)
    while left:
        prefix, module = left.pop()
        visited += 1
        if visited > MAX_MODULES:
            raise CheckpointError(f"{source}: expected at most {MAX_MODULES} modules, got more")
        state = _state(module, source)
        passing = state.get("_non_persistent_buffers_set")
        for group in ("_parameters", "_buffers"):
            for name, record in _entries(state, group).items():
                if record is None or (isinstance(passing, set) and name in passing):
                    continue
                full = _full_name(prefix, name, source)
                storage = _storage(record, f"{source}: {full}")
                decoded += len(storage)
                if decoded > 2 * size + SLACK:
                    raise CheckpointError(
                        f"{source}: expected tensors of the file's {size} bytes, got more"
                    )
                yield full, _tensor(record, storage, f"{source}: {full}")
        children = _entries(state, "_modules").items()
        left += reversed([(f"{_full_name(prefix, n, source)}.", m) for n, m in children if m])


def _full_name(prefix: str, name: object, source: str) -> str:
    full = f"{prefix}{name}" if isinstance(name, str) else ""
    if not 0 < len(full) <= MAX_NAME:
        raise CheckpointError(f"{source}: expected names of 1 to {MAX_NAME} characters, got others")
    return full


def _storage(record: Any, source: str) -> bytes:
    storage = getattr(getattr(record, "storage", None), "data", None)
    if getattr(record, "kind", None) != "tensor" or not isinstance(storage, bytes):
        raise CheckpointError(f"{source}: expected a tensor, got {type(record).__name__}")
    return storage


def _tensor(record: Any, storage: bytes, source: str) -> Tensor:
    """Decode a tensor; a view must lie within its storage and be no larger than it."""
    try:
        values = load_legacy(storage)
        flat = torch.empty(0, dtype=values.dtype).set_(values)
        size, stride = [int(n) for n in record.size], [int(n) for n in record.stride]
        if torch.Size(size).numel() > len(flat):
            raise ValueError(f"a view of {size} in a storage of {len(flat)}")
        return flat.as_strided(size, stride, int(record.offset)).clone()
    except Exception as error:  # as for the pickle around it
        raise CheckpointError(f"{source}: expected a tensor, got a damaged one") from error


def _state(network: Any, source: str) -> Mapping[str, Any]:
    state = getattr(network, "state", None)
    if getattr(network, "kind", None) != "network" or not isinstance(state, Mapping):
        raise CheckpointError(f"{source}: expected a network, got {type(network).__name__}")
    return state


def _entries(state: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    entries = state.get(name)
    return entries if isinstance(entries, Mapping) else {}
