"""The cascade on networks that are made by hand, whose answers are known."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from restyle.faces.cascade import (
    FaceCascade,
    cascade_of,
    moved,
    pyramid,
    suppress,
    windows,
)
from restyle.faces.networks import landmark_network, proposal_network, refinement_network


def overlap(a, b, share_of):
    """Counted pixel by pixel; both ends of a box belong to it."""
    pixels = [
        {(x, y) for x in range(box[0], box[2] + 1) for y in range(box[1], box[3] + 1)}
        for box in (a, b)
    ]
    common = len(pixels[0] & pixels[1])
    whole = len(pixels[0] | pixels[1]) if share_of == "union" else min(map(len, pixels))
    return common / whole


@pytest.mark.parametrize("share_of", ["union", "smaller"])
@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_suppression_is_that_of_a_plain_programme(share_of, threshold):
    rng = np.random.default_rng(1)
    corners = rng.integers(0, 12, (40, 2))
    boxes = np.concatenate([corners, corners + rng.integers(0, 10, (40, 2))], axis=1)
    scores = rng.permutation(40) / 40
    expected = []
    for number in np.argsort(-scores):
        surer = (overlap(boxes[number], boxes[k], share_of) for k in expected)
        if all(share <= threshold for share in surer):
            expected.append(number)
    found = suppress(boxes.astype(float), scores, threshold, share_of)
    assert found.tolist() == expected and 1 < len(expected) < 40


def test_nothing_is_left_of_nothing():
    assert suppress(np.zeros((0, 4)), np.zeros(0), 0.5).shape == (0,)


def test_scales_reach_from_the_smallest_face_to_the_picture():
    scales = list(pyramid((300, 200), smallest=20))
    assert scales[0] == 12 / 20
    assert np.allclose(np.divide(scales[1:], scales[:-1]), 0.707)
    assert 12 < 200 * scales[-1] and 200 * scales[-1] * 0.707 <= 12
    assert list(pyramid((20, 500))) == []


def test_boxes_are_moved_by_parts_of_their_size():
    boxes = np.array([[10.0, 20, 19, 39]])  # 10 wide, 20 high
    assert moved(boxes, np.array([[0.1, -0.2, 0.5, 1]])).tolist() == [[11, 16, 24, 59]]


class Says(nn.Module):
    """Answers whatever it sees, with offsets, landmarks and a score."""

    def __init__(self, score, landmarks=None):
        super().__init__()
        self.score, self.landmarks, self.shapes = score, landmarks, []

    def forward(self, images):
        self.shapes.append(tuple(images.shape))
        others = [] if self.landmarks is None else [torch.tensor([self.landmarks] * len(images))]
        scores = torch.tensor([[1 - self.score, self.score]] * len(images))
        return torch.zeros(len(images), 4), *others, scores


class FiresAt(nn.Module):
    """A sliding network that is sure at one place of one scale."""

    def __init__(self, scale, row, column):
        super().__init__()
        self.scale, self.place = scale, (row, column)

    def forward(self, images):
        height, width = ((side - 12) // 2 + 1 for side in images.shape[-2:])
        scores = torch.zeros(1, 2, height, width)
        if images.shape[-1] == math.ceil(200 * self.scale):
            scores[(0, 1, *self.place)] = 1
        return torch.zeros(1, 4, height, width), scores


@pytest.mark.parametrize(("level", "row", "column"), [(0, 3, 17), (2, 0, 0), (4, 2, 7)])
def test_a_place_in_a_map_is_a_box_in_the_picture(level, row, column):
    scale = list(pyramid((200, 160)))[level]
    five = [0.25, 0.75, 0.5, 0.3, 0.7, 0.4, 0.4, 0.6, 0.8, 0.8]
    cascade = FaceCascade(FiresAt(scale, row, column), Says(0.9), Says(0.8, five))
    found = cascade.find(Image.new("RGB", (200, 160)))
    left, top = round((2 * column + 1) / scale), round((2 * row + 1) / scale)
    right, bottom = round((2 * column + 13) / scale), round((2 * row + 13) / scale)
    assert windows(np.array([row]), np.array([column]), scale).tolist() == [
        [left, top, right, bottom]
    ]
    [box], [landmarks] = found.boxes, found.landmarks
    width, height = box[2:] - box[:2] + 1
    assert width == height == max(right - left, bottom - top) + 1
    assert np.abs(box - [left, top, right, bottom]).max() <= 1  # made square
    expected = box[:2] + width * np.array(five).reshape(2, 5).T
    np.testing.assert_allclose(landmarks, expected, rtol=1e-6)
    assert found.scores.tolist() == pytest.approx([0.8])


def test_each_network_can_refuse():
    black = Image.new("RGB", (200, 160))
    scale = next(iter(pyramid(black.size)))
    five = [0.5] * 10
    for scores in ((0.2, 0.9), (0.9, 0.3)):
        networks = Says(scores[0]), Says(scores[1], five)
        found = FaceCascade(FiresAt(scale, 1, 1), *networks).find(black)
        assert found.boxes.shape == (0, 4) and found.landmarks.shape == (0, 5, 2)
    assert networks[0].shapes == [(1, 3, 24, 24)] and networks[1].shapes == [(1, 3, 48, 48)]


def redness(images):
    return (images[:, 0] - images[:, 1]).clamp(0, 1)


class RedSquares(nn.Module):
    """A sliding network that looks for red squares that fill two thirds of its window."""

    def forward(self, images):
        template = -torch.ones(12, 12)
        template[2:10, 2:10] = 80 / 64
        match = functional.conv2d(redness(images)[None], template[None, None] / 80, stride=2)
        scores = torch.cat([1 - match, match.clamp(0, 1) - 0.35], dim=1)
        return torch.zeros(1, 4, *match.shape[-2:]), scores


class RedBox(nn.Module):
    """Puts the box around what is red, and the landmarks at its corners and centre."""

    def __init__(self, landmarks):
        super().__init__()
        self.landmarks = landmarks

    def forward(self, images):
        offsets, points = [], []
        size = images.shape[-1]
        for red in redness(images) > 0.5:
            columns, rows = (red.any(dim=axis).nonzero().flatten() for axis in (0, 1))
            edges = [0, 0, size - 1, size - 1]
            if len(rows):
                edges = [columns[0], rows[0], columns[-1], rows[-1]]
            left, top, right, bottom = (float(edge) for edge in edges)
            moves = [left, top, right - size + 1, bottom - size + 1]
            offsets.append([move / size for move in moves])
            xs, ys = (left, right + 1), (top, bottom + 1)
            x = [xs[0], xs[1], sum(xs) / 2, xs[0], xs[1]]
            y = [ys[0], ys[0], sum(ys) / 2, ys[1], ys[1]]
            points.append([value / size for value in x + y])
        sure = torch.tensor([[0.0, 1.0]] * len(images))
        others = [torch.tensor(points)] if self.landmarks else []
        return torch.tensor(offsets), *others, sure


@pytest.mark.parametrize("squares", [[(40, 60, 30)], [(100, 20, 90)], [(10, 8, 24), (120, 70, 64)]])
def test_coloured_squares_are_found_where_they_are(squares):
    picture = Image.new("RGB", (240, 180), "white")
    for left, top, side in squares:
        picture.paste("red", (left, top, left + side, top + side))
    found = FaceCascade(RedSquares(), RedBox(False), RedBox(True)).find(picture)
    assert len(found.boxes) == len(squares)
    order = np.argsort(found.boxes[:, 0])
    for index, (left, top, side) in zip(order, sorted(squares), strict=True):
        slack = 0.05 * side + 1  # the last crop has 48 pixels
        wanted = [left, top, left + side - 1, top + side - 1]
        assert np.abs(found.boxes[index] - wanted).max() <= slack
        points = [(0, 0), (1, 0), (0.5, 0.5), (0, 1), (1, 1)]
        corners = [(left + side * x, top + side * y) for x, y in points]
        assert np.abs(found.landmarks[index] - corners).max() <= slack


def test_a_white_picture_and_one_too_small_have_no_face():
    cascade = FaceCascade(RedSquares(), RedBox(False), RedBox(True))
    assert len(cascade.find(Image.new("RGB", (240, 180), "white")).boxes) == 0
    assert len(cascade.find(Image.new("RGB", (15, 300), "red")).boxes) == 0
    with pytest.raises(ValueError, match="mode RGB, got L"):
        cascade.find(Image.new("L", (64, 64)))


def test_a_cascade_is_made_of_one_network_of_each_kind():
    networks = [landmark_network(), proposal_network(), refinement_network()]
    cascade = cascade_of(networks)
    assert [cascade.landmarks, cascade.proposal, cascade.refinement] == networks
    found = cascade.find(Image.effect_noise((90, 70), 80).convert("RGB"))
    assert len(found.boxes) == len(found.landmarks) == len(found.scores)
    assert np.isfinite(found.landmarks).all()
    for wrong in ([], networks[:2], [*networks, proposal_network()]):
        with pytest.raises(ValueError, match="expected the three networks of the face detector"):
            cascade_of(wrong)
