"""Editability and bootstrapping, measured with networks whose readings are known."""

import re

import numpy as np
import pytest
import torch

import restyle
from restyle.editing.directions import Direction, save_direction
from restyle.editing.editor import SAMPLES
from restyle.evaluation import bootstrapping, editability
from restyle.evaluation.attributes import NAMES, Reader, changed
from restyle.evaluation.editability import (
    _how_many,
    change_at,
    change_beside,
    examples,
)
from restyle.evaluation.edited_portraits import (
    STRENGTHS,
    Edited,
    asked_change,
    shown_in_both,
    w_distance,
)
from restyle.losses.pixels import l2
from restyle.portraits import Portraits
from restyle.portraits.attributes import continuous_names
from tests.evaluation.stubs import Pixels
from tests.tiny import CODES, SIZE, tiny_model

pytest.importorskip("skia")
pytest.importorskip("matplotlib")

COUNT = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two models, and directions of the first one's generator."""
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("first", "second")):
        tiny_model(seed).save_pretrained(folder / name)
    model = tiny_model()
    for seed, name in enumerate(("smile", "glasses")):
        vector = torch.randn(CODES[1], generator=torch.Generator().manual_seed(seed))
        found = Direction(name, vector, generator_sha256=model.editor.generator_sha256)
        ready = found.calibrated(model.generator.sample_w(SAMPLES))
        save_direction(ready, folder / f"directions/{name}.safetensors")
    return folder


@pytest.fixture(autouse=True)
def _features_are_pixels(monkeypatch):
    for module in (editability, bootstrapping):
        monkeypatch.setattr(module, "load_features", lambda name: Pixels())


@pytest.fixture
def evaluate(run, folder, tmp_path):
    def call(*arguments, directions=folder / "directions", images=COUNT):
        line = ["--model", folder / "first", "--directions", directions, "--images", images]
        options = ["--out", tmp_path, "--device", "cpu", "--batch-size", 3]
        return run("evaluate", "editing", *line, *options, *arguments)

    return call


def arrays_of(tmp_path, method):
    [found] = [p for p in (tmp_path / "methods").iterdir() if p.name.endswith(method)]
    parts = [dict(np.load(path)) for path in sorted((found / "parts").glob("*.npz"))]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


# Editability


@pytest.mark.slow
def test_methods_are_compared_with_the_truth(evaluate, folder, tmp_path):
    result = evaluate("--methods", "restyle:2", "ws:2", "restyle:1+pti:2")
    assert (result.code, result.err) == (0, "")
    for name in ("restyle:2", "ws:2", "restyle:1+pti:2", "smile", "glasses"):
        assert name in result.out
    assert {"report.html", "results.json"} < {p.name for p in tmp_path.iterdir()}
    assert len(list((tmp_path / "examples").glob("*.png"))) == 3 * 2

    arrays = arrays_of(tmp_path, "restyle:2")
    model, reader = restyle.load(folder / "first", "cpu"), Reader(Pixels())
    portraits = Portraits("test", SIZE)
    target = torch.from_numpy(portraits.images(range(COUNT))).movedim(-1, 1) / 127.5 - 1
    ws = model.invert(target, steps=2).ws
    before = model.generate(ws)
    assert np.allclose(arrays["mse"], l2(before, target), atol=1e-4)
    moved = model.edit(ws, folder / "directions/smile.safetensors", 2.0).image
    own = NAMES.index("smile")
    change = reader(moved).values[:, own] - reader(before).values[:, own]
    assert np.allclose(arrays["change"][:, 0, STRENGTHS.index(2)], change, atol=1e-4)


