import pytest
import torch

from restyle.losses.identity import AlignedFaces, identity
from restyle.losses.lpips import LPIPS
from restyle.losses.perceptual import perceptual
from restyle.losses.pixels import l2
from restyle.losses.weighted import WeightedLosses
from restyle.nn.backbones import ArcFace, Trunk
from restyle.portraits.features import FeatureConfig, FeatureNetwork


@pytest.fixture
def network():
    config = FeatureConfig(16, (4, 8, 8, 8, 8), hidden=12, embedding=8)
    return FeatureNetwork(config).eval().requires_grad_(False)


def pair():
    return torch.rand(2, 2, 3, 16, 16).mul(2).sub(1).unbind()


def test_without_a_network_it_is_the_squared_error():
    images, targets = pair()
    torch.testing.assert_close(WeightedLosses(l2=3.0)(images, targets), 3 * l2(images, targets))


def test_parts_count_by_their_weights(network):
    images, targets = pair()
    found = WeightedLosses(network, l2=2.0, perceptual=0.5, identity=0.25)(images, targets)
    expected = (
        2 * l2(images, targets)
        + 0.5 * perceptual(network, images, targets)
        + 0.25 * identity(network, images, targets)
    )
    torch.testing.assert_close(found, expected)


def test_targets_are_looked_at_once_and_again_when_they_change(network, monkeypatch):
    looked, embed = [], network.maps
    monkeypatch.setattr(network, "maps", lambda x: looked.append(x) or embed(x))
    losses = WeightedLosses(network, identity=0.0)
    images, targets = pair()
    losses(images, targets)
    count = len(looked)
    losses(images, targets)
    assert len(looked) - count < count
    assert not torch.equal(losses(images, images.clone()), losses(images, targets))


def test_lpips_and_arcface_take_part_where_they_are_given():
    lpips = LPIPS("vgg").eval().requires_grad_(False)
    faces = AlignedFaces(ArcFace(Trunk("ir_se", 3, (16, 16, 16, 16, 16), (1, 1, 1, 1)), 16)).eval()
    images, targets = torch.rand(2, 2, 3, 32, 32).mul(2).sub(1).unbind()
    both = WeightedLosses(lpips, faces=faces)
    wanted = (
        l2(images, targets)
        + 0.8 * perceptual(lpips, images, targets)
        + 0.1 * identity(faces, images, targets)
    )
    torch.testing.assert_close(both(images, targets), wanted)
    squares = both.residuals(images, targets).square().sum(dim=1)
    torch.testing.assert_close(squares, wanted)
    alone = WeightedLosses(lpips)
    torch.testing.assert_close(
        alone(images, targets), wanted - 0.1 * identity(faces, images, targets)
    )
    assert len({losses.digest() for losses in (both, alone, WeightedLosses())}) == 3
