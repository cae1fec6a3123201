import dataclasses
import json
import shutil

import numpy as np
import pytest
from PIL import Image

import restyle
from restyle.evaluation.compare import remarks, report_on
from restyle.evaluation.comparison import run_comparison
from restyle.evaluation.runner import log_steps
from restyle.evaluation.settings import Comparison
from restyle.exporting.export import export
from restyle.io.files import read_jsonl


@pytest.fixture(scope="module")
def compared(tmp_path_factory, model_folder, single_folder, judge_folder):
    out = tmp_path_factory.mktemp("out")
    config = Comparison(
        model=(model_folder, single_folder),
        methods=("restyle:2", "ws:4", "restyle:1+pti:2"),
        images=4,
        optimised=3,
        judge=judge_folder,
        features=judge_folder,
        measures=("mse", "perceptual", "objective"),
        out=out,
        batch_size=2,
        device="cpu",
    )
    return run_comparison(config), out


def test_each_method_runs_once(compared):
    found, _ = compared
    names = ["tiny restyle:2", "tiny ws:4", "tiny restyle:1+pti:2"]
    names += ["single restyle:1", "single restyle:1+pti:2"]  # ws is the same: one generator
    assert list(found.outcomes) == names
    assert found.outcomes["tiny ws:4"].steps.tolist() == [0, 1, 2, 3, 4]
    images = {name: len(outcome.images) for name, outcome in found.outcomes.items()}
    assert images == {name: 3 if "ws" in name or "pti" in name else 4 for name in names}


def test_time_adds_up_and_optimisation_helps(compared):
    found, _ = compared
    for outcome in found.outcomes.values():
        assert (np.diff(outcome.seconds, axis=0) > 0).all()
    errors = found.outcomes["tiny ws:4"].values["mse"].mean(axis=1)
    assert errors[-1] < errors[0]


def test_the_objective_of_encoders_alone_has_all_of_its_terms(compared, tmp_path):
    found, _ = compared
    alone = run_comparison(dataclasses.replace(found.config, methods=("restyle:2",), out=tmp_path))
    for one in (found, alone):
        values = one.outcomes["tiny restyle:2"].values
        assert (values["objective"] > 1.01 * values["mse"]).all()


def test_half_precision_changes_little(compared, tmp_path):
    found, out = compared
    config = dataclasses.replace(found.config, methods=("ws:4",), dtype="bfloat16", out=tmp_path)
    half = run_comparison(config).outcomes["tiny ws:4"].values["mse"]
    whole = found.outcomes["tiny ws:4"].values["mse"]
    np.testing.assert_allclose(half[0], whole[0], rtol=0.01)
    assert half[-1].mean() < half[0].mean() and not np.array_equal(half, whole)
    with pytest.raises(ValueError, match="dtype"):  # other figures than those that are there
        run_comparison(dataclasses.replace(config, out=out))


@pytest.mark.slow
def test_an_export_is_as_good_as_its_model(model_folder, judge_folder, tmp_path):
    export(restyle.load(model_folder, device="cpu"), tmp_path / "export")
    config = Comparison(
        model=(model_folder, str(tmp_path / "export")),
        methods=("restyle:2",),
        images=3,
        judge=judge_folder,
        features=judge_folder,
        measures=("mse", "identity"),
        out=tmp_path / "out",
        device="cpu",
    )
    found = run_comparison(config)
    ours, theirs = found.outcomes.values()
    for measure, values in ours.values.items():
        np.testing.assert_allclose(theirs.values[measure], values, atol=1e-4)
    assert {one.label for one in found.entries} == set(config.model)
    with pytest.raises(ValueError, match="of the encoder alone"):
        run_comparison(dataclasses.replace(config, methods=("ws:2",), out=tmp_path / "no"))


def test_differences_are_paired(compared):
    found, _ = compared
    row = next(r for r in found.results["against_the_first"] if r["method"] == "tiny ws:4")
    first = found.outcomes["tiny restyle:2"].values["mse"][-1][:3]
    other = found.outcomes["tiny ws:4"].values["mse"][-1]
    assert row["images"] == 3
    assert row["mse"]["mean"] == pytest.approx((other - first).mean())
    assert row["better"] == pytest.approx((other < first).mean())


def test_gains_are_those_of_the_best_optimisation(compared):
    found, out = compared
    methods = ("restyle:2", "restyle:1", "ws:4", "ws:4@0.0001")
    more = Comparison(**{**vars(found.config), "methods": methods, "model": found.config.model[:1]})
    again = run_comparison(more)
    rows = again.results["beside_optimisation"]
    listed = [(row["method"].removeprefix("tiny "), row["step"], row["best"]) for row in rows]
    # Of restyle:1 there is nothing to tell that restyle:2 did not.
    assert listed == [
        ("restyle:2", 1, False), ("restyle:2", 2, False), ("ws:4", 4, True),
        ("ws:4@0.0001", 4, False),
    ]  # fmt: skip
    best = again.outcomes["tiny ws:4"]
    mine = again.outcomes["tiny restyle:2"]
    average = best.values["mse"][0].mean()
    assert rows[1]["images"] == 3 and rows[2]["share"]["mean"] == 1
    assert rows[1]["share"]["mean"] == pytest.approx(
        (average - mine.values["mse"][2, :3].mean()) / (average - best.values["mse"][4].mean())
    )
    faster = best.seconds[4].mean() / mine.seconds[2, :3].mean()
    assert rows[1]["times_faster"] == pytest.approx(faster)
    text = report_on(again).text()
    assert "| tiny ws:4 * " in text and "(optimised: the first 3)" in text


