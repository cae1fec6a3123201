"""Codes come back as they were kept, and those of another model do not."""

import pytest
import torch
from safetensors.torch import save_file

from restyle.editing.latents import LatentsError, read_latents, save_latents
from tests.tiny import CODES

OWN = "0123456789abcdef"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "me.safetensors"


def test_codes_come_back(path):
    ws = torch.randn(3, *CODES)
    save_latents(ws.expand(2, *ws.shape)[0], {"model_sha256": OWN, "steps": 2}, path)
    assert torch.equal(read_latents(path, OWN, *CODES), ws)
    save_latents(ws.half(), {"model_sha256": OWN}, path)
    assert torch.equal(read_latents(path, OWN, *CODES), ws.half().float())


def test_those_of_another_model_are_refused(path):
    save_latents(torch.randn(1, *CODES), {"model_sha256": "fedcba987654", "model": "cars"}, path)
    with pytest.raises(LatentsError, match=r"hash 0123456789ab, got those of 'cars' \(fedcba98"):
        read_latents(path, OWN, *CODES)
    save_latents(torch.randn(1, *CODES), {}, path)
    with pytest.raises(LatentsError, match=r"got those of 'unknown' \(no hash\)"):
        read_latents(path, OWN, *CODES)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "got nothing of that name"),
        (b"", "got an empty file"),
        (b"hello", "expected a latents file, got: "),
        ({"codes": torch.zeros(1, *CODES)}, "got one that holds codes"),
        ({"ws": torch.zeros(*CODES)}, r"expected codes \(N, 6, 8\), got \(6, 8\)"),
        ({"ws": torch.zeros(1, 7, 8)}, r"got \(1, 7, 8\)"),
        ({"ws": torch.zeros(0, *CODES)}, r"got \(0, 6, 8\)"),
        ({"ws": torch.full((1, *CODES), float("nan"))}, "expected finite codes"),
        ({"ws": torch.zeros(1, *CODES, dtype=torch.int32)}, "or torch.int32"),
    ],
)
def test_what_holds_no_codes_is_refused(path, content, words):
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        save_file(content, path, {"model_sha256": OWN})
    with pytest.raises(LatentsError, match=f"me.safetensors: .*{words}"):
        read_latents(path, OWN, *CODES)
