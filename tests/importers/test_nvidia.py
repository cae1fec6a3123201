"""NVIDIA's network pickles: the recorded settings decide, and no text in the file is run."""

import io
import pickle
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.storage import TypedStorage

from restyle import importers
from restyle.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from restyle.importers.nvidia import MAX_NAME, SLACK, _walk
from restyle.io.checkpoints import CheckpointError

TRAP = "raise SystemExit('embedded source was executed')"
FIR = torch.tensor([1.0, 3.0, 3.0, 1.0]).outer(torch.tensor([1.0, 3.0, 3.0, 1.0])) / 64


@pytest.fixture
def nvidia_modules(monkeypatch):
    """The names that such pickles mention, while one is written."""

    def _reconstruct_persistent_obj(meta):
        raise SystemExit("unpickled")

    class EasyDict(dict):
        pass

    class Network:
        pass

    for module, thing in (
        ("torch_utils.persistence", _reconstruct_persistent_obj),
        ("dnnlib.util", EasyDict),
        ("dnnlib.tflib.network", Network),
    ):
        made = ModuleType(module)
        thing.__module__, thing.__qualname__ = module, thing.__name__
        setattr(made, thing.__name__, thing)
        for parent in (module.rsplit(".", n)[0] for n in range(1, module.count(".") + 1)):
            monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
        monkeypatch.setitem(sys.modules, module, made)
    return sys.modules


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


@pytest.fixture
def write(tmp_path, nvidia_modules):
    def written(tensors=None, settings=SETTINGS, protocol=4, top=None):
        tensors = official(ours()) if tensors is None else tensors
        network = Persistent("Generator", tensors, _init_kwargs=easy(settings))
        halved = {name: tensor * 0.5 for name, tensor in tensors.items()}
        content = {
            "training_set_kwargs": easy({"resolution": 16}),
            "G": Persistent("Generator", halved, _init_kwargs=easy(settings)),
            "D": None,
            "G_ema": network,
            "augment_pipe": None,
        }
        path = tmp_path / "network.pkl"
        path.write_bytes(pickle.dumps(content if top is None else top, protocol))
        return path

    return written


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_a_pickle_gives_back_its_generator(write, protocol):
    generator = importers.read(write(protocol=protocol))
    assert isinstance(generator, StyleGAN2)
    expected = ours()
    assert generator.config == expected.config
    ws = torch.randn(2, 6, 8)
    assert torch.equal(generator.synthesis(ws), expected.synthesis(ws))
    assert torch.equal(generator.mapping(ws[:, 0]), expected.mapping(ws[:, 0]))


def test_the_clamp_is_part_of_the_network():
    ws = torch.randn(2, 6, 8)
    image, free = ours().synthesis(ws), ours(clamp=None).synthesis(ws)
    assert (image - free).abs().max() > 0.1
    torch.testing.assert_close(ours(clamp=1e6).synthesis(ws), free)


def test_views_honour_their_strides(write):
    tensors = official(ours())
    for name in ("synthesis.b16.conv0.weight", "synthesis.b8.conv1.weight"):
        tensors[name] = tensors[name].to(memory_format=torch.channels_last)
    ws = torch.randn(1, 6, 8)
    assert torch.equal(importers.read(write(tensors)).synthesis(ws), ours().synthesis(ws))


def changed(**settings: object) -> dict:
    result = {k: dict(v) if isinstance(v, dict) else v for k, v in SETTINGS.items()}
    for name, value in settings.items():
        group, _, key = name.partition("__")
        if key:
            result[f"{group}_kwargs"][key] = value
        else:
            result[name] = value
    return result


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"img_channels": 1}, r"expected img_channels of \[3\], got 1"),
        ({"novelty": 1}, r"got also \['novelty'\]"),
        ({"mapping__lr_multiplier": 0.1}, "expected lr_multiplier of .0.01., got 0.1"),
        ({"mapping__layer_features": 9}, "expected layer_features of .None, 8., got 9"),
        (
            {"synthesis__architecture": "resnet"},
            "expected architecture of .'skip'., got 'resnet'",
        ),
        ({"synthesis__speed": 2}, r"got also \['speed'\]"),
        ({"img_resolution": 32}, "missing weights: synthesis.b32"),
        ({"img_resolution": 17}, "size: expected a power of two from 16 to 1024, got 17"),
        ({"img_resolution": None}, "expected img_resolution to be a count, got None"),
        ({"img_resolution": "16"}, "expected img_resolution to be a count, got '16'"),
        ({"z_dim": 2**40}, "expected z_dim to be a count"),
        ({"z_dim": 2**19}, "of another shape: mapping.layers.0.weight"),
        ({"synthesis__conv_clamp": "hard"}, "conv_clamp"),
        ({"synthesis__channel_max": 8}, "of another shape"),
        ({"synthesis_kwargs": 3}, "expected settings, got int"),
    ],
)
def test_settings_that_we_do_not_have_are_named(write, settings, message):
    with pytest.raises(CheckpointError, match=message) as error:
        importers.read(write(settings=changed(**settings)))
    assert "network.pkl" in str(error.value)