def test_edits_that_get_there_change_as_much_as_was_asked_for(evaluate, folder, tmp_path):
    evaluate("--methods", "restyle:1", "--attributes", "smile")
    arrays = arrays_of(tmp_path, "restyle:1")
    strength, asked = arrays["strength"][:, 0], arrays["asked"][:, 0]
    assert np.isfinite(asked).all() and np.allclose(np.abs(asked), 1, atol=0.02)
    there = np.isfinite(strength)
    for key in ("identity", "truth_mse", "truth_identity", "unedited_mse"):
        assert (np.isfinite(arrays[key][:, 0]) == there).all(), key
    model, reader = restyle.load(folder / "first", "cpu"), Reader(Pixels())
    portraits = Portraits("test", SIZE)
    target = torch.from_numpy(portraits.images(range(COUNT))).movedim(-1, 1) / 127.5 - 1
    ws, own = model.invert(target, steps=1).ws, NAMES.index("smile")
    before = reader(model.generate(ws)).values
    for i in np.flatnonzero(there):
        edited = model.edit(
            ws[i : i + 1], folder / "directions/smile.safetensors", float(strength[i])
        )
        after = reader(edited.image).values
        # The sweep takes changes to be linear between its strengths.
        assert abs(after[0, own] - before[i, own] - asked[i]) < 0.5
        moved = np.abs(after[0] - before[i])
        seen = np.isfinite(arrays["drift"][i, 0])
        assert not seen[own]
        assert np.allclose(arrays["drift"][i, 0][seen], moved[seen], atol=1e-3)


def test_the_figures_that_are_asked_for_are_printed(evaluate):
    result = evaluate("--methods", "restyle:1", "restyle:2")
    header, _, *rows = result.out[result.out.index("Figures") :].split("\n\n")[1].splitlines()
    titles = [cell.strip() for cell in header.strip("|").split("|")]
    assert titles[1:4] == [
        "rise over -2..2",
        "drift of others below 0.35",
        "every other below 0.35",
    ]
    assert titles[4] == "glasses flips at identity > 0.5"
    assert titles[-1] == "change at identity 0.8, of tiny restyle:1's"
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[0] for row in cells] == ["tiny restyle:1", "tiny restyle:2"]
    assert cells[0][-1] == "1.000 [1.000, 1.000]" and re.match(r"\d\.\d{3} \[", cells[1][-1])
    assert all(re.match(r"\d of 2", row[1]) and row[4].endswith("%") for row in cells)
    assert [row[5] for row in cells] == ["", ""]  # there is no direction for beards here


def test_a_hat_hides_what_it_hides():
    person = Portraits("test", SIZE)[0].attributes.with_(hair_style="short", hat="none")
    [seen] = shown_in_both([person], [person.with_(hat="beanie")])
    hidden = {name for name, there in zip(NAMES, seen, strict=True) if not there}
    assert hidden >= {"hair_length", "hair_part"}
    [bare] = shown_in_both([person], [person])
    assert bare[NAMES.index("hair_part")]


def test_what_was_never_reached_is_neither_good_nor_bad():
    told = _how_many({"a": True, "b": False, "c": None, "d": True})
    assert told == "2 of 3 (not b; never reached: c)"
    assert _how_many({"a": True}) == "1 of 1"


def test_examples_of_attributes_with_long_names_fit_together(tmp_path):
    strengths = np.array([[np.nan], [-1.0], [3.999]])
    pictures = np.zeros((3, 1, 4, 64, 64, 3), np.uint8)
    name = "background_green"
    one = Edited("a method", (name,), {"examples": pictures, "strength": strengths})
    [(path, caption)] = examples([one], tmp_path)
    assert path.stat().st_size and name in caption and name in path.name


def test_methods_are_compared_at_equal_identity_image_by_image():
    strengths = np.array(STRENGTHS)

    def method(slopes):
        change = np.array(slopes)[:, None, None] * strengths
        kept = np.broadcast_to(1 - 0.1 * np.abs(strengths), change.shape)
        return Edited("", ("smile",), {"mse": change[:, 0], "change": change, "identity_at": kept})

    first = method([1.0, 2.0, 3.0])
    assert change_beside(first, method([0.9, 1.8, 2.7])) == pytest.approx((0.9, 0.9, 0.9))
    mean, low, high = change_beside(first, method([1.0, 2.0, 1.5])) or (0, 0, 0)
    assert mean == pytest.approx(0.75) and low < 0.75 < high
    assert change_beside(first, method([1.0, 2.0])) is None


