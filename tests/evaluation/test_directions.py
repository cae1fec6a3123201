"""Directions that are known to be there are found, and what they do is measured rightly."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from restyle.cli import main
from restyle.editing.directions import Direction, directions_in, read_direction
from restyle.evaluation import directions as search
from restyle.evaluation.attributes import ACCESSORIES, NAMES, Reader, changed, deviation
from restyle.evaluation.responses import Sweep, sweep
from restyle.files import write_json
from restyle.portraits.attributes import Attributes, class_names, continuous_names
from tests.evaluation.stubs import Pixels
from tests.tiny import SIZE, tiny_generator, tiny_model

# Readings


def test_accessories_are_read_as_being_there():
    network = Pixels()
    readings, embeddings = Reader(network)(torch.randn(5, 3, SIZE, SIZE))
    assert readings.shape == (5, len(NAMES)) and embeddings.shape == (5, 6)
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
        moved, identity, reached = search.matched_drift(linear_sweep(slopes))
        assert np.allclose(moved[1:], [0.5, 0.0]) and np.isnan(moved[0])
        assert reached.all() and np.allclose(identity, 0.9)
    assert search.selection(linear_sweep([0.1])) == float("inf")
    assert search.selection(linear_sweep([-1.0])) == float("inf")


def test_a_sweep_reads_the_edited_pictures():
    generator, reader = tiny_generator(), Reader(Pixels())
    ws = generator.broadcast(torch.randn(40, 8))  # more than a batch
    direction = Direction("yaw", torch.randn(8), 1.0)
    found = sweep(generator.synthesis, ws, direction, [-1.0, 0.0, 1.0], reader, own=17)
    assert found.readings.shape == (3, 40, len(NAMES))
    with torch.no_grad():
        expected, _ = reader(generator.synthesis(ws + direction.vector))
    assert np.allclose(found.readings[2], expected, atol=1e-4)
    assert np.allclose(found.identity[1], 1, atol=1e-5) and (found.identity[2] < 0.9999).any()


# The search


@pytest.fixture
def networks(monkeypatch):
    generator = tiny_generator()
    monkeypatch.setattr(search, "load_generator", lambda name: generator)
    monkeypatch.setattr(search, "load_features", lambda name: Pixels(noise=0.1, seed=len(name)))
    return generator


def test_directions_are_found_kept_and_reported(networks, tmp_path):
    pytest.importorskip("sklearn")
    wanted = ("smile", "yaw", "age", "glasses", "hair_length")
    config = search.DirectionSearch("tiny", samples=600, trials=8, checks=24, attributes=wanted)
    records = search.find_directions(config, tmp_path)
    assert [r["name"] for r in records] == list(wanted)
    kept = {r["name"]: r for r in records if r["kept"]}
    assert len(kept) >= 3
    assert {one.name for one in directions_in(tmp_path)} == set(kept)
    for name, record in kept.items():
        one = read_direction(tmp_path / f"{name}.safetensors")
        assert record["rises"] and record["change"][4] > record["change"][0]
        assert one.scale and one.scale > 0
        assert one.licence == "MIT" and "linear SVM on 600" in one.about
        assert one.generator_sha256 and len(one.generator_sha256) == 64
    table = search.describe(records)
    assert len(table.splitlines()) == len(wanted) + 2 and "drift of others" in table

    # The labels are not made again, and another search is not mixed with this one.
    networks.synthesis.forward = None
    parts = list((tmp_path / "samples").glob("*.npz"))
    assert len(parts) == 2
    w, labels = search.labelled_samples(networks, Reader(Pixels()), tmp_path / "samples", config)
    assert labels.shape == (600, len(NAMES)) and w.shape == (600, 8)
    with pytest.raises(ValueError, match="choose another folder"):
        search.find_directions(search.DirectionSearch("tiny", samples=500), tmp_path)


def test_variants_hold_still_what_a_direction_is_entangled_with():
    rng = np.random.default_rng(0)
    w = rng.normal(size=(3000, 60)).astype(np.float32)
    labels = np.full((3000, len(NAMES)), np.nan)
    smile, age = NAMES.index("smile"), NAMES.index("age")
    labels[:, smile], labels[:, age] = w[:, 0], w[:, 0] + w[:, 1]
    effects = search.linear_model(w, labels)
    assert np.allclose(effects[smile][:2], [1, 0], atol=0.05)
    assert np.allclose(effects[age][:2], [0.7071, 0.7071], atol=0.05)
    normals = {"smile": np.eye(60)[0], "age": (np.eye(60)[0] + np.eye(60)[1]) / 2**0.5}
    (plain, _), (held, how), (all_held, _) = search.candidates("smile", normals, effects)
    assert how == ", conditional on age" and np.allclose(held, all_held)
    assert abs(held @ normals["age"]) < 1e-6 and plain @ normals["age"] > 0.7


# The commands


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return SimpleNamespace(code=caught.value.code, out=out, err=err)

    return call


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny_model().save_pretrained(folder)
    return folder


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
