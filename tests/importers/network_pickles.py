"""Network pickles as NVIDIA's code writes them, with a generator far smaller than the published."""

import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from restyle.generators.stylegan2 import StyleGAN2, StyleGAN2Config

TRAP = "raise SystemExit('embedded source was executed')"
FIR = torch.tensor([1.0, 3.0, 3.0, 1.0]).outer(torch.tensor([1.0, 3.0, 3.0, 1.0])) / 64


@contextmanager
def known_names() -> Iterator[None]:
    """The names that such pickles mention, while one is written."""

    def _reconstruct_persistent_obj(meta):
        raise SystemExit("unpickled")

    class EasyDict(dict):
        pass

    class Network:
        pass

    with pytest.MonkeyPatch.context() as patch:
        for module, thing in (
            ("torch_utils.persistence", _reconstruct_persistent_obj),
            ("dnnlib.util", EasyDict),
            ("dnnlib.tflib.network", Network),
        ):
            made = ModuleType(module)
            thing.__module__, thing.__qualname__ = module, thing.__name__
            setattr(made, thing.__name__, thing)
            for parent in (module.rsplit(".", n)[0] for n in range(1, module.count(".") + 1)):
                patch.setitem(sys.modules, parent, ModuleType(parent))
            patch.setitem(sys.modules, module, made)
        yield


class Persistent:
    """A network object as NVIDIA's code pickles it."""

    def __init__(self, class_name: str, tensors: dict[str, Tensor], **attributes: object):
        self.class_name, self.attributes = class_name, attributes
        self.tensors: dict[str, Tensor] = {}
        self.children: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            head, _, rest = name.partition(".")
            if rest:
                self.children.setdefault(head, {})[rest] = tensor
            else:
                self.tensors[name] = tensor

    def __reduce__(self):
        modules = {name: Persistent(name, tensors) for name, tensors in self.children.items()}
        state = {
            "training": False,
            "_parameters": {
                n: nn.Parameter(t, requires_grad=False) for n, t in self.tensors.items()
            },
            "_buffers": {"nothing": None},
            "_non_persistent_buffers_set": set(),
            "_modules": modules,
            "_init_args": (),
            **self.attributes,
        }
        meta = {"type": "class", "version": 6, "module_src": TRAP, "class_name": self.class_name}
        rebuild = sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj
        return rebuild, ({**meta, "state": state},)


def easy(settings: dict) -> dict:
    made = sys.modules["dnnlib.util"].EasyDict()
    made.update({k: easy(v) if isinstance(v, dict) else v for k, v in settings.items()})
    return made


SETTINGS = {
    "z_dim": 8,
    "c_dim": 0,
    "w_dim": 8,
    "img_resolution": 16,
    "img_channels": 3,
    "mapping_kwargs": {"num_layers": 2},
    "synthesis_kwargs": {"channel_base": 128, "channel_max": 12, "conv_clamp": np.float64(0.75)},
}


def ours(clamp: float | None = 0.75) -> StyleGAN2:
    torch.manual_seed(1)
    return StyleGAN2(StyleGAN2Config(16, 8, 8, (12, 12, 8), 2, 0, clamp)).eval()


def official(generator: StyleGAN2) -> dict[str, Tensor]:
    """A generator of ours under NVIDIA's names."""
    tensors = {"synthesis.b4.const": generator.synthesis.input[0]}
    for level in range(3):
        block = f"synthesis.b{4 * 2**level}"
        tensors[f"{block}.resample_filter"] = FIR
        layers = {f"{block}.torgb": generator.synthesis.to_rgbs[level]}
        for conv in ("conv0", "conv1")[level == 0 :]:
            layers[f"{block}.{conv}"] = generator.synthesis.layers[2 * level - (conv == "conv0")]
        for name, layer in layers.items():
            tensors[f"{name}.weight"] = layer.weight
            tensors[f"{name}.bias"] = layer.bias
            tensors[f"{name}.affine.weight"] = layer.style.weight
            tensors[f"{name}.affine.bias"] = layer.style.bias
            if hasattr(layer, "noise"):
                tensors[f"{name}.noise_strength"] = layer.noise_strength
                tensors[f"{name}.noise_const"] = layer.noise[0, 0]
                tensors[f"{name}.resample_filter"] = FIR
    for i, layer in enumerate(generator.mapping.layers):
        tensors[f"mapping.fc{i}.weight"], tensors[f"mapping.fc{i}.bias"] = layer.weight, layer.bias
    tensors["mapping.w_avg"] = generator.w_avg
    return {name: tensor.detach() for name, tensor in tensors.items()}


def pickled(
    tensors: dict[str, Tensor] | None = None,
    settings: dict = SETTINGS,
    protocol: int = 4,
    top: Any = None,
) -> bytes:
    """A network pickle; `known_names` have to be there."""
    tensors = official(ours()) if tensors is None else tensors
    halved = {name: tensor * 0.5 for name, tensor in tensors.items()}
    content = {
        "training_set_kwargs": easy({"resolution": 16}),
        "G": Persistent("Generator", halved, _init_kwargs=easy(settings)),
        "D": None,
        "G_ema": Persistent("Generator", tensors, _init_kwargs=easy(settings)),
        "augment_pipe": None,
    }
    return pickle.dumps(content if top is None else top, protocol)