@pytest.mark.slow
def test_a_repeated_evaluation_is_not_made_again_and_may_grow(evaluate, tmp_path, monkeypatch):
    first = evaluate("--methods", "restyle:1")
    measure, measured = editability.measure, []

    def counted(one, *rest):
        measured.append(one.name)
        return measure(one, *rest)

    monkeypatch.setattr(editability, "measure", counted)
    assert evaluate("--methods", "restyle:1").out == first.out
    assert not measured
    more = evaluate("--methods", "restyle:1", "restyle:2")
    assert more.code == 0 and set(measured) == {"tiny restyle:2"}
    other = evaluate("--methods", "restyle:1", images=6)
    assert other.code == 2 and "choose another folder" in other.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--attributes", "yaw"], "unknown direction 'yaw'"),
        (["--attributes", "smirk"], "got smirk"),
        (["--methods", "magic"], "expected a method of"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(evaluate, arguments, words):
    result = evaluate(*arguments)
    assert result.code == 2 and words in result.err and len(result.err.splitlines()) == 1


def test_directions_are_needed(evaluate, tmp_path):
    result = evaluate(directions=tmp_path / "nowhere")
    assert result.code == 2 and "got none" in result.err


def test_codes_in_w_have_no_distance_from_it():
    w = torch.randn(3, 1, 8).expand(3, 6, 8)
    assert torch.allclose(w_distance(w), torch.zeros(3), atol=1e-6)
    ws = torch.zeros(1, 2, 1)
    ws[0, 1] = 2
    assert w_distance(ws).item() == pytest.approx(1)


def test_change_at_equal_identity():
    strengths = np.array(STRENGTHS)
    change = np.stack([strengths, strengths])  # one deviation a strength
    assert change_at(0.8, change, 1 - 0.1 * np.abs(change)) == pytest.approx(2)
    assert change_at(0.8, 2 * change, 1 - 0.1 * np.abs(change)) == pytest.approx(4)
    assert change_at(0.8, change, np.ones_like(change)) == pytest.approx(4)  # never falls so far


def test_the_asked_change_is_what_the_attributes_say():
    network = Pixels()
    person = Portraits("test", SIZE)[0].attributes
    other = changed(person, "yaw", network)
    column = list(continuous_names).index("yaw")
    true = (other.to_vector() - person.to_vector())[column] / network.scale[column].item()
    images = torch.zeros(1, 3, SIZE, SIZE)
    asked = asked_change("yaw", [person], [other], (images, images), Reader(network))
    assert asked[0] == pytest.approx(true)


# Bootstrapping


def test_bootstrapping_is_measured_against_the_true_toon(run, folder, tmp_path):
    models = ["--source", folder / "first", "--target", folder / "second"]
    line = ["evaluate", "bootstrapping", *models, "--device", "cpu", "--out", tmp_path]
    result = run(*line, "--steps", 3, "--images", COUNT, "--batch-size", 3)
    assert (result.code, result.err) == (0, "")
    table = [line for line in result.out.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 3
    assert "Bootstrapped after 2 steps, less plain after 3: MSE " in result.out
    parts = [dict(np.load(path)) for path in sorted((tmp_path / "parts").glob("*.npz"))]
    found = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    assert found["plain.mse"].shape == (COUNT, 3)

    source, target = (restyle.load(folder / name, "cpu") for name in ("first", "second"))

    def images(style):
        pixels = Portraits("test", SIZE, style).images(range(COUNT))
        return torch.from_numpy(pixels).movedim(-1, 1) / 127.5 - 1

    photos, toons = images("photo"), images("toon")
    both = restyle.bootstrap(photos, source, target, source_steps=1, steps=3)
    plain = target.invert(photos, steps=3)
    for t in (1, 2, 3):
        step = both.steps[1 + t].image
        assert np.allclose(found["bootstrapped.mse"][:, t - 1], l2(step, toons), atol=1e-4)
        step = plain.steps[t].image
        assert np.allclose(found["plain.mse"][:, t - 1], l2(step, toons), atol=1e-4)
    difference = found["bootstrapped.mse"][:, 1] - found["plain.mse"][:, 2]
    assert f"MSE {difference.mean():+.4f} [" in result.out
    assert len(list((tmp_path / "examples").glob("*.png"))) == 4
    assert (tmp_path / "report.html").stat().st_size > 1000
    again = run(*line, "--steps", 4, "--images", COUNT)
    assert again.code == 2 and "choose another folder" in again.err