def test_stylegan3_is_recognised(write):
    tensors = {"synthesis.input.weight": torch.zeros(2, 2), "mapping.w_avg": torch.zeros(8)}
    with pytest.raises(CheckpointError, match="got one of StyleGAN3, which cannot be imported"):
        importers.read(write(tensors))


def test_tensorflow_files_are_recognised(write):
    network = sys.modules["dnnlib.tflib.network"].Network()
    with pytest.raises(CheckpointError, match="older TensorFlow versions"):
        importers.read(write(top=(network, network, network)))


def test_surplus_weights_are_named(write):
    tensors = official(ours()) | {"synthesis.b16.skip.weight": torch.zeros(1)}
    with pytest.raises(CheckpointError, match="unexpected: synthesis.b16.skip.weight"):
        importers.read(write(tensors))


def test_another_filter_is_refused(write):
    tensors = official(ours()) | {"synthesis.b8.conv0.resample_filter": torch.ones(2, 2)}
    with pytest.raises(CheckpointError, match="conv0.resample_filter to be the filter"):
        importers.read(write(tensors))


class Storage:
    """A nested storage of chosen bytes."""

    def __init__(self, data):
        self.data = data

    def __reduce__(self):
        return torch.storage._load_from_bytes, (self.data,)


class View:
    """A tensor whose view of its storage is chosen freely."""

    def __init__(self, storage, offset, size, stride):
        self.arguments = (storage, offset, size, stride, False, {})

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, self.arguments


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [(0, (2**20, 2**20), (0, 0)), (2, (8,), (1,)), (0, (8,), (2,)), (-1, (4,), (1,))],
)
def test_views_beyond_their_storage_are_refused(write, offset, size, stride):
    file = io.BytesIO()
    storage = TypedStorage(
        wrap_storage=torch.zeros(8).untyped_storage(), dtype=torch.float32, _internal=True
    )
    torch.save(storage, file, _use_new_zipfile_serialization=False)
    bad = Persistent("Generator", {}, _init_kwargs=easy(SETTINGS))
    synthesis = Persistent("SynthesisNetwork", {})
    bad.attributes["_buffers"] = {"w": View(Storage(file.getvalue()), offset, size, stride)}
    bad.attributes["_modules"] = {"synthesis": synthesis}
    with pytest.raises(CheckpointError, match="w: expected a tensor, got a damaged one"):
        importers.read(write(top={"G_ema": bad}))


def record(**state):
    return SimpleNamespace(kind="network", state=state)


def test_modules_that_contain_themselves_many_times_are_refused(tmp_path):
    """Sixty levels, each naming the one below twice, are few objects and 2**60 paths."""
    path = tmp_path / "network.pkl"
    path.touch()
    level = record()
    for _ in range(60):
        level = record(_modules={"synthesis": level, "again": level})
    with pytest.raises(CheckpointError, match="at most 1000 modules"):
        list(_walk(level, str(path)))


@pytest.mark.parametrize("name", ["", "x" * (MAX_NAME + 1), 3, None])
@pytest.mark.parametrize("group", ["_buffers", "_modules"])
def test_names_are_text_of_bounded_length(tmp_path, name, group):
    path = tmp_path / "network.pkl"
    path.touch()
    named = {name: record() if group == "_modules" else SimpleNamespace()}
    with pytest.raises(CheckpointError, match=f"names of 1 to {MAX_NAME} characters"):
        list(_walk(record(**{group: named}), str(path)))


def test_one_storage_of_many_tensors_is_not_decoded_for_each(tmp_path):
    """Few bytes of a file, and gigabytes of tensors."""
    file = io.BytesIO()
    storage = TypedStorage(
        wrap_storage=torch.zeros(100_000).untyped_storage(), dtype=torch.float32, _internal=True
    )
    torch.save(storage, file, _use_new_zipfile_serialization=False)
    path = tmp_path / "network.pkl"
    path.write_bytes(file.getvalue())
    data = SimpleNamespace(kind="storage", data=file.getvalue())
    view = SimpleNamespace(kind="tensor", storage=data, offset=0, size=(1,), stride=(1,))
    walk = _walk(record(_buffers={f"w{i}": view for i in range(1000)}), str(path))
    decoded = 0
    with pytest.raises(
        CheckpointError, match=r"expected tensors of the file's \d+ bytes, got more"
    ):
        for _ in walk:
            decoded += len(file.getvalue())
    assert 0 < decoded <= 2 * path.stat().st_size + SLACK
