"""`restyle models curvature`: where it is kept, and what it refuses."""

import pytest

import restyle
from restyle import jobs
from restyle.inversion.curvature import FILE, Curvature, ties
from restyle.losses.weighted import WeightedLosses
from tests.tiny import tiny_model


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RESTYLE_CACHE", str(tmp_path / "cache"))
    tiny_model().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_it_lies_in_the_models_folder_and_newton_finds_it(run, folder, capsys):
    told = run("models", "curvature", folder, "--probes", 20, "--rank", 5, "--device", "cpu")
    assert told.code == 0 and str(folder / FILE) in told.out
    model = restyle.load(folder, "cpu")
    tied = ties(model.generator, WeightedLosses(), model.domain.input_size)
    assert len(Curvature.load(folder / FILE, *tied).values) == 5
    target = model.sample(2, seed=5).image.clamp(-1, 1)
    found = model.invert(target, method="restyle:1+newton:1")
    assert "estimating" not in capsys.readouterr().err
    errors = [WeightedLosses()(step.image, target) for step in found.steps]
    assert (errors[-1] < errors[1]).all()


def test_a_foreign_or_bundled_models_is_kept_in_the_cache(folder, monkeypatch):
    monkeypatch.setattr("restyle.io.bundled.WEIGHTS", folder.parent)
    path = jobs.estimate_curvature(
        jobs.EstimateCurvature(model="model", probes=9, rank=3, device="cpu")
    )
    assert path.parent == folder.parent / "cache" / "curvature"
    assert not (folder / FILE).exists()


def test_what_is_there_is_kept(run, folder):
    line = ["models", "curvature", folder, "--probes", 8, "--rank", 4, "--device", "cpu"]
    assert run(*line).code == 0
    before = (folder / FILE).stat().st_mtime_ns
    assert run(*line).code == 0 and (folder / FILE).stat().st_mtime_ns == before
    assert run(*line, "--overwrite").code == 0
    assert (folder / FILE).stat().st_mtime_ns != before
    (folder / FILE).write_bytes(b"mine")
    refused = run(*line)
    assert refused.code == 2 and refused.err.count("\n") == 1
    assert f"{folder / FILE}: expected a curvature, got" in refused.err
    assert (folder / FILE).read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"probes": 0}, "probes: expected a number of 1 or more, got 0"),
        ({"rank": 0}, "rank: expected a number of 1 or more, got 0"),
    ],
)
def test_numbers_without_sense_are_refused(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        jobs.EstimateCurvature(model="portraits", **options)
