"""The networks that losses compare images by."""

import pytest
import torch
from torch.nn import functional

from restyle.importers.moco import read_moco
from restyle.importers.perceptual import read_lpips
from restyle.io.checkpoints import CheckpointError
from restyle.losses.codes import delta_norms, w_norm
from restyle.losses.identity import AlignedFaces, identity
from restyle.losses.lpips import LPIPS
from restyle.losses.moco import MoCo
from restyle.losses.perceptual import distances_by_map, perceptual
from tests.importers import official


def test_faces_are_cut_out_as_in_the_reference():
    seen = []

    class Network:
        def embed(self, images):
            seen.append(images)
            return images.mean(dim=(2, 3))

    images = torch.randn(1, 3, 256, 256)
    AlignedFaces(Network()).embed(images)
    wanted = functional.adaptive_avg_pool2d(images[:, :, 35:223, 32:220], 112)
    assert torch.equal(seen[0], wanted)
    AlignedFaces(Network()).embed(torch.randn(1, 3, 128, 128))
    assert seen[1].shape == (1, 3, 112, 112)


def test_moco_takes_a_batch_of_one():
    network = MoCo((1, 1), width=8).eval()
    images = torch.randn(2, 3, 40, 30)
    both = identity(network, images, images.flip(3))
    one = identity(network, images[:1], images[:1].flip(3))
    torch.testing.assert_close(one, both[:1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["alex", "vgg"])
def test_lpips_has_five_maps_and_is_zero_for_equal_images(kind):
    network = LPIPS(kind).eval()
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    assert [m.shape[1] for m in network.maps(images)] == [len(w) for w in network.calibration]
    assert perceptual(network, images, images).abs().max() == 0
    assert (perceptual(network, images, -images) > 0).all()


def test_the_calibration_weighs_channels():
    network = LPIPS("alex")
    images = torch.rand(2, 1, 3, 64, 64) * 2 - 1
    before = distances_by_map(network, *images)
    with torch.no_grad():
        network.calibration[2] *= 3
    after = distances_by_map(network, *images)
    torch.testing.assert_close(after[:, 2], 3 * before[:, 2])
    torch.testing.assert_close(after[:, 3], before[:, 3])


@pytest.mark.parametrize("kind", ["alex", "vgg"])
def test_lpips_is_read_from_its_files(kind, tmp_path):
    network, trunk, heads = official.lpips_files(kind)
    torch.save(trunk, tmp_path / "trunk.pth")
    torch.save(heads, tmp_path / "heads.pth")
    found = read_lpips(tmp_path / "trunk.pth", tmp_path / "heads.pth")
    images = torch.rand(2, 1, 3, 64, 64) * 2 - 1
    torch.testing.assert_close(perceptual(found, *images), perceptual(network, *images))


def test_heads_of_another_network_are_refused(tmp_path):
    _, trunk, _ = official.lpips_files("alex")
    *_, heads = official.lpips_files("vgg")
    torch.save(trunk, tmp_path / "trunk.pth")
    torch.save(heads, tmp_path / "heads.pth")
    with pytest.raises(CheckpointError, match="linear layers for AlexNet, got those for VGG-16"):
        read_lpips(tmp_path / "trunk.pth", tmp_path / "heads.pth")


def test_negative_weights_are_refused(tmp_path):
    _, trunk, heads = official.lpips_files("alex")
    heads["lin1.model.1.weight"][0, 3] = -1.0
    torch.save(trunk, tmp_path / "trunk.pth")
    torch.save(heads, tmp_path / "heads.pth")
    with pytest.raises(CheckpointError, match="0 or more for each channel in lin1"):
        read_lpips(tmp_path / "trunk.pth", tmp_path / "heads.pth")


def test_another_file_is_no_moco(tmp_path):
    torch.save({"state_dict": {"module.encoder_q.conv1.bias": torch.zeros(1)}}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="conv1.weight"):
        read_moco(tmp_path / "x.pth")
    torch.save({"weights": 1}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="expected a MoCo checkpoint"):
        read_moco(tmp_path / "x.pth")


def test_norms_of_codes():
    ws = torch.zeros(2, 3, 4)
    ws[0, 1, 0], ws[0, 2, 1], ws[1, 0, 0] = 3.0, 4.0, 1.0
    torch.testing.assert_close(w_norm(ws, torch.zeros(3, 4)), torch.tensor([5.0, 1.0]))
    torch.testing.assert_close(w_norm(ws, ws[1]), torch.tensor([26.0, 0.0]).sqrt())
    torch.testing.assert_close(delta_norms(ws), torch.tensor([[3.0, 4.0], [1.0, 1.0]]))
    torch.testing.assert_close(delta_norms(ws, 1), torch.tensor([[3.0], [1.0]]))
