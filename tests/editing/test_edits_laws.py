"""What holds for all strengths and all layers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from restyle.editing.edits import interpolate, layer_numbers, mix, parse_strengths

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
