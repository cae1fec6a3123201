import pytest
import torch

from restyle.io.checkpoints import save_folder
from restyle.portraits.features import FeatureConfig, FeatureNetwork
from tests.tiny import tiny_generator, tiny_model


@pytest.fixture(scope="session")
def judge_folder(tmp_path_factory):
    """A judge with random weights, as a checkpoint."""
    torch.manual_seed(3)
    network = FeatureNetwork(FeatureConfig(16, (4, 8, 8, 8, 8), hidden=12, embedding=8))
    folder = tmp_path_factory.mktemp("judge")
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_folder(folder, {"kind": network.kind, **network.checkpoint_config()}, tensors)
    return str(folder)


@pytest.fixture(scope="session")
def model_folder(model_folder):
    """The saved tiny model, named in text as configurations do."""
    return str(model_folder)


@pytest.fixture(scope="session")
def single_folder(tmp_path_factory):
    """A single-shot model of the same generator."""
    folder = tmp_path_factory.mktemp("single")
    model = tiny_model(input_channels=3)
    model.name = "single"
    model.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def generator_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generator")
    generator = tiny_generator()
    config = {"kind": "generator", "generator": vars(generator.config), "images_seen": 7}
    tensors = {f"generator.{k}": v for k, v in generator.state_dict().items()}
    save_folder(folder, config, tensors)
    return str(folder)
