"""Directions that are known to be there are found, and what they do is measured rightly."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from restyle.editing.directions import Direction, directions_in, read_direction, save_direction
from restyle.evaluation import directions as search
from restyle.evaluation.attributes import ACCESSORIES, NAMES, Reader, changed, deviation
from restyle.evaluation.directions import judgement, report_on
from restyle.evaluation.edit_sweep import Sweep, in_batches, matched_drift, rises, sweep
from restyle.evaluation.generator import read_attributes
from restyle.evaluation.settings import DirectionSearch
from restyle.io.checkpoints import weights_hash
from restyle.io.files import write_json
from restyle.portraits.attributes import Attributes, class_names, continuous_names
from restyle.portraits.visibility import visible
from tests.evaluation.stubs import Pixels
from tests.tiny import SIZE, tiny_generator, tiny_model

# Readings


def test_accessories_are_read_as_being_there():
    network = Pixels()
    readings, embeddings, shown = Reader(network)(torch.randn(5, 3, SIZE, SIZE))
    assert readings.shape == shown.shape == (5, len(NAMES)) and embeddings.shape == (5, 6)
    logits = network.heads(images := torch.randn(5, 3, SIZE, SIZE))["logits"]
    parts = logits.split([len(names) for names in class_names.values()], dim=1)
    glasses = dict(zip(class_names, parts, strict=True))["glasses"].softmax(dim=1)
    expected = (1 - glasses[:, 0]) / deviation("glasses")
    assert np.allclose(Reader(network)(images)[0][:, NAMES.index("glasses")], expected, atol=1e-5)
    assert deviation("glasses") == pytest.approx((0.65 * 0.35) ** 0.5)


def test_labels_leave_out_what_is_not_shown():
    network, images = Pixels(), torch.randn(200, 3, SIZE, SIZE)
    labels = Reader(network).labels(images)
    length = labels[:, NAMES.index("hair_length")]
    assert 0 < np.isnan(length).sum() < 200
    assert np.isfinite(labels[:, NAMES.index("smile")]).all()
    assert (Reader(network)(images).shown == np.isfinite(labels)).all()
    people = read_attributes(network.attributes(images))
    assert np.isnan(length).tolist() == [not visible(person)["hair_length"] for person in people]


@pytest.mark.parametrize("name", ["smile", "yaw", "age"])
def test_a_true_change_is_one_deviation(name):
    network, column = Pixels(), list(continuous_names).index(name)
    for person in (Attributes(), Attributes().with_(smile=1.0, yaw=28.0, age=80.0)):
        other = changed(person, name, network)
        moved = (other.to_vector() - person.to_vector()) / network.scale.numpy()
        assert abs(moved[column]) == pytest.approx(1, abs=1e-4)
        assert np.count_nonzero(moved) == 1


def test_accessories_are_put_on_and_taken_off():
    bare, network = Attributes(), Pixels()
    for name in ACCESSORIES:
        dressed = changed(bare, name, network)
        assert getattr(dressed, name) != "none"
        assert changed(dressed, name, network) == bare
    assert changed(bare, "glasses", network).glasses == "thick"


# Responses


def linear_sweep(slopes, strengths=(-2, -1, 0, 1, 2)):
    """N pictures whose first attribute changes by `slopes` a strength, the second by half of it."""
    s, k = np.array(strengths, float), np.array(slopes, float)
    own = s[:, None] * k[None]
    readings = np.stack([own + 5, own / 2, np.zeros_like(own)], axis=-1)
    return Sweep(s, readings, 1 - 0.1 * np.abs(own), own=0)


def test_slopes_and_rises():
    found = linear_sweep([0.5, 2.0, -1.0])
    assert np.allclose(found.slope(), [0.5, 2.0, -1.0])
    assert found.rises().tolist() == [True, True, False]


def test_a_curve_that_wavers_where_nothing_is_left_to_change_rises():
    assert rises(np.array([-0.414, -0.415, 0.0, 0.3, 0.3]))
    assert not rises(np.array([-0.4, -0.45, 0.0, 0.3, 0.4]))
    assert rises(np.array([[0.0, 0.0], [1.0, -1.0]])).tolist() == [True, False]


def test_what_is_hidden_before_or_after_an_edit_does_not_drift():
    found = linear_sweep([1.0, 1.0])
    shown = np.ones(found.readings.shape, bool)
    shown[3:, 0, 1] = False  # hidden by the edit of the first picture, from strength 1 on
    shown[2, 1, 2] = False  # the second picture did not show it before
    masked = replace(found, shown=shown)
    readings, _ = masked.at(np.array([1.0, 1.0]))
    assert np.isnan(readings).tolist() == [[False, True, False], [False, False, True]]
    moved, _, reached = matched_drift(masked)
    assert reached.all() and np.allclose(moved[1:], [0.5, 0.0])
    # Pictures that do not show the asked attribute are not asked.
    shown[2, 0, 0] = False
    assert len(matched_drift(masked)[2]) == 2 and masked.visible.tolist() == [False, True]


def test_the_strength_for_a_change_is_the_smallest_one():
    found = linear_sweep([0.5, 2.0, 0.1])
    assert np.allclose(found.strength_for(np.ones(3)), [2.0, 0.5, np.nan], equal_nan=True)
    assert np.allclose(found.strength_for(-np.ones(3)), [-2, -0.5, np.nan], equal_nan=True)
    assert found.strength_for(np.zeros(3)).tolist() == [0, 0, 0]
    readings, identity = found.at(np.array([2.0, 0.5, np.nan]))
    assert np.allclose(readings[:2, 1], [0.5, 0.5]) and np.isnan(readings[2]).all()
    assert np.allclose(identity[:2], [0.9, 0.9])


def test_drift_at_matched_change_does_not_depend_on_the_slope():
    for slopes in ([0.5, 0.6], [2.0, 1.0]):
        moved, identity, reached = matched_drift(linear_sweep(slopes))
        assert np.allclose(moved[1:], [0.5, 0.0]) and np.isnan(moved[0])
        assert reached.all() and np.allclose(identity, 0.9)
    assert search.selection(linear_sweep([0.1])) == (True, float("inf"))
    assert search.selection(linear_sweep([-1.0])) == (True, float("inf"))
    # One picture of four gets there: its drift says little about the direction.
    slopes = ([2.0, 0.1, 0.1, 0.1], [2.0] * 4)
    (_, few), (dropped, all_) = (search.selection(linear_sweep(s)) for s in slopes)
    assert few == pytest.approx(4 * all_) and not dropped
    # What changes something else as much is worse than anything that does not.
    both = linear_sweep([2.0])
    both.readings[..., 1] *= 2
    assert search.selection(both)[0] and search.selection(both) > (False, few)


def test_a_sweep_reads_the_edited_pictures():
    generator, reader = tiny_generator(), Reader(Pixels())
    ws = generator.broadcast(torch.randn(40, 8))  # more than a batch
    direction = Direction("yaw", torch.randn(8), 1.0)
    found = sweep(generator.synthesis, ws, direction, [-1.0, 0.0, 1.0], reader, own=17)
    assert found.readings.shape == (3, 40, len(NAMES))
    with torch.no_grad():
        expected = reader(generator.synthesis(ws + direction.vector)).values
    assert np.allclose(found.readings[2], expected, atol=1e-4)
    assert np.allclose(found.identity[1], 1, atol=1e-5) and (found.identity[2] < 0.9999).any()
    known = in_batches(generator.synthesis, ws, reader)
    again = sweep(generator.synthesis, ws, direction, [0.0, 1.0], reader, 17, known)
    assert np.array_equal(again.before, known.values)
    assert np.allclose(again.readings[1], found.readings[2], atol=1e-5)


# The search


@pytest.fixture
def networks(monkeypatch):
    generator = tiny_generator()
    monkeypatch.setattr(search, "load_generator", lambda name: generator)
    monkeypatch.setattr(search, "load_features", lambda name: Pixels(noise=0.1, seed=len(name)))
    monkeypatch.setattr(search, "NAMED", 99)  # W has 8 dimensions for 38 attributes
    return generator


WANTED = ("smile", "yaw", "age", "glasses", "hair_length")
CONFIG = DirectionSearch(Path(), "tiny", samples=300, trials=4, checks=12, attributes=WANTED)


def find(config, out, overwrite=False):
    report = search.find_directions(replace(config, out=out, device="cpu", overwrite=overwrite))
    return report.record()


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


def test_variants_hold_others_still_more_and_more():
    rng = np.random.default_rng(0)
    w = rng.normal(size=(3000, 60)).astype(np.float32)
    labels = np.full((3000, len(NAMES)), np.nan)
    smile, age = NAMES.index("smile"), NAMES.index("age")
    labels[:, smile], labels[:, age] = w[:, 0], w[:, 0] + w[:, 1]
    effects = search.linear_model(w, labels)
    assert np.allclose(effects[smile][:2], [1, 0], atol=0.05)
    assert np.allclose(effects[age][:2], [0.7071, 0.7071], atol=0.05)
    normals = {"smile": np.eye(60)[0], "age": (np.eye(60)[0] + np.eye(60)[1]) / 2**0.5}
    found = search.candidates("smile", normals, effects)
    assert [how for _, how in found] == [
        "",
        ", others held still with weight 1",
        ", others held still with weight 4",
        ", others held still with weight 16",
        ", conditional on all others",
    ]
    entangled = [abs(vector @ normals["age"]) for vector, _ in found]
    assert entangled == sorted(entangled, reverse=True) and entangled[-1] < 1e-6
    assert all(vector @ normals["smile"] > 0.7 for vector, _ in found)
    assert len(search.candidates("smile", {"smile": normals["smile"]}, effects)) == 1


def test_layers_are_tried_in_neighbouring_groups():
    assert search.layer_groups(6) == [(0, 1, 2, 3), (4, 5)]
    ends = [(rows[0], rows[-1]) for rows in search.layer_groups(10)]
    assert ends == [(0, 3), (0, 7), (4, 7), (4, 9), (8, 9)]


@pytest.mark.parametrize(
    ("slope", "other", "kept"),
    [(1.0, 0.3, True), (0.1, 0.01, False), (-1.0, 0.1, False), (1.0, 1.5, False)],
)
def test_a_direction_is_kept_if_it_works_and_deserves_its_name(slope, other, kept):
    s = np.array(search.STRENGTHS)
    readings = np.zeros((len(s), 4, len(NAMES)))
    smile, age = NAMES.index("smile"), NAMES.index("age")
    readings[..., smile], readings[..., age] = slope * s[:, None], other * s[:, None]
    found = Sweep(s, readings, np.ones((len(s), 4)), smile)
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
