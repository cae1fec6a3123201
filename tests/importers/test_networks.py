"""Networks of the losses are told by their content, and each is named with what takes it."""

from collections.abc import Callable

import pytest
import torch

import restyle
from restyle import importers
from restyle.cli import main
from restyle.hub.registry import load_features, load_generator
from restyle.importers.perceptual import LPIPSPart
from restyle.io.checkpoints import CheckpointError
from restyle.losses.moco import MoCo

from . import official

FILES: dict[str, Callable[[], dict]] = {
    "alexnet": lambda: official.lpips_files("alex")[1],
    "vgg16": lambda: official.lpips_files("vgg")[1],
    "alex": lambda: official.lpips_files("alex")[2],
    "vgg": lambda: official.lpips_files("vgg")[2],
    "moco": official.moco,
    "resnet": lambda: official.fill(official.resnet((1, 2), 3, torchvision=True)),
    "generator": lambda: {"g_ema": official.generator(), "latent_avg": torch.zeros(16)},
}
TAKEN_BY = {
    "alexnet": "the network of LPIPS with AlexNet.*--perceptual-network lpips-alex.*pull alexnet",
    "vgg16": "the network of LPIPS with VGG-16.*--perceptual-network lpips-vgg.*pull vgg16",
    "alex": "the linear layers of LPIPS with AlexNet.*--perceptual-network lpips-alex",
    "vgg": "the linear layers of LPIPS with VGG-16.*--perceptual-network lpips-vgg",
    "moco": "MoCo's network.*--moco-network",
    "resnet": "a backbone.*--initial",
}
NETWORKS = ["alexnet", "alex", "moco", "resnet"]


@pytest.fixture
def saved(tmp_path):
    def save(name, change=None):
        content = FILES[name]()
        if change:
            change(content.get("state_dict", content))
        torch.save(content, tmp_path / f"{name}.pth")
        return tmp_path / f"{name}.pth"

    return save


@pytest.mark.parametrize("name", [name for name in FILES if name != "generator"])
def test_a_file_that_is_no_model_is_named_with_its_use(saved, name):
    with pytest.raises(CheckpointError, match=TAKEN_BY[name]) as error:
        restyle.load(saved(name))
    assert str(error.value).startswith(f"{saved(name)}: expected a model or a generator, got")
    assert "\n" not in str(error.value)


def test_a_generator_alone_is_a_model_that_samples_and_says_what_it_lacks(saved):
    model = restyle.load(saved("generator"), device="cpu")
    sample = model.sample(2, seed=3)
    assert torch.equal(model.generate(sample.ws), sample.image)
    with pytest.raises(ValueError, match="with an encoder, got the generator 'generator'"):
        model.invert(torch.zeros(1, 3, 16, 16))


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_have_no_native_form_and_nothing_is_written(saved, name, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["models", "import", str(saved(name)), "--out", str(tmp_path / "native")])
    assert stop.value.code == 2
    assert "which is used as the file it is" in capsys.readouterr().err
    assert not (tmp_path / "native").exists()


@pytest.mark.parametrize("name", NETWORKS)
def test_other_loaders_name_them_too(saved, name):
    with pytest.raises(
        CheckpointError, match=f"expected a model or a generator, got {TAKEN_BY[name]}"
    ):
        load_generator(saved(name))
    with pytest.raises(CheckpointError, match=f"a feature network's folder.*{TAKEN_BY[name]}"):
        load_features(saved(name))


def test_they_are_read_whole(saved):
    stages, calibration = importers.read(saved("alexnet")), importers.read(saved("alex"))
    assert isinstance(stages, LPIPSPart) and isinstance(calibration, LPIPSPart)
    network = official.lpips_files("alex")[0]
    tensors = stages.tensors | calibration.tensors
    assert tensors.keys() == network.state_dict().keys()
    assert all(torch.equal(tensors[name], t) for name, t in network.state_dict().items())
    moco = importers.read(saved("moco"))
    assert isinstance(moco, MoCo) and [len(stage) for stage in moco.layers.stages] == [1, 2]


def first(table, ending):
    return next(name for name in table if name.endswith(ending))


def add(table):
    table["surplus.weight"] = torch.zeros(3)


def remove(table):
    del table[list(table)[-3] if "lin0.model.1.weight" in table else first(table, "0.bias")]


def cut(table):
    name = first(table, "lin3.model.1.weight" if "lin0.model.1.weight" in table else "s.3.weight")
    table[name] = table[name][:, 1:]


def spoil(table):
    name = list(table)[2]
    table[name] = table[name] * float("nan")


def number(table):
    table[7] = torch.zeros(1)


@pytest.mark.parametrize("change", [add, spoil, number])
@pytest.mark.parametrize("name", NETWORKS)
def test_strange_weights_are_refused(saved, name, change):
    with pytest.raises(CheckpointError, match=r"got (unexpected|others|NaN)|in lin\d") as error:
        importers.read(saved(name, change))
    assert str(error.value).startswith(str(saved(name)))


@pytest.mark.parametrize("change", [remove, cut])
@pytest.mark.parametrize("name", ["alexnet", "alex"])
def test_missing_and_mis_shaped_weights_are_refused(saved, name, change):
    with pytest.raises(CheckpointError, match="missing|another shape|lin3"):
        importers.read(saved(name, change))


@pytest.mark.parametrize(
    ("name", "surplus"), [("alexnet", "classifier.9.weight"), ("resnet", "fc.extra.weight")]
)
def test_only_the_known_layers_are_left_out(saved, name, surplus):
    with pytest.raises(CheckpointError, match=surplus):
        importers.read(saved(name, lambda table: table.update({surplus: torch.zeros(2, 2)})))


def test_another_version_of_moco_is_refused(saved):
    def first_version(table):
        table["module.encoder_q.fc.weight"] = torch.zeros(4, 4)

    with pytest.raises(CheckpointError, match="version 2, got unexpected: fc.weight"):
        importers.read(saved("moco", first_version))


def test_packed_archives_are_named(tmp_path):
    (tmp_path / "mtcnn.tar.gz").write_bytes(b"\x1f\x8b\x08\x00" + bytes(100))
    with pytest.raises(CheckpointError, match="got a compressed file"):
        importers.read(tmp_path / "mtcnn.tar.gz")
