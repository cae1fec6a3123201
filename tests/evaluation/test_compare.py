import json
import shutil

import numpy as np
import pytest
from PIL import Image

from restyle.evaluation.compare import Comparison, compare
from restyle.evaluation.comparison_report import write_report
from restyle.evaluation.contest import log_steps
from restyle.files import read_jsonl


@pytest.fixture(scope="module")
def compared(tmp_path_factory, model_folder, single_folder, judge_folder):
    out = tmp_path_factory.mktemp("out")
    config = Comparison(
        models=(model_folder, single_folder),
        methods=("restyle:2", "ws:4", "restyle:1+pti:2"),
        images=4,
        judge=judge_folder,
        features=judge_folder,
        measures=("mse", "perceptual"),
    )
    return compare(config, out, "cpu", batch_size=2), out


def test_each_method_runs_once(compared):
    found, _ = compared
    names = ["tiny restyle:2", "tiny ws:4", "tiny restyle:1+pti:2"]
    names += ["single restyle:1", "single restyle:1+pti:2"]  # ws is the same: one generator
    assert list(found.outcomes) == names
    assert found.outcomes["tiny ws:4"].steps.tolist() == [0, 1, 2, 3, 4]
    assert all(len(outcome.images) == 4 for outcome in found.outcomes.values())


def test_time_adds_up_and_optimisation_helps(compared):
    found, _ = compared
    for outcome in found.outcomes.values():
        assert (np.diff(outcome.seconds, axis=0) > 0).all()
    errors = found.outcomes["tiny ws:4"].values["mse"].mean(axis=1)
    assert errors[-1] < errors[0]


def test_differences_are_paired(compared):
    found, _ = compared
    row = next(r for r in found.results["against_the_first"] if r["method"] == "tiny ws:4")
    first = found.outcomes["tiny restyle:2"].values["mse"][-1]
    other = found.outcomes["tiny ws:4"].values["mse"][-1]
    assert row["mse"]["mean"] == pytest.approx((other - first).mean())
    assert row["better"] == pytest.approx((other < first).mean())


def test_the_report_stands_alone(compared):
    found, out = compared
    text = write_report(found, out, "restyle evaluate --model x")
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
    again = compare(found.config, out, "cpu", batch_size=2)
    assert (out / "rows.jsonl").read_text() == rows
    assert again.results["methods"] == found.results["methods"]
    more = Comparison(**{**vars(found.config), "methods": ("w:2",)})
    assert list(compare(more, out, "cpu", 2).outcomes) == ["tiny w:2"]
    assert (out / "rows.jsonl").read_text().startswith(rows)


def test_a_messy_folder_is_finished(tmp_path, model_folder):
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    Image.effect_noise((30, 20), 80).save(data / "one.png")
    shutil.copy(data / "one.png", data / "two.png")
    (data / "broken.jpg").write_bytes(b"\xff\xd8 and nothing more")
    config = Comparison(
        (model_folder,), ("restyle:2",), str(data), measures=("mse", "psnr"), features="none"
    )
    found = compare(config, out, "cpu")
    text = write_report(found, out, "x")
    assert found.outcomes["tiny restyle:2"].images == ["one.png"]
    assert set(found.results["left_out"]) == {"two.png", "broken.jpg"}
    assert "Left out: two.png: the same file as one.png" in text
    assert len(read_jsonl(out / "rows.jsonl")) == 3


def test_optimisations_are_measured_at_round_numbers():
    assert log_steps(1500) == [
        1, 2, 3, 5, 7, 10, 20, 30, 50, 70, 100, 200, 300, 500, 700, 1000, 1500
    ]  # fmt: skip
    assert log_steps(1) == [1]
