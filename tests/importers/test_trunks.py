"""Backbone files become trunks that compute what the files' own networks do."""

import pytest
import torch
from torch import nn
from torch.nn.functional import batch_norm, conv2d, relu

from restyle import importers
from restyle.encoders import Encoder, EncoderConfig
from restyle.io.checkpoints import CheckpointError
from restyle.nn.backbones import ArcFace, Trunk

from . import official


def norm(w, name, x):
    stem = [w[f"{name}.{leaf}"] for leaf in ("running_mean", "running_var", "weight", "bias")]
    return batch_norm(x, *stem)


def basic_network(w, units, x):
    """A residual network of torchvision's naming, without its max-pooling and classifier."""
    x = relu(norm(w, "bn1", conv2d(x, w["conv1.weight"], stride=2, padding=3)))
    for stage, count in enumerate(units):
        for i in range(count):
            name = f"layer{stage + 1}.{i}"
            stride = 2 if stage and i == 0 else 1
            y = relu(norm(w, f"{name}.bn1", conv2d(x, w[f"{name}.conv1.weight"], None, stride, 1)))
            y = norm(w, f"{name}.bn2", conv2d(y, w[f"{name}.conv2.weight"], None, 1, 1))
            if f"{name}.downsample.0.weight" in w:
                x = conv2d(x, w[f"{name}.downsample.0.weight"], None, stride)
                x = norm(w, f"{name}.downsample.1", x)
            x = relu(x + y)
    return x


@pytest.mark.parametrize("counters", [True, False], ids=["new", "old"])
def test_torchvision_naming(tmp_path, counters):
    """Files from before PyTorch 0.4.1 do not count batches."""
    units = (2, 1, 11, 1)  # more than ten blocks: 10 comes after 9
    weights = official.fill(official.resnet(units, 3, torchvision=True))
    if not counters:
        weights = {n: t for n, t in weights.items() if not n.endswith("num_batches_tracked")}
    torch.save(weights, tmp_path / "resnet.pth")
    trunk = importers.read(tmp_path / "resnet.pth")
    assert isinstance(trunk, Trunk)
    x = torch.randn(2, 3, 64, 48)
    torch.testing.assert_close(trunk(x), basic_network(weights, units, x), rtol=1e-4, atol=1e-4)


def test_bottlenecks_are_refused(tmp_path):
    weights = official.fill(official.resnet((1, 1, 1, 1), 3, torchvision=True))
    weights["layer1.0.conv3.weight"] = torch.zeros(64, 16, 1, 1)
    torch.save(weights, tmp_path / "resnet50.pth")
    with pytest.raises(CheckpointError, match="conv3.weight"):
        importers.read(tmp_path / "resnet50.pth")


def arcface_weights():
    shapes = [*official.ir_se((1, 1, 1, 1), 3), *official.norm("output_layer.0", 64)]
    shapes += [("output_layer.3.weight", (32, 64 * 49)), ("output_layer.3.bias", (32,))]
    return official.fill([*shapes, *official.norm("output_layer.4", 32)])


def test_arcface(tmp_path):
    torch.save(arcface_weights(), tmp_path / "arcface.pth")
    network = importers.read(tmp_path / "arcface.pth")
    assert isinstance(network, ArcFace)
    embedding = network.embed(torch.randn(2, 3, 112, 112))
    assert embedding.shape == (2, 32)
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(2))


def test_an_encoder_starts_from_an_imported_trunk(tmp_path):
    torch.save(arcface_weights(), tmp_path / "arcface.pth")
    trunk = importers.read(tmp_path / "arcface.pth").trunk
    config = EncoderConfig(
        num_ws=2, w_dim=8, widths=(16, 16, 32, 48, 64), units=(1, 1, 1, 1), input_size=(32, 32),
        head_channels=8,
    )  # fmt: skip
    encoder = Encoder(config).eval()
    before = encoder.trunk.stem[0].weight.detach().clone()
    encoder.start_from(trunk)
    assert torch.equal(encoder.trunk.stem[0].weight[:, :3], trunk.stem[0].weight)
    assert torch.equal(encoder.trunk.stem[0].weight[:, 3:], before[:, 3:])
    nn.init.zeros_(encoder.trunk.stem[0].weight[:, 3:].data)
    x = torch.randn(1, 6, 32, 32)
    torch.testing.assert_close(encoder.trunk(x), trunk(x[:, :3]))


def test_an_encoder_refuses_another_trunk():
    encoder = Encoder(EncoderConfig(2, 8, widths=(16, 16), units=(1,), input_size=(16, 16)))
    with pytest.raises(ValueError, match="expected a 'ir_se' trunk"):
        encoder.start_from(Trunk("ir_se", 3, (16, 16), (2,)))
    with pytest.raises(ValueError, match="expected a 'ir_se' trunk"):
        encoder.start_from(Trunk("ir_se", 3, (16, 32), (1,)))
