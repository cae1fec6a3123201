"""Recurrent units for each code are what separate ones of PyTorch would be."""

import pytest
import torch
from torch import nn

from restyle.domains import Domain
from restyle.encoders import Encoder, EncoderConfig
from restyle.encoders.recurrence import Recurrence
from restyle.model import ReStyle
from restyle.refine import refine
from restyle.runtime.folded_encoder import folded
from tests.tiny import CODES, SIZE, tiny_encoder, tiny_generator, tiny_recurrent

COUNT, WIDTH, W_DIM = 3, 5, 4


@pytest.mark.parametrize("sees_codes", [False, True])
def test_each_code_has_a_unit_of_its_own(sees_codes):
    units = Recurrence(COUNT, WIDTH, W_DIM, sees_codes)
    units.measure(torch.ones(W_DIM), 1 + 2 * torch.randn(1000, W_DIM))
    nn.init.normal_(units.out_weight)
    nn.init.normal_(units.out_bias)
    proposed, state = torch.randn(2, COUNT, W_DIM), torch.randn(2, COUNT, WIDTH)
    ws = torch.randn(2, COUNT, W_DIM)
    corrected, after = units(proposed, ws, state)
    for code in range(COUNT):
        cell = nn.GRUCell(units.input_weight.shape[1], WIDTH)
        cell.weight_ih.data = units.input_weight[code].T
        cell.weight_hh.data = units.state_weight[code].T
        cell.bias_ih.data, cell.bias_hh.data = units.input_bias[code, 0], units.state_bias[code, 0]
        seen = [proposed[:, code] / units.spread]
        if sees_codes:
            seen.append((ws[:, code] - 1) / units.spread)
        expected = cell(torch.cat(seen, dim=1), state[:, code])
        torch.testing.assert_close(after[:, code], expected)
        linear = expected @ units.out_weight[code] + units.out_bias[code]
        wanted = proposed[:, code] + linear * units.spread
        torch.testing.assert_close(corrected[:, code], wanted)
    assert 1.8 < units.spread < 2.2


@pytest.mark.parametrize("head", ["psp", "e4e"])
@torch.no_grad()
def test_nothing_is_corrected_before_anything_is_learned(head):
    plain = tiny_encoder(head=head).eval()
    encoder = tiny_encoder(head=head, sees_codes=True, keeps_state=True).eval()
    encoder.load_state_dict(plain.state_dict(), strict=False)
    pair = torch.randn(2, 6, SIZE, SIZE)
    residual, state = encoder(pair, torch.randn(2, *CODES))
    torch.testing.assert_close(residual, plain(pair)[0])
    assert state.shape == (2, CODES[0], 8) and state.any()


def test_codes_and_state_count_only_where_they_are_asked_for():
    pair, ws = torch.randn(2, 6, SIZE, SIZE), torch.randn(2, *CODES)
    codes = tiny_recurrent(keeps_state=False).eval()
    assert codes(pair, ws)[1] is None
    assert not torch.allclose(codes(pair)[0], codes(pair, ws)[0])
    torch.testing.assert_close(
        codes(pair)[0], codes(pair, codes.recurrence.centre.expand_as(ws))[0]
    )
    encoder = tiny_recurrent().eval()
    first, state = encoder(pair, ws)
    assert not torch.allclose(first, encoder(pair, ws, state)[0])


def test_a_single_shot_encoder_has_neither():
    with pytest.raises(ValueError, match="expected neither of a single-shot encoder"):
        EncoderConfig(input_channels=3, sees_codes=True)


@pytest.mark.parametrize("keeps_state", [False, True])
@torch.no_grad()
def test_the_folded_form_takes_the_same_steps(keeps_state):
    encoder = tiny_recurrent(keeps_state=keeps_state).eval()
    fast = folded(encoder)
    pair, ws, state = torch.randn(3, 6, SIZE, SIZE), torch.randn(3, *CODES), None
    for _ in range(2):
        wanted, next_state = encoder(pair, ws, state)
        got, fast_state = fast(pair, ws, state)
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)
        if keeps_state:
            torch.testing.assert_close(fast_state, next_state, rtol=1e-4, atol=1e-5)
        ws, state = ws + wanted, next_state


@torch.no_grad()
def test_a_model_hands_the_state_on_and_survives_a_checkpoint(tmp_path):
    model = ReStyle(tiny_generator(), tiny_recurrent(), Domain("tiny", (SIZE, SIZE)), "tiny")
    targets = torch.rand(3, 3, SIZE, SIZE) * 2 - 1
    found = model.invert(targets, steps=3)
    *_, last = refine(model.encode, model.generate, targets, model.start(3), 3)
    torch.testing.assert_close(found.ws, last.ws)
    assert last.state.shape == (3, CODES[0], 8)
    model.save_pretrained(tmp_path / "model")
    again = ReStyle.from_pretrained(tmp_path / "model")
    assert isinstance(again.encoder, Encoder) and again.encoder.config.keeps_state
    torch.testing.assert_close(again.invert(targets, steps=3).ws, found.ws)
    auto = model.invert(targets, steps="auto")
    assert auto.ws.shape == found.ws.shape
