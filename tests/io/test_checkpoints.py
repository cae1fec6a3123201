import json
import subprocess
import sys

import pytest
import torch
from torch import nn

from restyle.io.checkpoints import (
    CheckpointError,
    build_strict,
    load_config,
    load_folder,
    load_strict,
    save_folder,
    share,
    weights_hash,
    with_prefix,
    without_prefix,
)


@pytest.fixture
def tensors():
    return {
        "matrix": torch.randn(4, 3),
        "vector": torch.randn(5),
        "count": torch.tensor(7),
    }


def test_round_trip_is_exact(tmp_path, tensors):
    save_folder(tmp_path / "new", {"kind": "test", "channels": [1, 2]}, tensors)
    config, loaded = load_folder(tmp_path / "new")
    assert config["kind"] == "test" and config["channels"] == [1, 2] and config["format"] == 1
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)
    assert loaded["count"].dtype == torch.int64


def test_half_storage_rounds_matrices_and_computes_in_float32(tmp_path, tensors):
    large = {**tensors, "matrix": torch.randn(300, 300)}
    save_folder(tmp_path / "full", {"kind": "test"}, large)
    save_folder(tmp_path / "half", {"kind": "test"}, large, half=True)
    _, loaded = load_folder(tmp_path / "half")
    sizes = [(tmp_path / n / "weights.safetensors").stat().st_size for n in ("half", "full")]
    assert sizes[0] < 0.55 * sizes[1]
    assert torch.equal(loaded["matrix"], large["matrix"].half().float())
    assert torch.equal(loaded["vector"], large["vector"])
    assert loaded["matrix"].dtype == torch.float32


def test_tensors_that_share_memory_are_saved(tmp_path):
    base = torch.randn(4, 4)
    save_folder(tmp_path, {"kind": "test"}, {"a": base, "b": base.t(), "c": base[:1].expand(3, 4)})
    _, loaded = load_folder(tmp_path)
    assert torch.equal(loaded["b"], base.t()) and torch.equal(loaded["c"][2], base[0])


def test_config_needs_a_kind(tmp_path, tensors):
    with pytest.raises(ValueError, match="'kind'"):
        save_folder(tmp_path / "new", {"name": "x"}, tensors)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_not_saved(tmp_path, tensors, value):
    tensors["matrix"][1, 1] = value
    with pytest.raises(CheckpointError, match="matrix"):
        save_folder(tmp_path / "new", {"kind": "test"}, tensors)
    assert not (tmp_path / "new").exists()


def test_weights_beyond_half_precision_are_not_saved(tmp_path, tensors):
    tensors["matrix"][0, 0] = 1e6
    with pytest.raises(CheckpointError, match="matrix"):
        save_folder(tmp_path, {"kind": "test"}, tensors, half=True)
    save_folder(tmp_path, {"kind": "test"}, tensors)


def test_weights_that_are_not_finite_are_not_loaded(tmp_path, tensors, monkeypatch):
    tensors["vector"][0] = float("nan")
    with monkeypatch.context() as patch:
        patch.setattr("restyle.io.checkpoints._check_finite", lambda *_: None)
        save_folder(tmp_path, {"kind": "test"}, tensors)
    with pytest.raises(CheckpointError, match="weights.safetensors.*vector"):
        load_folder(tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[: len(data) // 2], "sha256"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "sha256"),
        (lambda data: b"", "sha256"),
        (None, "No such file"),
    ],
    ids=["truncated", "one bit", "empty", "missing"],
)
def test_damaged_weights_are_refused(tmp_path, tensors, damage, message):
    save_folder(tmp_path, {"kind": "test"}, tensors)
    path = tmp_path / "weights.safetensors"
    data = path.read_bytes()
    path.unlink()
    if damage:
        path.write_bytes(damage(data))
    with pytest.raises(CheckpointError, match=message) as caught:
        load_folder(tmp_path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_no_safetensors_is_refused_even_if_its_hash_fits(tmp_path, tensors):
    save_folder(tmp_path, {"kind": "test"}, tensors)
    html = b"<html>quota exceeded</html>"
    (tmp_path / "weights.safetensors").write_bytes(html)
    import hashlib

    config = json.loads((tmp_path / "config.json").read_text())
    config["weights_sha256"] = hashlib.sha256(html).hexdigest()
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="expected a safetensors file"):
        load_folder(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{not json", "expected JSON"),
        ("[1, 2]", "no 'kind'"),
        ('{"kind": "test", "format": 99}', "expected format 1, got 99"),
        (None, "expected a checkpoint folder"),
    ],
)
def test_other_configurations_are_refused(tmp_path, text, message):
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        load_config(tmp_path)


