"""Each code's query finds what the map's keys promise it."""

import math

import torch

from restyle.encoders.attention import HEADS, WIDTH, Attention

COUNT, CHANNELS, W_DIM, SIDE = 3, 5, 4, 2


def test_a_query_weighs_values_by_its_keys():
    attention = Attention(COUNT, CHANNELS, W_DIM, SIDE * SIDE)
    x, known = torch.randn(2, CHANNELS, SIDE, SIDE), torch.randn(2, COUNT, 2 * W_DIM)
    found = attention(x, known)
    assert found.shape == (2, COUNT, WIDTH)
    keys, values = attention.seen(x).flatten(2).chunk(2, dim=1)
    part = slice(WIDTH // HEADS, 2 * (WIDTH // HEADS))  # of the second head
    query = (known[1, 2] @ attention.query_weight[2])[part]
    logits = query @ (keys + attention.place)[1, part] / math.sqrt(WIDTH // HEADS)
    expected = values[1, part] @ torch.softmax(logits, dim=0)
    torch.testing.assert_close(found[1, 2, part], expected, rtol=1e-4, atol=1e-5)


def test_what_a_query_finds_depends_on_what_is_known_of_its_code_alone():
    attention = Attention(COUNT, CHANNELS, W_DIM, SIDE * SIDE)
    x, known = torch.randn(1, CHANNELS, SIDE, SIDE), torch.randn(1, COUNT, 2 * W_DIM)
    other = known.clone()
    other[:, 1] += 1
    changed = (attention(x, known) - attention(x, other)).abs().amax(dim=(0, 2)) > 1e-6
    assert changed.tolist() == [False, True, False]
