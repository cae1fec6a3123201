"""The native checkpoint: a folder with `config.json` and `weights.safetensors`.

The configuration says what the weights are (`kind`), how to build the networks that hold them, and
where they come from. The weights are one flat table; the keys of several networks are told apart by
a prefix (`generator.`, `encoder.`). Models with one generator in common may keep it in one of their
folders: the others name that folder. Reading a checkpoint runs no code from it.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from restyle.io.files import atomic_write, sha256

FORMAT = 1
CONFIG = "config.json"
WEIGHTS = "weights.safetensors"
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""The types that weights may have."""

Network = TypeVar("Network", bound=nn.Module)
_NAMED = 3  # how many differing keys an error names
_LONGEST = 100  # characters of each


class CheckpointError(ValueError):
    """A checkpoint that cannot be used: the message names the file and what differs."""


def save_folder(
    folder: str | os.PathLike[str],
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    half: bool = False,
) -> None:
    """Write a native checkpoint; a folder that already holds one is updated, or kept on failure.

    Args:
        folder: Made where missing.
        config: JSON-able; needs the key `kind` (such as `"restyle"`, `"generator"`). The format
            version and the hash of the weights are added.
        tensors: The weights by name, on any device.
        half: Store matrices and filters as float16. Vectors and scalars (biases, statistics) keep
            their type: they are small, and their errors would not average out.

    Raises:
        CheckpointError: A weight is not finite, or does not fit half precision.
        ValueError: `config` has no `kind`.
    """
    if "kind" not in config:
        raise ValueError(f"expected a config with the key 'kind', got {sorted(config)}")
    folder = Path(folder)
    stored = {name: _stored(tensor, half) for name, tensor in tensors.items()}
    _check_finite(stored, folder / WEIGHTS)
    folder.mkdir(parents=True, exist_ok=True)
    # Both files are complete before either is renamed, the weights (entered last) first.
    with atomic_write(folder / CONFIG) as new_config, atomic_write(folder / WEIGHTS) as new_weights:
        # Not save_file: it replaces the file by one that nobody else may read.
        new_weights.write_bytes(save(stored))
        record = {"format": FORMAT, **config, "weights_sha256": sha256(new_weights)}
        new_config.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def load_folder(folder: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a native checkpoint.

    Returns:
        The configuration, and the weights on the CPU with every floating-point tensor as float32.

    Raises:
        CheckpointError: Not a checkpoint, of another format, damaged, or with weights that are not
            finite.
    """
    folder = Path(folder)
    config = load_config(folder)
    weights = folder / WEIGHTS
    try:
        fits = sha256(weights) == config.get("weights_sha256")
        tensors = load_file(weights) if fits else {}
    except Exception as error:  # a damaged file fails in as many ways as it can be damaged
        raise CheckpointError(f"{weights}: expected a safetensors file, got: {error}") from error
    if not fits:
        raise CheckpointError(f"{weights}: expected the sha256 that {CONFIG} states, got another")
    for prefix, owner in _owners(config, folder).items():
        tensors |= _tensors_of(folder, prefix, owner)
    _check_finite(tensors, weights)
    return config, {n: t.float() if t.is_floating_point() else t for n, t in tensors.items()}


def load_config(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Read only the configuration of a native checkpoint, as `load_folder` does.

    Raises:
        CheckpointError: Not a checkpoint, or of another format.
    """
    path = Path(folder) / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(
            f"{path}: expected a checkpoint folder, got: {error.strerror}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: expected JSON, got: {error}") from error
    if not isinstance(config, dict) or "kind" not in config:
        raise CheckpointError(f"{path}: expected a checkpoint's configuration, got no 'kind'")
    if config.get("format") != FORMAT:
        raise CheckpointError(f"{path}: expected format {FORMAT}, got {config.get('format')!r}")
    return config


def share(folder: str | os.PathLike[str], prefix: str, owner: str) -> None:
    """Take weights out of a native checkpoint, `prefix.`, that one in the folder beside it has too.

    The folder is written anew; `owner` is the name of the folder beside it that keeps them.

    Raises:
        CheckpointError: One of the two is no checkpoint, or their weights differ.
    """
    folder = Path(folder)
    config, tensors = load_config(folder), load_file(folder / WEIGHTS)
    own = without_prefix(tensors, prefix)
    record = {"folder": owner, "sha256": weights_hash(own)}
    _tensors_of(folder, prefix, record)
    rest = {name: t for name, t in tensors.items() if not name.startswith(f"{prefix}.")}
    save_folder(folder, {**config, "shared": {prefix: record}}, rest)


def build_strict(
    make: Callable[[], Network],
    tensors: Mapping[str, Tensor],
    source: str | os.PathLike[str],
    counters: bool = True,
) -> Network:
    """Build a network on the CPU without random numbers and fill it, as `load_strict` does.

    It takes no more memory than its weights do, however large `make` says it is.

    Args:
        make: Builds the network.
        tensors: All its weights, by its own names.
        source: Where they come from, for the message.
        counters: Whether the batch norms' counters have to be there. Before PyTorch 0.4.1 there
            were none; nothing that we compute depends on them.

    Raises:
        CheckpointError: As `load_strict` raises it, or the network cannot be that large.
    """
    try:
        with Unfilled(sum(tensor.numel() for tensor in tensors.values())):
            network = make()
    except (RuntimeError, ArithmeticError) as error:
        raise CheckpointError(
            f"{source}: expected possible sizes, got: {str(error).splitlines()[0]}"
        ) from error
    names = [] if counters else network.state_dict()
    missing = [name for name in names if name.endswith("num_batches_tracked")]
    zeros = {name: torch.zeros((), dtype=torch.int64) for name in missing}
    load_strict(network, zeros | {**tensors}, source)
    return network


class Unfilled(TorchFunctionMode):
    """Networks that are built inside have no random numbers, and a bounded size.

    PyTorch's own way, the meta device, takes seconds, for imports of what it does not need here.
    """

    def __init__(self, numbers: int):
        """Allow four times as many numbers as the weights have, and ten million."""
        super().__init__()
        self._numbers = numbers
        self._left = 4 * numbers + 10_000_000

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Count what is made, and make it empty."""
        kwargs = kwargs or {}
        if func in (torch.Tensor.uniform_, torch.Tensor.normal_):
            return args[0]
        if getattr(func, "__module__", None) == nn.init.__name__:
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        if func in (torch.empty, torch.randn, torch.rand, torch.zeros, torch.ones):
            size = args[0] if args and not isinstance(args[0], int) else args
            self._left -= math.prod(size)
            if self._left < 0:
                raise RuntimeError(f"many times more than the weights' {self._numbers:,} numbers")
        func = torch.empty if func in (torch.randn, torch.rand) else func
        return func(*args, **kwargs)


def load_strict(
    module: nn.Module, tensors: Mapping[str, Tensor], source: str | os.PathLike[str]
) -> None:
    """Copy weights into a module, in place, as strictly as `check_strict` checks them."""
    check_strict(module, tensors, source)
    module.load_state_dict(dict(tensors), strict=True)


def check_strict(
    module: nn.Module, tensors: Mapping[str, Tensor], source: str | os.PathLike[str]
) -> None:
    """Check that weights are a module's own: equal keys and shapes, finite values.

    The module may be on the meta device, where it takes no memory; messages name the `source`.

    Raises:
        CheckpointError: Missing, unexpected or mis-shaped keys, or weights that are not finite.
    """
    expected = module.state_dict()
    shared = [key for key in expected if key in tensors]
    faults = {
        "missing": [key for key in expected if key not in tensors],
        "unexpected": [key for key in tensors if key not in expected],
        "of another shape": [
            f"{key} (expected {tuple(expected[key].shape)}, got {tuple(tensors[key].shape)})"
            for key in shared
            if expected[key].shape != tensors[key].shape
        ],
        "of another type": [
            f"{key} ({tensors[key].dtype})"
            for key in shared
            if not _has_type(tensors[key], expected[key])
        ],
    }
    text = "; ".join(f"{name}: {listed(keys)}" for name, keys in faults.items() if keys)
    if text:
        raise CheckpointError(
            f"{source}: expected the weights of {type(module).__name__}, got {text}"
        )
    _check_finite(tensors, source)


def listed(names: Iterable[object]) -> str:
    """Return the first names of many, fit for a message: printable, of bounded length."""
    keys = [str(name) for name in names]
    plain = ["".join(c if c.isprintable() else "?" for c in key) for key in keys[:_NAMED]]
    short = [key if len(key) <= _LONGEST else f"{key[:_LONGEST]}..." for key in plain]
    more = len(keys) - _NAMED
    return ", ".join(short) + (f" and {more} more" if more > 0 else "")


def with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the same weights with `prefix.` before each name."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def without_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the weights whose names begin with `prefix.`, without it."""
    start = f"{prefix}."
    return {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}


def weights_hash(tensors: Mapping[str, Tensor]) -> str:
    """Hash names, shapes, types and values (SHA-256, hex), whatever the order or the device."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _owners(config: Mapping[str, Any], folder: Path) -> Mapping[str, Mapping[str, str]]:
    """Return which folders keep weights for a checkpoint, by the prefix of these."""
    shared = config.get("shared", {})
    for owner in shared.values() if isinstance(shared, dict) else [None]:
        facts = owner if isinstance(owner, dict) else {}
        if not all(isinstance(facts.get(key), str) for key in ("folder", "sha256")):
            raise CheckpointError(
                f"{folder / CONFIG}: expected 'shared' to name a folder and a sha256 for each "
                "part, got something else"
            )
    return shared


def _tensors_of(folder: Path, prefix: str, owner: Mapping[str, str]) -> dict[str, Tensor]:
    """Read the weights that the checkpoint beside a folder keeps for it."""
    name = owner["folder"]
    if Path(name).name != name or name in ("", ".."):
        raise CheckpointError(f"{folder}: expected the name of a folder beside it, got {name!r}")
    path = folder.absolute().parent / name / WEIGHTS
    try:
        tensors = without_prefix(load_file(path), prefix)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder}: expected its {prefix} in the folder {name} beside it, got: {error}"
        ) from error
    if weights_hash(tensors) != owner["sha256"]:
        raise CheckpointError(
            f"{folder}: expected its {prefix} in the folder {name} beside it, got another one"
        )
    return with_prefix(tensors, prefix)


def _stored(tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    halved = half and tensor.is_floating_point() and tensor.ndim >= 2
    # Copies, as safetensors refuses tensors that share memory.
    return (tensor.half() if halved else tensor).clone()


def _check_finite(tensors: Mapping[str, Tensor], source: str | os.PathLike[str]) -> None:
    # As they are computed with: what is too large for float32 is infinite.
    numbers = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
    bad = [name for name, tensor in numbers.items() if not tensor.float().isfinite().all()]
    if bad:
        raise CheckpointError(
            f"{source}: expected finite weights, got NaN or infinity in {listed(bad)}"
        )


def _has_type(tensor: Tensor, expected: Tensor) -> bool:
    if tensor.layout is not torch.strided or tensor.is_quantized:
        return False
    types = FLOATS if expected.is_floating_point() else (expected.dtype,)
    return tensor.dtype in types
