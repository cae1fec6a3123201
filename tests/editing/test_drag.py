"""Dragging: points arrive in a world whose motion is known, and in small generators."""

import math

import pytest
import torch

from restyle.domains import Domain
from restyle.editing.drag import (
    Dragger,
    DragOptions,
    Networks,
    Person,
    checked_points,
    drag,
    mask_around,
    sample,
    track,
)
from restyle.model import ReStyle
from tests.tiny import CODES, SIZE, tiny_generator, tiny_model

SIDE = 32


def shifting_world(codes: int = 2):
    """A picture that codes shift: rows 0 and 1 by x and y, in pixels of the map; others do naught.

    Its features are waves of several lengths and directions, so that every place looks different.
    """
    random = torch.Generator().manual_seed(0)
    waves = torch.randn(24, 2, generator=random) * 0.25
    phases = torch.rand(24, generator=random) * 2 * math.pi
    places = torch.arange(SIDE) + 0.5
    y, x = torch.meshgrid(places, places, indexing="ij")
    grid = torch.stack([x, y])

    def features(ws):
        moved = grid - ws[0, :2, 0, None, None]
        return torch.sin(torch.einsum("kd,dhw->khw", waves, moved) + phases[:, None, None])[None]

    return Networks(features, lambda ws: features(ws)[:, :3], w_std=10.0), torch.zeros(1, 6, 1)


def pixels(*points):
    return (torch.tensor(points) + 0.5) * (2 / SIDE) - 1


def test_a_shifted_picture_is_shifted_to_the_target():
    networks, ws = shifting_world()
    found = list(drag(networks, ws, (pixels((15.0, 12.0)), pixels((20.0, 10.0)))))
    assert found[0].ws.equal(ws) and len(found) < 60
    assert found[-1].arrived.all() and not found[-2].arrived.all()
    assert found[-1].ws[0, :2, 0].tolist() == pytest.approx([5, -2], abs=0.8)
    assert not found[-1].ws[0, 2:].any()
    assert not any(one.ws.requires_grad or one.image.requires_grad for one in found)
    # Where the points are said to be is where the picture has moved.
    for one in found:
        moved = (one.points - found[0].points)[0] * SIDE / 2
        assert moved.tolist() == pytest.approx(one.ws[0, :2, 0].tolist(), abs=0.3)


def test_it_ends_after_its_steps_and_with_the_points_at_their_targets():
    networks, ws = shifting_world()
    pull = (pixels((15.0, 12.0)), pixels((28.0, 12.0)))
    assert len(list(drag(networks, ws, pull, steps=3))) == 4
    [only] = drag(networks, ws, (pull[0], pull[0]))
    assert only.arrived.all() and only.ws.equal(ws)


def test_only_the_chosen_layers_change():
    networks, ws = shifting_world()
    pull = (pixels((15.0, 12.0)), pixels((20.0, 12.0)))
    *_, last = drag(networks, ws, pull, options=DragOptions(layers=[0, 3]))
    assert last.ws[0, 0, 0] > 3 and not last.ws[0, 1:].any()


def test_outside_the_mask_nothing_moves():
    networks, ws = shifting_world()
    pull = (pixels((15.0, 12.0)), pixels((20.0, 12.0)))
    mask = torch.zeros(1, 1, SIDE, SIDE)
    *_, free = drag(networks, ws, pull, 1 - mask, 20)
    *_, held = drag(networks, ws, pull, mask, 20, DragOptions(mask_weight=100.0))
    assert free.ws[0, 0, 0] > 3.5 and held.ws[0, 0, 0].abs() < 0.5


def test_points_are_tracked_to_a_quarter_of_a_pixel():
    networks, ws = shifting_world()
    points = pixels((8.0, 20.0), (20.0, 9.0))
    content = sample(networks.features(ws), points[:, None])
    ws = ws.clone()
    ws[0, :2, 0] = torch.tensor([2.25, -3.5])
    found = track(networks.features(ws), content, points, 4.0)
    moved = (found - points) * SIDE / 2
    assert moved.flatten().tolist() == pytest.approx([2.25, -3.5] * 2, abs=0.13)


def test_a_point_that_has_not_moved_stays_where_all_looks_alike():
    features = torch.ones(1, 4, 16, 16)
    points = torch.tensor([[0.1, -0.3]])
    assert track(features, sample(features, points[:, None]), points, 4.0).equal(points)


def test_maps_are_read_between_their_pixels():
    features = torch.arange(16.0).expand(1, 1, 16, 16)
    found = sample(features, torch.tensor([[[0.0, 0.0], [-1.0, 0.5], [1 / 16, -0.2]]]))
    assert found.flatten().tolist() == pytest.approx([7.5, 0.0, 8.0])


class Brightness:
    """Tells persons apart by how bright their pictures are."""

    def embed(self, images):
        angle = images.mean(dim=(1, 2, 3))
        return torch.stack([angle.cos(), angle.sin()], dim=1)


