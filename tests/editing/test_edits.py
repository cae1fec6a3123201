"""Moving, mixing and interpolating codes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from restyle.editing.directions import Direction
from restyle.editing.edits import interpolate, layer_numbers, mix, parse_strengths, shift

WS = torch.arange(2 * 10 * 3, dtype=torch.float32).reshape(2, 10, 3)
SMILE = Direction("smile", torch.tensor([0.0, 2.0, 0.0]), scale=0.5)


def test_strength_one_is_one_scale():
    moved = shift(WS, SMILE, 2.0)
    assert torch.equal(moved - WS, torch.tensor([0.0, 2.0, 0.0]).expand_as(WS))
    assert torch.equal(shift(WS, SMILE, 0.0), WS)


def test_each_code_may_have_its_own_strength():
    moved = shift(WS, SMILE, torch.tensor([1.0, -2.0])) - WS
    assert moved[0, 0].tolist() == [0, 1, 0] and moved[1, 9].tolist() == [0, -2, 0]


def test_only_the_chosen_layers_move():
    rows = (shift(WS, SMILE, 1.0, layers=[1, 9]) != WS).any(dim=2)[0]
    assert rows.nonzero().flatten().tolist() == [1, 9]
    own = Direction("smile", SMILE.vector, 1.0, layers=(2,))
    assert (shift(WS, own, 1.0) != WS).any(dim=2)[0].nonzero().flatten().tolist() == [2]
    assert (shift(WS, own, 1.0, "fine") != WS).any(dim=2)[0].nonzero().flatten().tolist() == [8, 9]


def test_a_direction_in_w_plus_moves_each_layer_by_its_row():
    rows = torch.randn(10, 3)
    moved = shift(WS, Direction("pose", rows, scale=2.0), 1.5)
    assert torch.allclose(moved - WS, (3 * rows).expand_as(WS), atol=1e-5)


def test_edits_are_differentiable():
    ws, strength = WS.clone().requires_grad_(), torch.tensor(1.0, requires_grad=True)
    shift(ws, SMILE, strength).sum().backward()
    assert torch.equal(ws.grad, torch.ones_like(WS))
    assert strength.grad.item() == WS.shape[0] * WS.shape[1] * 1.0


@pytest.mark.parametrize("strength", [float("nan"), float("inf"), "2", None, torch.ones(2, 2)])
def test_a_strength_that_is_no_finite_number_is_refused(strength):
    with pytest.raises(ValueError, match="expected .*strength"):
        shift(WS, SMILE, strength)


def test_a_direction_without_scale_is_refused():
    with pytest.raises(ValueError, match="'smile': expected a scale"):
        shift(WS, Direction("smile", SMILE.vector))


def test_codes_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="expected codes"):
        shift(WS[0], SMILE)
    with pytest.raises(ValueError, match=r"got \(3,\)"):
        shift(torch.zeros(1, 10, 4), SMILE)


@pytest.mark.parametrize(
    ("layers", "rows"),
    [
        (None, range(10)),
        ("coarse", [0, 1, 2, 3]),
        ("middle", [4, 5, 6, 7]),
        ("fine", [8, 9]),
        ("0-2,7", [0, 1, 2, 7]),
        ([3, 1, 3], [1, 3]),
        (range(2), [0, 1]),
    ],
)
def test_layers(layers, rows):
    assert layer_numbers(layers, 10) == list(rows)


@pytest.mark.parametrize("layers", ["huge", "1-", "-1", "5-11", [10], [-1], [], "", "1.5", [0.5]])
def test_layers_that_there_are_not(layers):
    with pytest.raises(ValueError, match="layers"):
        layer_numbers(layers, 10)


def test_a_small_generator_has_no_fine_layers():
    with pytest.raises(ValueError, match="no fine ones"):
        layer_numbers("fine", 6)


def test_mixing_takes_the_chosen_layers_from_the_other():
    other = -torch.ones(1, 10, 3)
    mixed = mix(WS, other, "coarse")
    assert torch.equal(mixed[:, :4], other[:, :4].expand(2, -1, -1))
    assert torch.equal(mixed[:, 4:], WS[:, 4:])
    assert WS.min() == 0  # is as it was
    with pytest.raises(ValueError, match="expected codes of shape"):
        mix(WS, other[:, :8], "coarse")


def test_interpolation_is_a_straight_line():
    line = interpolate(WS[:1], WS[1:], 5)
    assert line.shape == (5, 10, 3)
    assert torch.equal(line[0], WS[0]) and torch.allclose(line[4], WS[1])
    assert torch.allclose(line[1], 0.75 * WS[0] + 0.25 * WS[1])
    with pytest.raises(ValueError, match="2 steps"):
        interpolate(WS[:1], WS[1:], 1)


@pytest.mark.parametrize(
    ("text", "values"),
    [("2", [2]), ("-2,0,.5", [-2, 0, 0.5]), ("-3:3:7", list(range(-3, 4))), ("0:1:2", [0, 1])],
)
def test_strengths(text, values):
    assert parse_strengths(text) == values


@pytest.mark.parametrize(
    "text", ["", "a", "1:2", "0:1:1", "0:1:x", "nan", "0:inf:3", "1,,2", "1:2:3:4"]
)
def test_strengths_that_are_none(text):
    with pytest.raises(ValueError, match="strengths: expected numbers such as"):
        parse_strengths(text)


# Laws


NUM_WS = 18
rows = st.integers(0, NUM_WS - 1)
finite = st.floats(-1e3, 1e3)


@given(st.lists(finite, min_size=1, max_size=8))
def test_listed_strengths_come_back(values):
    assert parse_strengths(",".join(map(repr, values))) == values


@given(finite, finite, st.integers(2, 20))
def test_a_range_has_its_ends_and_even_steps(first, last, count):
    values = parse_strengths(f"{first}:{last}:{count}")
    assert len(values) == count and values[0] == first
    assert values[-1] == pytest.approx(last, abs=1e-9)
    width = (last - first) / (count - 1)
    assert all(b - a == pytest.approx(width, abs=1e-9) for a, b in zip(values, values[1:]))  # noqa: B905


@given(st.text(max_size=12))
def test_other_text_is_refused_in_words(text):
    try:
        assert all(abs(value) < float("inf") for value in parse_strengths(text))
    except ValueError as error:
        assert "expected numbers such as" in str(error)


@given(st.lists(st.tuples(rows, rows), min_size=1, max_size=5))
def test_layers_are_the_union_of_their_ranges(pairs):
    ranges = [(min(pair), max(pair)) for pair in pairs]
    text = ",".join(f"{a}-{b}" if a != b else str(a) for a, b in ranges)
    wanted = sorted({row for a, b in ranges for row in range(a, b + 1)})
    assert layer_numbers(text, NUM_WS) == wanted
    assert layer_numbers(wanted, NUM_WS) == wanted


@given(st.integers(9, 18))
def test_groups_share_out_the_layers(num_ws):
    found = [row for name in ("coarse", "middle", "fine") for row in layer_numbers(name, num_ws)]
    assert found == layer_numbers(None, num_ws) == list(range(num_ws))


@given(st.sets(rows, min_size=1))
def test_mixing_takes_exactly_the_layers(chosen):
    ws, other = torch.zeros(2, NUM_WS, 3), torch.ones(1, NUM_WS, 3)
    mixed = mix(ws, other, sorted(chosen))
    assert {row for row in range(NUM_WS) if mixed[:, row].eq(1).all()} == chosen
    assert mixed.sum() == 2 * len(chosen) * 3


@given(st.integers(2, 12))
def test_interpolation_is_the_same_backwards(steps):
    ws, other = torch.randn(2, 1, 4, 3).unbind()
    there, back = interpolate(ws, other, steps), interpolate(other, ws, steps)
    torch.testing.assert_close(there, back.flip(0))