def test_stages_are_timed_once(compared):
    found, _ = compared
    speed = found.results["speed"]
    assert list(speed) == ["tiny restyle", "tiny ws", "tiny pti", "single restyle", "single pti"]
    assert set(speed["tiny ws"]) == {"method", "batch_1", "batch_2", "peak_memory"}
    assert "batch_2" not in speed["tiny pti"] and speed["tiny pti"]["batch_1"] > 0
    assert all(row["peak_memory"] > 2**20 for row in speed.values())


def test_more_images_can_join_later(compared):
    found, out = compared
    fewer = Comparison(**{**vars(found.config), "methods": ("restyle:2",), "images": 2})
    assert len(run_comparison(fewer).outcomes["tiny restyle:2"].images) == 2
    more = Comparison(**{**vars(found.config), "methods": ("ws:4",), "optimised": 4})
    rows = (out / "rows.jsonl").read_text()
    again = run_comparison(more)
    assert len(again.outcomes["tiny ws:4"].images) == 4
    added = (out / "rows.jsonl").read_text().removeprefix(rows).splitlines()
    assert {json.loads(line)["image"] for line in added} == {"000003"}
    assert len(run_comparison(found.config).outcomes["tiny ws:4"].images) == 3


def test_the_report_stands_alone(compared, monkeypatch):
    found, out = compared
    monkeypatch.setattr("sys.argv", ["x", "evaluate", "--model", "x"])
    text = report_on(found).write(out).text()
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "restyle evaluate --model x" in page and "data:image/svg+xml;base64," in page
    assert page.count("<img") == page.count('src="data:image/')
    for outcome in json.loads((out / "results.json").read_text())["methods"].values():
        assert f"{outcome[-1]['mse']['mean']:.4f}" in text
        assert f"{outcome[-1]['mse']['mean']:.4f}" in page
    assert (out / "strips" / "tiny_restyle_2_worst.png").exists()


def test_repeating_adds_no_rows_and_a_method_can_join(compared):
    found, out = compared
    rows = (out / "rows.jsonl").read_text()
    again = run_comparison(found.config)
    assert (out / "rows.jsonl").read_text() == rows
    assert again.results["methods"] == found.results["methods"]
    more = Comparison(**{**vars(found.config), "methods": ("w:2",)})
    assert list(run_comparison(more).outcomes) == ["tiny w:2"]
    assert (out / "rows.jsonl").read_text().startswith(rows)


def test_a_messy_folder_is_finished(tmp_path, model_folder):
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    Image.effect_noise((30, 20), 80).save(data / "one.png")
    shutil.copy(data / "one.png", data / "two.png")
    (data / "broken.jpg").write_bytes(b"\xff\xd8 and nothing more")
    config = Comparison(
        (model_folder,), ("restyle:2",), str(data), features="none", out=out, device="cpu"
    )
    config = dataclasses.replace(config, measures=("mse", "psnr"))
    found = run_comparison(config)
    text = report_on(found).text()
    assert found.outcomes["tiny restyle:2"].images == ["one.png"]
    assert set(found.results["left_out"]) == {"two.png", "broken.jpg"}
    assert "Left out: two.png: the same file as one.png" in text
    assert len(read_jsonl(out / "rows.jsonl")) == 3


def test_a_folder_of_broken_files_is_refused_with_the_reason(tmp_path, model_folder):
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    out = tmp_path / "out"
    config = Comparison((model_folder,), ("restyle:1",), str(tmp_path), measures=("mse",), out=out)
    with pytest.raises(ValueError, match=r"got none of 1; broken.jpg: expected"):
        run_comparison(config)


def test_improved_images_are_counted(compared):
    found, _ = compared
    errors = found.outcomes["tiny restyle:2"].values["mse"]
    rows = found.results["methods"]["tiny restyle:2"]
    assert "improved" not in rows[0]
    for step in (1, 2):
        improved = (errors[step] < errors[step - 1]).mean()
        assert rows[step]["improved"]["mean"] == pytest.approx(improved)
    text = report_on(found).text()
    assert "Step by step: tiny restyle:2" in text and "improved by this step" in text
    assert remarks(rows)[0] in text


def test_optimisations_are_measured_at_round_numbers():
    assert log_steps(1500) == [
        1, 2, 3, 5, 7, 10, 20, 30, 50, 70, 100, 200, 300, 500, 700, 1000, 1500
    ]  # fmt: skip
    assert log_steps(1) == [1]
