"""The channels that move an attribute: found where the truth is known, and measured beside W."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from restyle.editing.directions import Direction, directions_in, save_direction
from restyle.evaluation import channels as search
from restyle.evaluation.attributes import NAMES
from restyle.evaluation.channels import purest, report_on
from restyle.evaluation.settings import ChannelSearch
from restyle.io.checkpoints import weights_hash
from tests.evaluation.stubs import Pixels
from tests.tiny import CODES, tiny_generator

CONFIG = ChannelSearch(
    out=Path(), generator="tiny", samples=4, trials=3, checks=5, attributes=("smile", "hat")
)


@pytest.fixture
def networks(monkeypatch, tmp_path):
    monkeypatch.setenv("RESTYLE_CACHE", str(tmp_path / "cache"))
    generator = tiny_generator()
    monkeypatch.setattr(search, "load_generator", lambda name: generator)
    monkeypatch.setattr(search, "load_features", lambda name: Pixels())
    smile = torch.randn(CODES[1], generator=torch.Generator().manual_seed(1))
    facts = {"scale": 1.0, "generator_sha256": weights_hash(generator.state_dict())}
    save_direction(Direction("smile", smile, **facts), tmp_path / "w" / "smile.safetensors")
    return replace(CONFIG, out=tmp_path / "out", directions=str(tmp_path / "w"), device="cpu")


def test_channels_are_found_kept_and_measured_beside_w(networks):
    report = search.find_channels(networks)
    smile, hat = report.results
    assert (smile["name"], hat["name"]) == ("smile", "hat")
    assert 0 < smile["reached"] <= 1 and smile["drift"] > 0 and smile["deviations"] > 0
    assert smile["drift_w"] > 0 and "drift_w" not in hat and hat["ratio"] is None
    assert smile["ratio"] == pytest.approx(smile["drift"] / smile["drift_w"])
    kept = {one.name: one for one in directions_in(networks.out)}
    assert set(kept) == {"smile", "hat"}
    one = kept["smile"]
    assert one.space == "S" and int(one.vector.count_nonzero()) == 1
    assert f"channel {smile['channel']}" in one.about
    assert "Of 2 attributes" in report.text()


def test_an_interrupted_search_goes_on(networks, monkeypatch):
    search.find_channels(replace(networks, attributes=("smile",)))
    monkeypatch.setattr(search, "effects_at", None)  # what was measured is there
    tried = []
    found = search._Search.found
    monkeypatch.setattr(
        search._Search, "found", lambda self, name: tried.append(name) or found(self, name)
    )
    assert len(search.find_channels(networks).results) == 2
    assert tried == ["hat"]
    with pytest.raises(ValueError, match="trials"):
        search.find_channels(replace(networks, trials=4))


def test_the_purest_of_the_strongest_come_first():
    effects = np.full((4, len(NAMES)), 0.1)
    own = NAMES.index("smile")
    effects[:, own] = [1.0, -0.9, 0.2, 0.01]
    effects[1] /= 3
    effects[1, own] = -0.9
    effects[3] /= 1e6
    effects[3, own] = 0.01
    found = purest("smile", effects, strong=3)
    assert [one.number for one in found] == [1, 0, 2]
    assert found[0].effect == -0.9 and found[0].purity == pytest.approx(27)


def test_the_report_counts_channels_with_half_the_drift():
    rows = [
        {"name": "a", "channel": "4.conv1/0", "deviations": 3.0, "reached": 1.0, "drift": 0.04},
        {"name": "b", "channel": "4.conv1/1", "deviations": 3.0, "reached": 1.0, "drift": 0.09},
        {"name": "c", "channel": "4.conv1/2", "deviations": 3.0, "reached": 0.0},
    ]
    beside = {"reached_w": 1.0, "drift_w": 0.1, "identity_w": 0.9}
    text = report_on([{**row, **beside} for row in rows]).text()
    assert "Of 3 attributes 1 have a channel whose drift is at most half" in text
    assert "2 one whose drift is no larger" in text


def test_unknown_attributes_are_refused(networks):
    with pytest.raises(ValueError, match="got \\['wings'\\]"):
        search.find_channels(replace(networks, attributes=("wings",)))
