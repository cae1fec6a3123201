import json

import numpy as np
import pytest
import torch

from restyle.evaluation.data import Targets
from restyle.evaluation.encoder import EncoderEvaluation, describe, evaluate_encoder
from restyle.hub.registry import load, load_features
from restyle.io.files import read_jsonl
from restyle.losses.identity import identity
from restyle.losses.perceptual import perceptual


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory, model_folder, judge_folder):
    out = tmp_path_factory.mktemp("out")
    config = EncoderEvaluation(model_folder, "portraits", 5, 3, judge_folder)
    return evaluate_encoder(config, out, "cpu", batch_size=2), out, config


def test_every_image_and_step_is_measured(evaluated, model_folder, judge_folder):
    results, out, _ = evaluated
    rows = read_jsonl(out / "rows.jsonl")
    assert {(row["image"], row["step"]) for row in rows} == {
        (f"{i:06d}", step) for i in range(5) for step in range(4)
    }
    (_, target), *_ = Targets("portraits", (16, 16), 5).batches(5)
    inverted = load(model_folder, "cpu").invert(target, 3)
    judge = load_features(judge_folder)
    for step, estimate in enumerate(inverted.steps):
        found = results["steps"][step]
        expected = {
            "mse": (estimate.image - target).square().mean(),
            "perceptual": perceptual(judge, estimate.image, target).mean(),
            "identity": identity(judge, estimate.image, target).mean(),
        }
        for name, value in expected.items():
            assert found[name]["mean"] == pytest.approx(value.item(), abs=1e-5)
            assert found[name]["low"] <= found[name]["mean"] <= found[name]["high"]


def test_improved_images_are_counted(evaluated):
    results, out, _ = evaluated
    cells = {(row["image"], row["step"]): row["mse"] for row in read_jsonl(out / "rows.jsonl")}
    for row in results["steps"][1:]:
        images = {image for image, _ in cells}
        gained = [cells[i, row["step"]] < cells[i, row["step"] - 1] for i in images]
        assert row["improved"]["mean"] == pytest.approx(np.mean(gained))
    assert describe(results).count("\n| ") == 4


def test_an_interrupted_evaluation_goes_on(evaluated):
    results, out, config = evaluated
    rows = (out / "rows.jsonl").read_text().splitlines()
    (out / "rows.jsonl").write_text("\n".join(rows[:6]) + "\n")  # one image and a half
    again = evaluate_encoder(config, out, "cpu", batch_size=2)
    for row, other in zip(again["steps"], results["steps"], strict=True):
        assert row["mse"]["mean"] == pytest.approx(other["mse"]["mean"], abs=1e-6)
    assert json.loads((out / "results.json").read_text())["measured"] == 5


def test_too_many_steps_of_a_single_shot_encoder_are_refused(single_folder, judge_folder, tmp_path):
    with pytest.raises(ValueError, match="at most 1 steps"):
        config = EncoderEvaluation(single_folder, "portraits", 2, 3, judge_folder)
        evaluate_encoder(config, tmp_path, "cpu")


def test_measures_are_taken_at_the_targets_size(judge_folder):
    from restyle.evaluation.measures import Judge

    target = torch.rand(2, 3, 16, 16) * 2 - 1
    large = target.repeat_interleave(2, 2).repeat_interleave(2, 3)
    found = Judge(load_features(judge_folder)).against(target)(large)
    assert found["mse"] == pytest.approx([0, 0], abs=1e-9)
    assert found["ms_ssim"] == pytest.approx([1, 1], abs=1e-4)
    assert found["psnr"] == pytest.approx([100, 100])
    with pytest.raises(ValueError, match="expected measures of"):
        Judge(None, ["beauty"])
