"""Whatever is done to a file, it is read, or refused by an error of ours that names it."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kinds import kinds, outcome
from tests.mutations import mutate

EXAMPLES = dict.fromkeys(
    "small.pt small-legacy.pt direction.pt direction.npy cascade.npy weights.safetensors"
    " direction.safetensors latents.safetensors tuned.safetensors stats.jsonl claim.json"
    " arrays.npz manifest.jsonl image.png image.jpeg image.webp image.bmp image.tiff image.avif"
    " packed.tiff transparent.png pictures.zip"
    " shard.tar".split(),
    50,
) | {"lpips.pt": 20, "network-4.pkl": 20, "config.json": 40, "checkpoint.pt": 20}
"""Of the kinds that are read fast, how many are damaged; benchmarks/fuzz.py knows them all."""


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    return {kind.name: kind for kind in kinds(tmp_path_factory.mktemp("kinds"))}


@pytest.mark.parametrize("name", EXAMPLES)
def test_whole_files_are_read(known, tmp_path, name):
    (tmp_path / name).write_bytes(known[name].content)
    assert outcome(known[name], tmp_path / name) == "read"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", EXAMPLES)
def test_damaged_files_are_read_or_refused(known, tmp_path, name):
    kind, path = known[name], tmp_path / name

    @settings(
        max_examples=EXAMPLES[name],
        deadline=10_000,  # milliseconds for one file
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.randoms(use_true_random=False))
    def law(rng: random.Random) -> None:
        path.unlink(missing_ok=True)
        path.write_bytes(mutate(kind.content, name, rng))
        assert outcome(kind, path) in ("read", "refused")

    law()
