"""Files that are damaged, or made to do harm: one sentence each, nothing run, memory bounded."""

import io
import json
import os
import pickle
import struct
import zipfile

import pytest
import torch
from numpy.lib import format as numpy_format

import restyle
from restyle import importers
from restyle.importers.keys import Weights
from restyle.importers.nvidia import take_generator
from restyle.io.checkpoints import CheckpointError

from . import official


class Harm:
    """Pickles as a call that leaves a trace."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def refused(path, message):
    with pytest.raises(CheckpointError, match=message) as error:
        importers.read(path)
    text = str(error.value)
    assert text.startswith(str(path)) and "\n" not in text and len(text) < 600
    return text


@pytest.fixture
def healthy(tmp_path):
    path = tmp_path / "healthy.pt"
    torch.save(official.restyle_model(), path)
    return path


@pytest.mark.parametrize("legacy", [False, True])
def test_calls_in_a_checkpoint_are_not_made(tmp_path, legacy):
    path, trace = tmp_path / "evil.pt", tmp_path / "trace"
    content = official.restyle_model() | {"opts": Harm(trace)}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    refused(path, "got: (posix|nt).mkdir, which is not run")
    assert not trace.exists()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_calls_in_a_pickle_are_not_made(tmp_path, protocol):
    path, trace = tmp_path / "evil.pkl", tmp_path / "trace"
    path.write_bytes(pickle.dumps({"G_ema": Harm(trace)}, protocol))
    refused(path, "got (posix|nt).mkdir, which is not run")
    assert not trace.exists()


def test_a_web_page_named_like_a_checkpoint(tmp_path):
    path = tmp_path / "page.pt"
    path.write_text("<!DOCTYPE html><title>Google Drive - Quota exceeded</title>")
    refused(path, "got an HTML page")


@pytest.mark.parametrize(
    "content", [b"", b"P", b"\x80", b"PK\x03\x04", b"\x80\x02garbage", b"text"]
)
def test_files_that_hold_nothing(tmp_path, content):
    path = tmp_path / "nothing.pt"
    path.write_bytes(content)
    refused(path, "expected")


def test_a_file_that_is_not_there(tmp_path):
    refused(tmp_path / "missing.pt", "No such file")


def test_a_folder(tmp_path):
    refused(tmp_path, "expected a checkpoint")


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
@pytest.mark.parametrize("legacy", [False, True])
def test_truncated_downloads(tmp_path, share, legacy):
    path = tmp_path / "cut.pt"
    torch.save(official.restyle_model(), path, _use_new_zipfile_serialization=not legacy)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path, "expected a PyTorch checkpoint")


def test_a_zip_bomb_is_not_unpacked(tmp_path, healthy):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(healthy) as source, zipfile.ZipFile(path, "w") as bomb:
        for entry in source.infolist():
            bomb.writestr(entry, source.read(entry))
        bomb.writestr("archive/data/999", bytes(10_000_000), zipfile.ZIP_DEFLATED)
    refused(path, "got: a compressed archive")


def test_views_larger_than_the_file_are_refused(tmp_path):
    content = official.restyle_model()
    content["state_dict"]["encoder.body.0.res_layer.1.weight"] = torch.zeros(1).expand(2**40)
    torch.save(content, tmp_path / "wide.pt")
    refused(tmp_path / "wide.pt", "expected tensors of the file's .* bytes")


def test_many_views_of_one_storage_are_refused(tmp_path):
    shared = torch.zeros(100_000)
    torch.save({f"layer{i}": shared[:] for i in range(100)}, tmp_path / "shared.pt")
    refused(tmp_path / "shared.pt", "expected tensors of the file's .* bytes")


def test_a_memo_number_that_would_fill_the_memory(tmp_path):
    path = tmp_path / "memo.pkl"
    path.write_bytes(b"\x80\x02}r" + struct.pack("<I", 2**31 - 1) + b".")
    refused(path, "got: memo number 2147483647")


def test_other_contents_are_named(tmp_path):
    path = tmp_path / "other.pt"
    torch.save({"epoch": 3, "weights": torch.zeros(2)}, path)
    refused(path, "got a table of epoch, weights")
    torch.save([1, 2], path)
    refused(path, "expected a table, got list")
    path.write_bytes(pickle.dumps({"some": "table"}))
    refused(path, "expected a network pickle with G_ema, got another pickle")


def test_a_refused_file_can_still_be_removed(tmp_path, healthy):
    """Reading keeps no hold of the file, and the model none of its memory map."""
    model = importers.read(healthy)
    before = model.encoder.trunk.stem[0].weight.clone()
    with open(healthy, "r+b") as file:
        file.write(io.BytesIO(bytes(healthy.stat().st_size)).read())
    assert torch.equal(model.encoder.trunk.stem[0].weight, before)


def spoilt(tmp_path, key, change):
    content = official.restyle_model()
    content["state_dict"][key] = change(content["state_dict"][key])
    torch.save(content, tmp_path / "spoilt.pt")
    return tmp_path / "spoilt.pt"


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.to(torch.complex64),
        lambda t: t.to(torch.int64),
        lambda t: t > 0,
        lambda t: t.to(torch.float8_e4m3fn),
        lambda t: t.to_sparse(),
        lambda t: "text",
    ],
    ids=["complex", "whole", "truths", "eight bits", "sparse", "text"],
)
@pytest.mark.parametrize(
    "key", ["encoder.body.1.res_layer.3.weight", "decoder.convs.1.conv.modulation.weight"]
)
def test_weights_are_ordinary_numbers(tmp_path, key, change):
    message = r"expected tensors of floating-point numbers by name, got others: [\w.]+$"
    refused(spoilt(tmp_path, key, change), message)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_as_good(tmp_path, dtype):
    key = "decoder.convs.1.conv.modulation.weight"
    model = importers.read(spoilt(tmp_path, key, lambda t: t.to(dtype)))
    assert all(p.dtype == torch.float32 for p in model.generator.parameters())


def test_a_whole_number_for_a_weight_is_refused(tmp_path):
    path = spoilt(tmp_path, "decoder.conv1.noise.weight", lambda t: torch.tensor([1]))
    refused(path, r"of another type: synthesis.layers.0.noise_strength \(torch.int64\)")


def test_numbers_beyond_float32_are_refused(tmp_path):
    path = spoilt(tmp_path, "decoder.conv1.noise.weight", lambda t: t.double() + 1e300)
    refused(path, "got NaN or infinity in synthesis.layers.0.noise_strength")


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int64])
def test_an_average_of_other_numbers_is_refused(tmp_path, dtype):
    content = official.restyle_model()
    content["latent_avg"] = content["latent_avg"].to(dtype)
    torch.save(content, tmp_path / "average.pt")
    refused(tmp_path / "average.pt", "latent_avg of floating-point numbers")


def test_long_and_unprintable_names_do_not_reach_the_message(tmp_path):
    path = tmp_path / "names.pt"
    for name in ("k" * 3_000_000, "one\ntwo\x1b[2J"):
        content = official.restyle_model()
        content["state_dict"][f"encoder.{name}"] = torch.zeros(1)
        torch.save(content, path)
        assert "\x1b" not in refused(path, "got unexpected")
        torch.save(official.restyle_model() | {name: 1}, path)
        assert "\x1b" not in refused(path, "got unexpected")
        torch.save({name: torch.zeros(1)}, path)
        assert "\x1b" not in refused(path, "got a table")
        for option in ("encoder_type", "dataset_type"):
            content = official.restyle_model()
            content["opts"][option] = name
            torch.save(content, path)
            assert "\x1b" not in refused(path, f"expected an? {option}")


def archive(path, pickled):
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("archive/data.pkl", pickled)
        packed.writestr("archive/version", "3\n")
        packed.writestr("archive/byteorder", "little")
    return path


def doubling(times):
    """A list of two references to a list of two references, and so on."""
    inner = b"]q\x00"
    for i in range(times):
        inner += b"]h" + bytes([i]) + b"ah" + bytes([i]) + b"aq" + bytes([i + 1])
    return b"\x80\x02" + inner + b"."


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".",
        b"\x80\x02]q\x00h\x00a.",
        b"\x80\x02}q\x00X\x0a\x00\x00\x00state_dicth\x00s.",
        doubling(60),
    ],
    ids=["deep", "a list in itself", "a table in itself", "doubling"],
)
def test_containers_in_containers(tmp_path, pickled):
    refused(archive(tmp_path / "nested.pt", pickled), "expected|missing")


def test_the_reason_is_no_advice_to_read_it_anyway(tmp_path):
    path, trace = tmp_path / "evil.npy", tmp_path / "trace"
    with path.open("wb") as file:
        header = {"descr": "|O", "fortran_order": False, "shape": ()}
        numpy_format.write_array_header_1_0(file, header)
        pickle.dump(Harm(trace), file, 2)
    assert "weights_only" not in refused(path, "got: (posix|nt).mkdir, which is not run")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xef\xbb\xbf <html>", "got an HTML page"),
        (b"PK\x03\x04" + bytes(1000), "got: a damaged or incomplete zip archive"),
    ],
)
def test_what_arrived_instead_is_named(tmp_path, content, message):
    (tmp_path / "file.pt").write_bytes(content)
    refused(tmp_path / "file.pt", message)


def test_another_zip_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "pictures.pt", "w") as packed:
        packed.writestr("a.txt", "hello")
    refused(tmp_path / "pictures.pt", "got: another zip archive")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("Encoder4Editing", r"missing: laterals.0.weight"),
        ("ResNetBackboneEncoder", r"of ResNetBackboneEncoder \(resnet\), got others \(ir_se\)"),
    ],
)
def test_weights_of_another_encoder_class(tmp_path, kind, message):
    content = official.restyle_model()
    content["opts"]["encoder_type"] = kind
    torch.save(content, tmp_path / "class.pt")
    refused(tmp_path / "class.pt", message)


@pytest.mark.parametrize(
    ("part", "key", "value", "message"),
    [
        ("encoder", "widths", [10**9] * 5, "of another shape|possible sizes"),
        ("encoder", "w_dim", -3, "possible sizes|another shape|configuration"),
        ("encoder", "head_channels", 0, "possible sizes"),
        ("generator", "channels", [0, 16, 16], "possible sizes"),
        ("generator", "mapping_layers", 10**9, "mapping_layers: expected 0 to 64"),
        ("generator", "w_dim", 10**12, "of another shape|possible sizes"),
    ],
)
def test_a_native_configuration_takes_no_memory_for_what_it_claims(
    tmp_path, healthy, part, key, value, message
):
    folder = tmp_path / "native"
    importers.convert(healthy, folder)
    config = json.loads((folder / "config.json").read_text())
    config[part][key] = value
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        restyle.load(folder)


def test_a_native_configuration_of_brackets(tmp_path):
    (tmp_path / "config.json").write_text("[" * 100_000)
    with pytest.raises(CheckpointError, match="expected JSON"):
        restyle.load(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.pt")
    refused(tmp_path / "pipe.pt", "got a device or a pipe")


@pytest.mark.timeout(20)
def test_a_network_pickle_of_a_million_layers():
    weights = Weights({f"mapping.x{i}": torch.zeros(1) for i in range(1000)}, "network.pkl")
    settings = {"img_resolution": 64, "mapping_kwargs": {"num_layers": 1_000_000}}
    with pytest.raises(CheckpointError, match=r"network.pkl: mapping_layers: expected 0 to 64"):
        take_generator(weights, settings)