def test_a_person_stays_the_same_to_the_network_that_knows_persons():
    networks, ws = shifting_world()
    pull, embed = (pixels((15.0, 12.0)), pixels((20.0, 10.0))), Brightness().embed

    def both(ws):  # what moves to the right becomes brighter; row 2 can make up for it
        light = ws[:, 0, 0] / 10 - ws[:, 2, 0] / 10
        return networks.features(ws), light.reshape(1, 1, 1, 1).expand(1, 3, SIDE, SIDE)

    world, change = networks._replace(person=Person(embed, both)), {}
    for weight in (0.0, 10.0):
        *_, last = drag(world, ws, pull, options=DragOptions(identity_weight=weight))
        change[weight] = abs(both(last.ws)[1].mean().item())
        assert last.arrived.all()
    assert change[0.0] > 0.4 and change[10.0] < 0.1


# A model's pictures, in pixels


def test_a_model_moves_what_its_points_belong_to_in_pixels():
    model = tiny_model()
    ws = model.sample(1, seed=2).ws
    with torch.no_grad():
        found = list(model.drag(ws, [(8.0, 7.0)], [(10.0, 7.0)], steps=30))
    first, last = found[0], found[-1]
    assert first.points.tolist() == [pytest.approx([8.0, 7.0], abs=1e-4)]
    assert first.distances.tolist() == pytest.approx([2.0], abs=1e-4)
    assert torch.equal(first.image, model.generate(ws))
    assert last.arrived.all() and last.distances[0] <= 0.5
    assert last.ws.shape == (1, *CODES) and last.image.shape == (1, 3, SIZE, SIZE)
    again = list(model.drag(ws, torch.tensor([[8.0, 7.0]]), [(10.0, 7.0)], steps=30))
    assert torch.equal(again[-1].ws, last.ws)
    assert all(parameter.grad is None for parameter in model.generator.parameters())


def test_the_rows_of_a_crop_are_counted_from_its_own_first_one():
    generator = tiny_generator()
    whole = ReStyle(generator, None, Domain("whole", (SIZE, SIZE)), "whole")
    cars = ReStyle(generator, None, Domain("cars", (12, SIZE), crop=(1 / 8, 7 / 8)), "cars")
    ws = whole.sample(1).ws
    mask = torch.zeros(12, SIZE)
    mask[:, :8] = 1
    bars = torch.ones(SIZE, SIZE)
    bars[2:14] = mask
    *_, one = whole.drag(ws, [(5, 7)], [(7, 9)], bars, steps=4)
    *_, other = cars.drag(ws, [(5, 5)], [(7, 7)], mask, steps=4)
    assert torch.allclose(one.ws, other.ws, atol=1e-6) and not torch.equal(one.ws, ws)
    assert torch.allclose(one.points - torch.tensor([0.0, 2.0]), other.points, atol=1e-4)


@pytest.mark.parametrize(("size", "resolution"), [(16, 16), (64, 64), (256, 128), (1024, 128)])
def test_the_feature_map_goes_with_the_size(size, resolution):
    asked = []

    class Generator:
        config = type("Config", (), {"size": size, "w_dim": 8})
        num_ws = 6

        def sample_w(self, n):
            return torch.randn(n, 8, generator=torch.Generator().manual_seed(0))

    class Running:
        generator = Generator()

        def features(self, ws, resolution):
            asked.append(resolution)

    dragger = Dragger(Running(), Domain("any"), lambda ws: ws)
    dragger.networks.features(torch.zeros(1, 6, 8))
    assert asked == [resolution]
    assert dragger.networks.w_std == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"handles": [(3, 3), (4, 4)]}, "a target for each of 2 points, got 1"),
        ({"handles": []}, r"1 to 100 points \(x, y\)"),
        ({"handles": [(1, 2, 3)]}, r"points \(x, y\), got an array of \(1, 3\)"),
        ({"handles": [("a", "b")]}, "points .* of numbers"),
        ({"targets": [(16, 3)]}, "in the picture of 16 x 16 pixels, got 16,3"),
        ({"targets": [(math.nan, 3)]}, "got nan,3"),
        ({"steps": 0}, "steps from 1 to 1000, got 0"),
        ({"ws": torch.zeros(2, *CODES)}, "codes of one picture"),
        ({"ws": torch.zeros(1, 3, 8)}, r"expected codes|latent codes"),
        ({"mask": torch.zeros(16, 16)}, "something that may change"),
        ({"mask": torch.ones(1, 16, 16)}, r"a mask \(H, W\)"),
        ({"mask": torch.full((16, 16), 255.0)}, "from 0 to 1"),
        ({"options": DragOptions(layers="9")}, "layers from 0 to 5"),
    ],
)
def test_what_cannot_be_dragged_is_refused(change, message):
    model = tiny_model()
    given = {"ws": model.sample(1).ws, "handles": [(3, 3)], "targets": [(4, 4)], **change}
    with pytest.raises(ValueError, match=message):
        list(model.drag(given.pop("ws"), given.pop("handles"), given.pop("targets"), **given))


def test_edges_of_the_picture_are_in_it():
    assert checked_points([(-0.5, 15.5)], (16, 16)).tolist() == [[-0.5, 15.5]]


def test_only_the_box_around_points_may_change():
    mask = mask_around(torch.tensor([[30.0, 40.0], [32.0, 40.0]]), (64, 48), 7 / 64)
    assert mask.shape == (48, 64)
    columns, rows = mask.amax(dim=0).nonzero().flatten(), mask.amax(dim=1).nonzero().flatten()
    assert (columns.min(), columns.max()) == (23, 39)
    assert (rows.min(), rows.max()) == (33, 47)
    assert mask_around(torch.tensor([[1.0, 62.0]]), (64, 64))[63, 0] == 1
