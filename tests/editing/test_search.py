"""Directions are found where they are known to be."""

import numpy as np
import pytest
import torch

from restyle.editing.search import (
    Whitening,
    boundary,
    closed_form,
    conditional,
    disentangled,
    principal_components,
)

D = 12


def codes(n=4000, seed=0):
    return np.random.default_rng(seed).normal(size=(n, D)).astype(np.float32)


def unit(*entries):
    vector = np.zeros(D, np.float32)
    vector[: len(entries)] = entries
    return vector / np.linalg.norm(vector)


def test_the_boundary_is_that_of_the_scores():
    pytest.importorskip("sklearn")
    w, truth = codes(), unit(1, -2, 0.5)
    found = boundary(w * 7 + 3, w @ truth)
    assert np.linalg.norm(found) == pytest.approx(1)
    assert found @ truth > 0.99


def test_the_boundary_bears_noise_and_rare_classes():
    pytest.importorskip("sklearn")
    w, truth = codes(), unit(0, 1, 1)
    rare = np.where(w @ truth > 1.3, 5.0, -5.0)  # one in ten
    assert boundary(w, rare + np.random.default_rng(1).normal(size=len(w))) @ truth > 0.9


def test_whitened_codes_vary_alike_in_all_directions():
    mixed = codes() @ np.random.default_rng(5).normal(size=(D, D)) + 3
    white = Whitening(mixed)
    assert np.allclose(np.cov(white(mixed), rowvar=False), np.eye(D), atol=1e-6)
    assert np.allclose(white(mixed) @ white.root + white.mean, mixed)
    flat = mixed.copy()
    flat[:, 0] = flat[:, 1]  # a direction in which nothing varies
    assert np.isfinite(Whitening(flat)(flat)).all() and np.abs(Whitening(flat)(flat)).max() < 10


def test_directions_lie_where_the_codes_do():
    pytest.importorskip("sklearn")
    w = codes() * np.array([10.0, 0.1] + [1.0] * (D - 2))
    scores = w[:, 0] / 10 + w[:, 1] / 0.1  # each of them says as much about the score
    white = Whitening(w)
    found = white.direction(boundary(white(w), scores))
    assert found[0] > 0.99  # where a strength of one goes a long way
    # A step of one deviation along it, and what that does to the score.
    effect = np.array([0.1, 10.0] + [0.0] * (D - 2))
    assert (w @ found).std() * (effect @ found) > 0.9


@pytest.mark.parametrize(
    ("scores", "share", "words"),
    [
        (np.zeros(4000), 0.1, "scores that differ"),
        (np.full(4000, np.nan), 0.1, "finite scores"),
        (np.arange(10.0), 0.1, "N finite scores"),
        (np.arange(4000.0), 0.0, "share of at least one"),
    ],
)
def test_labels_that_say_nothing_are_refused(scores, share, words):
    pytest.importorskip("sklearn")
    with pytest.raises(ValueError, match=words):
        boundary(codes(), scores, share)


def test_a_conditional_direction_leaves_the_others_alone():
    smile, age, glasses = unit(1, 1), unit(1, 0, 0.2), unit(0, 0, 1)
    left = conditional(smile, [age, glasses])
    assert abs(left @ age) < 1e-6 and abs(left @ glasses) < 1e-6
    assert np.linalg.norm(left) == pytest.approx(1) and left @ smile > 0
    assert np.allclose(conditional(smile, []), smile)
    with pytest.raises(ValueError, match="do not span"):
        conditional(age, [age])


def test_principal_components_are_the_widest_directions():
    w = torch.from_numpy(codes()) * torch.tensor([1.0, 5.0, 3.0] + [0.5] * (D - 3)) + 2
    rows, deviations = principal_components(w, 2)
    assert rows[0, 1] > 0.99 and rows[1, 2] > 0.99
    assert torch.allclose(deviations, torch.tensor([5.0, 3.0]), rtol=0.05)
    with pytest.raises(ValueError, match="1 to 12 components"):
        principal_components(w, 13)


def test_closed_form_directions_move_the_styles_most():
    weights = [torch.randn(5, D) for _ in range(3)]
    rows, values = closed_form(weights)
    stacked = torch.cat(weights)
    assert torch.allclose(rows @ rows.t(), torch.eye(D), atol=1e-5)
    assert torch.allclose((stacked @ rows.t()).norm(dim=0), values, atol=1e-4)
    assert (values.diff() <= 1e-6).all()
    assert (rows.gather(1, rows.abs().argmax(dim=1, keepdim=True)) > 0).all()


def test_other_attributes_are_held_still_more_and_more():
    asked, others = unit(1, 1), np.stack([unit(0, 1), 0.5 * unit(0, 0, 1)])
    found = [disentangled(asked, others, weight) for weight in (0, 1, 10, 1e9)]
    assert np.allclose(found[0], asked, atol=1e-6)
    moved = [abs(vector @ others[0]) for vector in found]
    assert moved == sorted(moved, reverse=True) and moved[1] < 0.5 and moved[-1] < 1e-6
    assert np.allclose(found[1][:2], unit(2, 1)[:2], atol=1e-6)  # shrunk by 1 + weight
    assert all(np.linalg.norm(vector) == pytest.approx(1) for vector in found)
