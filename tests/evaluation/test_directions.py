"""Directions that are known to be there are found, and what they do is measured rightly."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from restyle.editing.directions import Direction, directions_in, read_direction, save_direction
from restyle.evaluation import direction_search
from restyle.evaluation import directions as search
from restyle.evaluation.attributes import NAMES
from restyle.evaluation.directions import judgement, report_on
from restyle.evaluation.edit_sweep import Sweep
from restyle.evaluation.settings import DirectionSearch
from restyle.io.checkpoints import weights_hash
from restyle.io.files import write_json
from tests.evaluation.stubs import Pixels
from tests.tiny import tiny_generator, tiny_model


@pytest.fixture
def networks(monkeypatch):
    generator = tiny_generator()
    monkeypatch.setattr(search, "load_generator", lambda name: generator)
    monkeypatch.setattr(search, "load_features", lambda name: Pixels(noise=0.1, seed=len(name)))
    for module in (search, direction_search):
        monkeypatch.setattr(module, "NAMED", 99)  # W has 8 dimensions for 38 attributes
    return generator


WANTED = ("smile", "yaw", "age", "glasses", "hair_length")
CONFIG = DirectionSearch(Path(), "tiny", samples=300, trials=4, checks=12, attributes=WANTED)


def find(config, out, overwrite=False):
    report = search.find_directions(replace(config, out=out, device="cpu", overwrite=overwrite))
    return report.results


def test_directions_are_found_kept_and_reported(networks, tmp_path):
    pytest.importorskip("sklearn")
    records = find(CONFIG, tmp_path)
    assert [r["name"] for r in records] == list(WANTED)
    kept = {r["name"]: r for r in records if r["kept"]}
    assert len(kept) >= 3
    assert {one.name for one in directions_in(tmp_path)} == set(kept)
    for name, record in kept.items():
        one = read_direction(tmp_path / f"{name}.safetensors")
        assert record["rises"] and record["change"][5] > record["change"][1]
        assert one.scale and one.scale > 0
        assert one.licence == "MIT" and "linear SVM on 300" in one.about
        assert one.generator_sha256 == weights_hash(networks.state_dict())
    table = report_on(records).text()
    assert len(table.splitlines()) == len(WANTED) + 4 and "drift of others" in table
    assert f"{len(kept)} of 5 directions are kept" in table
    assert (records[3]["flips"] is None, records[0]["flips"]) == (False, None)

    # Nothing but the results is left, and the search is not made again.
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"report.json", *(f"{name}.safetensors" for name in kept)}
    networks.synthesis.forward = None
    again = find(CONFIG, tmp_path)
    assert [r["name"] for r in again] == list(WANTED) and report_on(again).text() == table


def test_an_interrupted_search_goes_on(networks, tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    best, asked = search.Search.best, []

    def interrupted(self, name, bench):
        asked.append(name)
        if asked == ["smile", "yaw"]:
            raise KeyboardInterrupt
        return best(self, name, bench)

    monkeypatch.setattr(search.Search, "best", interrupted)
    with pytest.raises(KeyboardInterrupt):
        find(CONFIG, tmp_path)
    assert not (tmp_path / "report.json").exists()
    records = find(CONFIG, tmp_path)
    assert [r["name"] for r in records] == list(WANTED)
    assert asked == ["smile", "yaw", "yaw", "age", "glasses", "hair_length"]


def test_another_search_replaces_directions_only_where_that_is_asked_for(networks, tmp_path):
    pytest.importorskip("sklearn")
    find(CONFIG, tmp_path)
    before = {one.name for one in directions_in(tmp_path)}
    other = replace(CONFIG, samples=250, attributes=("yaw",))
    with pytest.raises(ValueError, match="choose another folder, or --overwrite"):
        find(other, tmp_path)
    assert {one.name for one in directions_in(tmp_path)} == before
    save_direction(Direction("mine", torch.ones(8), 1.0), tmp_path / "mine.safetensors")
    [record] = find(other, tmp_path, overwrite=True)
    now = {one.name for one in directions_in(tmp_path)}
    assert now == {"mine"} | ({"yaw"} if record["kept"] else set())  # no stale ones are left


@pytest.mark.parametrize(
    ("slope", "other", "kept"),
    [(1.0, 0.3, True), (0.1, 0.01, False), (-1.0, 0.1, False), (1.0, 1.5, False)],
)
def test_a_direction_is_kept_if_it_works_and_deserves_its_name(slope, other, kept):
    s = np.array(search.STRENGTHS)
    readings = np.zeros((len(s), 4, len(NAMES)))
    smile, age = NAMES.index("smile"), NAMES.index("age")
    readings[..., smile], readings[..., age] = slope * s[:, None], other * s[:, None]
    found = Sweep(s, readings, np.ones((len(s), 4)), smile, np.ones(readings.shape, bool))
    record = judgement(Direction("smile", torch.ones(8), 1.0), found)
    assert record["kept"] is kept
    if kept:
        assert record["most_entangled"]["age"] == pytest.approx(0.3)
        assert record["drift"] == pytest.approx(0.3 / (len(NAMES) - 1))


# The commands


@pytest.mark.parametrize("method", ["ganspace", "sefa"])
def test_components_are_written_listed_and_described(run, model_folder, tmp_path, method):
    out = tmp_path / "found"
    line = ("directions", "components", "--generator", model_folder, "--out", out)
    assert run(*line, "--method", method, "--count", 3).code == 0
    assert [one.name for one in directions_in(out)] == [f"{method}-{i}" for i in (1, 2, 3)]
    digest = tiny_model().editor.generator_sha256
    assert all(one.generator_sha256 == digest and one.scale for one in directions_in(out))
    listed = run("directions", "list", out)
    assert len(listed.out.splitlines()) == 4 and digest[:12] in listed.out
    told = run("directions", "info", out / f"{method}-1.safetensors")
    assert told.code == 0 and digest in told.out and "space: W\n" in told.out
    too_many = run(*line, "--method", method, "--count", 9)
    assert too_many.code == 2 and "1 to 8 components" in too_many.err


def test_the_first_principal_component_has_the_largest_scale(run, model_folder, tmp_path):
    run("directions", "components", "--generator", model_folder, "--count", 8, "--out", tmp_path)
    scales = [one.scale or 0 for one in directions_in(tmp_path)]
    assert scales == sorted(scales, reverse=True)


def test_published_directions_are_imported(run, model_folder, tmp_path):
    torch.save(torch.ones(1, 8), tmp_path / "age.pt")
    line = ("directions", "import", tmp_path / "age.pt", "--generator", model_folder)
    out = tmp_path / "own/age.safetensors"
    assert run(*line, "--licence", "MIT", "--out", out).code == 0
    found = read_direction(out)
    assert (found.name, found.licence) == ("age", "MIT") and found.scale
    assert found.generator_sha256 == tiny_model().editor.generator_sha256
    torch.save(torch.ones(1, 9), tmp_path / "age.pt")
    wide = run(*line, "--out", tmp_path / "wide.safetensors")
    assert wide.code == 2 and "(9,)" in wide.err and not (tmp_path / "wide.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["info", "smirk"], "unknown direction 'smirk'"),
        (["info", "none.pt"], "nothing of that name"),
        (["find", "--generator", "nope", "--out", "x"], "unknown model 'nope'"),
        (["find", "--attributes", "smirk", "--out", "x"], "expected attributes of"),
        (["components", "--generator", "nope", "--out", "x"], "unknown model 'nope'"),
    ],
)
def test_what_is_not_there_is_one_sentence(run, arguments, words):
    result = run("directions", *arguments)
    assert result.code == 2 and words in result.err and len(result.err.splitlines()) == 1


def test_a_damaged_file_in_a_folder_is_named(run, tmp_path):
    write_json(tmp_path / "smile.safetensors", {})
    result = run("directions", "list", tmp_path)
    assert result.code == 2 and "smile.safetensors: expected a direction's file" in result.err
