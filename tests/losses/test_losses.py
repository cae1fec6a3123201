import pytest
import torch

from restyle.losses.extraction import extract
from restyle.losses.identity import identity
from restyle.losses.perceptual import perceptual
from restyle.losses.pixels import l2, pyramid
from restyle.portraits.features import FeatureConfig, FeatureNetwork


class Colours:
    """A network simple enough to compute its distances by hand: its maps are the image itself."""

    def maps(self, images):
        return [images, images[:, :, ::2, ::2]]

    def embed(self, images):
        return torch.nn.functional.normalize(images.mean(dim=(2, 3)), dim=1)


def plain(*colours):
    return torch.tensor(colours, dtype=torch.float32)[:, :, None, None].expand(-1, -1, 4, 4)


def test_l2_is_the_mean_of_each_image():
    images, targets = plain((1, 1, 1), (0.5, 0, 0)), plain((-1, -1, -1), (0, 0, 0))
    torch.testing.assert_close(l2(images, targets), torch.tensor([4.0, 0.25 / 3]))


def test_l2_refuses_images_of_another_size():
    with pytest.raises(ValueError, match=r"expected shape \(1, 3, 4, 4\), got \(1, 3, 2, 2\)"):
        l2(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 2, 2))


def test_perceptual_compares_directions_of_features():
    images = plain((1, 0, 0), (1, 0, 0), (1, 0, 0))
    targets = plain((0.2, 0, 0), (0, 1, 0), (-1, 0, 0))
    distance = perceptual(Colours(), images, targets)
    torch.testing.assert_close(distance, torch.tensor([0.0, 2.0, 4.0]))


def test_perceptual_of_one_place_counts_by_its_share():
    images = plain((1, 0, 0)).clone()
    images[:, :, 1, 1] = torch.tensor([0.0, 1.0, 0.0])  # seen by the fine map only, 1 of 16 places
    distance = perceptual(Colours(), images, plain((1, 0, 0)))
    torch.testing.assert_close(distance, torch.tensor([2 / 16 / 2]))


def test_perceptual_takes_maps_computed_before():
    torch.manual_seed(0)
    images, targets = torch.randn(2, 2, 3, 4, 4).unbind()
    network = Colours()
    again = perceptual(network, images, network.maps(targets))
    torch.testing.assert_close(again, perceptual(network, images, targets), rtol=0, atol=0)
    with pytest.raises(ValueError, match="expected maps of shapes"):
        perceptual(network, images, network.maps(targets)[:1])


def test_identity_is_one_minus_the_cosine():
    images = plain((1, 0, 0), (1, 0, 0), (1, 0, 0))
    targets = plain((0.3, 0, 0), (0, 1, 0), (-1, 0, 0))
    expected = torch.tensor([0.0, 1.0, 2.0])
    network = Colours()
    torch.testing.assert_close(identity(network, images, targets), expected)
    torch.testing.assert_close(identity(network, images, network.embed(targets)), expected)


def test_one_look_sees_what_two_do():
    torch.manual_seed(3)
    network = FeatureNetwork(FeatureConfig(16, (4, 8, 8, 8, 8), hidden=12, embedding=8)).eval()
    images, targets = torch.rand(2, 2, 3, 16, 16).unbind()
    seen, wanted = extract(images, network, network), extract(targets, network, network)
    apart = extract(images, network, Colours())  # two networks, each looking for itself
    torch.testing.assert_close(seen.maps, network.maps(images), rtol=0, atol=0)
    torch.testing.assert_close(seen.embedding, network.embed(images), rtol=0, atol=0)
    torch.testing.assert_close(apart.maps, seen.maps, rtol=0, atol=0)
    torch.testing.assert_close(apart.embedding, Colours().embed(images), rtol=0, atol=0)
    assert extract(images) == ([], None)
    for distance, one in ((perceptual, "maps"), (identity, "embedding")):
        once = distance(network, getattr(seen, one), getattr(wanted, one))
        torch.testing.assert_close(once, distance(network, images, targets), rtol=0, atol=0)


@pytest.mark.parametrize("loss", [l2, lambda a, b: perceptual(Colours(), a, b)])
def test_gradients_lead_to_the_target(loss):
    torch.manual_seed(1)
    image, target = torch.randn(2, 1, 3, 4, 4).unbind()
    image = image.clone().requires_grad_()
    before = loss(image, target).sum()
    (gradient,) = torch.autograd.grad(before, image)
    assert loss(image - 0.01 * gradient, target).sum() < before


def test_the_pyramid_is_zero_for_equal_images_and_counts_fine_detail_more():
    flat = torch.zeros(2, 3, 16, 16)
    coarse, fine = flat + 0.1, flat.clone()
    fine[..., ::2, ::2] = fine[..., 1::2, 1::2] = 0.1
    fine[..., ::2, 1::2] = fine[..., 1::2, ::2] = -0.1
    assert pyramid(flat, flat).tolist() == [0, 0]
    torch.testing.assert_close(pyramid(coarse, flat), torch.tensor([0.1, 0.1]))
    torch.testing.assert_close(pyramid(fine, flat), torch.tensor([0.8, 0.8]))
