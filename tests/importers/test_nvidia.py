"""NVIDIA's network pickles: the recorded settings decide, and no text in the file is run."""

import io
import sys
from types import SimpleNamespace

import pytest
import torch
from torch.storage import TypedStorage

from restyle import importers
from restyle.generators.stylegan2 import StyleGAN2
from restyle.importers.nvidia import MAX_NAME, SLACK, _walk
from restyle.io.checkpoints import CheckpointError

from .network_pickles import SETTINGS, Persistent, easy, known_names, official, ours, pickled


@pytest.fixture
def nvidia_modules():
    with known_names():
        yield


@pytest.fixture
def write(tmp_path, nvidia_modules):
    def written(tensors=None, settings=SETTINGS, protocol=4, top=None):
        path = tmp_path / "network.pkl"
        path.write_bytes(pickled(tensors, settings, protocol, top))
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
