import pytest
import torch

from restyle.runtime import devices
from restyle.runtime.devices import computes_bfloat16, resolve_dtype, training_dtype

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("avx512", "amx", "found"),
    [
        (False, False, torch.float32),
        (True, False, torch.bfloat16),
        (False, True, torch.bfloat16),
    ],
)
def test_auto_is_bfloat16_where_the_processor_computes_it(monkeypatch, avx512, amx, found):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert computes_bfloat16(CPU) == (found == torch.bfloat16)
    assert resolve_dtype("auto") == training_dtype("auto", CPU) == found


def test_bfloat16_is_refused_where_it_would_be_emulated(monkeypatch):
    monkeypatch.setattr(devices, "computes_bfloat16", lambda device: False)
    with pytest.raises(ValueError, match="precision: expected auto or float32 .* got bf16"):
        training_dtype("bf16", CPU)
    assert training_dtype("float32", CPU) == torch.float32
    assert training_dtype("fp16", CPU) == torch.float16
    assert resolve_dtype("bfloat16", CPU) == torch.bfloat16  # inference may ask for it


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="expected a dtype of auto, .* got half"):
        resolve_dtype("half")