def test_failing_to_save_keeps_the_old_checkpoint(tmp_path, tensors, monkeypatch):
    save_folder(tmp_path, {"kind": "test", "version": 1}, tensors)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("restyle.io.checkpoints.sha256", full)
    with pytest.raises(OSError, match="No space"):
        save_folder(tmp_path, {"kind": "test", "version": 2}, {"other": torch.zeros(2)})
    monkeypatch.undo()
    config, loaded = load_folder(tmp_path)
    assert config["version"] == 1 and loaded.keys() == tensors.keys()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "weights.safetensors"]


def test_files_can_be_read_by_others(tmp_path, tensors):
    """Weights travel in a package that one user installs and others use."""
    (tmp_path / "plain").touch()
    save_folder(tmp_path, {"kind": "test"}, tensors)
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.second = nn.Linear(4, 2)


def test_strict_loading_copies_everything():
    source, target = Pair(), Pair()
    load_strict(target, source.state_dict(), "file")
    assert weights_hash(source.state_dict()) == weights_hash(target.state_dict())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("second.weight"), "file.pt: .*Pair.* missing: second.weight$"),
        (lambda t: t.update(third=torch.zeros(1)), "unexpected: third$"),
        (
            lambda t: t.update({"first.bias": torch.zeros(9)}),
            r"first.bias \(expected \(4,\), got \(9,\)\)",
        ),
        (lambda t: t.update({"first.bias": torch.full((4,), torch.nan)}), "NaN .* first.bias"),
        (lambda t: t.clear(), "first.weight, first.bias, second.weight and 1 more"),
    ],
    ids=["missing", "unexpected", "shape", "nan", "empty"],
)
def test_strict_loading_names_what_differs(change, message):
    module = Pair()
    before = weights_hash(module.state_dict())
    tensors = Pair().state_dict()
    change(tensors)
    with pytest.raises(CheckpointError, match=message):
        load_strict(module, tensors, "file.pt")
    assert weights_hash(module.state_dict()) == before


def test_prefixes_separate_networks(tensors):
    both = with_prefix(tensors, "encoder") | with_prefix({"matrix": torch.ones(1)}, "generator")
    assert without_prefix(both, "encoder").keys() == tensors.keys()
    assert without_prefix(both, "generator").keys() == {"matrix"}
    assert without_prefix(both, "enc") == {}


def test_hash_depends_on_content_alone(tensors):
    reference = weights_hash(tensors)
    assert weights_hash(dict(reversed(tensors.items()))) == reference
    for change in (
        {"renamed": tensors["matrix"], "vector": tensors["vector"], "count": tensors["count"]},
        {**tensors, "matrix": tensors["matrix"].reshape(3, 4)},
        {**tensors, "matrix": tensors["matrix"].half()},
        {**tensors, "count": torch.tensor(8)},
    ):
        assert weights_hash(change) != reference


@pytest.fixture
def pair(tmp_path):
    """Two checkpoints with the same generator."""
    generator = {"generator.weight": torch.randn(50, 50), "generator.bias": torch.randn(50)}
    for name in ("first", "second"):
        own = {"encoder.weight": torch.randn(3, 3)}
        save_folder(tmp_path / name, {"kind": "test", "card": name}, generator | own, half=True)
    return tmp_path


