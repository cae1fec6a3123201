"""Pictures that a model was not made for are known by their error."""

import math

import pytest
import torch

import restyle
from restyle.inversion.domain_check import DomainCheck, errors
from restyle.io.files import write_json
from tests.tiny import silence, tiny_model


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RESTYLE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/errors"


def test_the_errors_are_the_mean_squared_ones_at_the_targets_size():
    image = torch.rand(3, 3, 8, 8) * 2 - 1
    small = torch.nn.functional.avg_pool2d(image, 2)
    assert errors(small, image) == pytest.approx([0, 0, 0], abs=1e-8)
    assert errors(small + 0.5, image) == pytest.approx([0.25] * 3, rel=1e-4)


def test_bundled_models_know_drawn_portraits_and_nothing_else():
    model = restyle.load("portraits", device="cpu")
    drawn = model.prepare([f"examples/portraits/0000000{number}.png" for number in range(3)])
    noise = torch.rand(1, 3, 128, 128) * 2 - 1
    foreign = torch.cat([drawn.flip(-2), noise])
    check = DomainCheck(model)
    for target, expected in ((drawn, False), (foreign, True)):
        result = model.invert(target)
        found = [check.is_unlike(error) for error in errors(result.target, result.image)]
        assert found == [expected] * len(target)


def test_the_limit_comes_from_the_card(cache):
    model = tiny_model(validation={"val_mse_max": 0.25})
    assert DomainCheck(model).limit == 0.5
    assert not DomainCheck(model).is_unlike(0.5)
    assert DomainCheck(model).is_unlike(0.51) and DomainCheck(model).is_unlike(math.nan)
    assert not DomainCheck(tiny_model(translates="toons")).is_unlike(9.0)
    assert not cache.exists()


@pytest.mark.parametrize("card", [{"validation": {}}, {"validation": {"val_mse_max": "0.1"}}])
def test_without_a_card_the_models_own_samples_are_measured_once(cache, capsys, card):
    model = tiny_model(**card)
    silence(model.encoder)  # every reconstruction is the average image
    samples = model.sample(16).image.clamp(-1, 1)
    average = model.average.image.expand(16, -1, -1, -1)
    limit = DomainCheck(model).limit
    assert limit == pytest.approx(4 * max(errors(samples, average)), rel=1e-4)
    assert "measuring the errors of 16 samples, once" in capsys.readouterr().err
    assert DomainCheck(model).limit == limit and capsys.readouterr().err == ""
    [kept] = cache.iterdir()
    for damaged in ("{", "[1]", '{"largest": -1}', '{"largest": NaN}'):
        kept.write_text(damaged)
        assert DomainCheck(model).limit == limit
    write_json(kept, {"largest": 0.5})
    assert DomainCheck(model).limit == 2.0


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("RESTYLE_CACHE", str(tmp_path / "file"))
    assert DomainCheck(tiny_model(validation={})).limit > 0
    assert (tmp_path / "file").read_text() == "mine"