def test_weights_in_common_are_kept_once(pair):
    config, before = load_folder(pair / "second")
    size = (pair / "second/weights.safetensors").stat().st_size
    share(pair / "second", "generator", "first")
    after_config, after = load_folder(pair / "second")
    assert (pair / "second/weights.safetensors").stat().st_size < size / 5
    assert before.keys() == after.keys() and all(torch.equal(before[n], after[n]) for n in before)
    assert after_config["card"] == config["card"] == "second"


def test_weights_that_differ_are_not_shared(pair):
    save_folder(pair / "first", {"kind": "test"}, {"generator.weight": torch.zeros(50, 50)})
    before = (pair / "second/weights.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match="generator in the folder first .* got another one"):
        share(pair / "second", "generator", "first")
    assert (pair / "second/weights.safetensors").read_bytes() == before


def test_a_folder_without_the_one_that_it_shares_with_is_refused(pair):
    share(pair / "second", "generator", "first")
    (pair / "first").rename(pair / "third")
    with pytest.raises(CheckpointError, match="its generator in the folder first"):
        load_folder(pair / "second")


def test_shared_weights_lie_beside_the_folder_and_nowhere_else(pair):
    share(pair / "second", "generator", "first")
    path = pair / "second/config.json"
    path.write_text(path.read_text().replace('"first"', '"../first"'))
    with pytest.raises(CheckpointError, match="a folder beside it, got '../first'"):
        load_folder(pair / "second")


def test_a_network_is_built_without_random_numbers_and_filled():
    def make():
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))

    network = make()
    before = torch.get_rng_state()
    built = build_strict(make, network.state_dict(), "here")
    assert torch.equal(torch.get_rng_state(), before)
    for name, tensor in network.state_dict().items():
        assert torch.equal(built.state_dict()[name], tensor)


def test_a_network_far_larger_than_its_weights_is_not_built():
    made = []

    def make():
        made.append(nn.Linear(2, 2))
        return nn.ModuleList(nn.Linear(2_000, 2_000) for _ in range(100))

    with pytest.raises(CheckpointError, match="here: expected possible sizes.*4 numbers"):
        build_strict(make, {"weight": torch.zeros(2, 2)}, "here")


def test_loading_needs_no_symbolic_mathematics():
    """Which PyTorch imports for the meta device, and which takes longer than all the rest."""
    code = (
        "import sys, torch\n"
        "from restyle.io.checkpoints import build_strict\n"
        "from restyle.nn.layers import EqualLinear\n"
        "layer = EqualLinear(3, 2)\n"
        "build_strict(lambda: EqualLinear(3, 2), layer.state_dict(), 'here')\n"
        "sys.exit('sympy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "shared",
    [
        None,
        [],
        "generator",
        {"generator": None},
        {"generator": "beside"},
        {"generator": {"folder": "beside"}},
        {"generator": {"folder": 3, "sha256": "0"}},
        {"generator": {"folder": "beside", "sha256": ["0"]}},
    ],
)
def test_owners_are_a_folder_and_a_hash_for_each_part(tmp_path, tensors, shared):
    save_folder(tmp_path, {"kind": "test", "shared": shared}, tensors)
    message = "config.json: expected 'shared' to name a folder and a sha256 for each part"
    with pytest.raises(CheckpointError, match=message):
        load_folder(tmp_path)


@pytest.mark.parametrize("folder", ["..", ".", "", "a/b", "/etc"])
def test_an_owner_lies_beside_the_folder(tmp_path, tensors, folder):
    owner = {"generator": {"folder": folder, "sha256": "0"}}
    save_folder(tmp_path / "own", {"kind": "test", "shared": owner}, tensors)
    with pytest.raises(CheckpointError, match="expected the name of a folder beside it"):
        load_folder(tmp_path / "own")
