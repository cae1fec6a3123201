import numpy as np
import pytest
import torch
from PIL import Image

from restyle.evaluation.analysis import analyse, measured
from restyle.evaluation.loop_analysis import (
    BANDS,
    band_energy,
    band_names,
    disturbed,
    moved,
    trace,
)
from restyle.evaluation.loop_summary import early_stopping, stopped_at
from restyle.evaluation.settings import LoopAnalysis
from restyle.hub.registry import load
from restyle.inversion.adaptive import MOST_STEPS, refine_until


def wave(frequency, side=64):
    x = torch.arange(side) / side
    return torch.sin(2 * torch.pi * frequency * x).expand(1, 3, side, side)


@pytest.mark.parametrize(("frequency", "band"), [(0, 0), (1, 1), (3, 2), (6, 3), (12, 4), (30, 5)])
def test_waves_are_found_in_their_octave(frequency, band):
    image = wave(frequency) if frequency else torch.full((1, 3, 64, 64), 0.7)
    energy = band_energy(image)[0]
    assert energy[band] == pytest.approx(energy.sum().item(), rel=1e-3)
    assert energy.sum().item() == pytest.approx(image.square().mean().item(), rel=1e-4)
    assert len(band_names()) == BANDS


def test_a_trace_says_what_each_step_changed(model_folder):
    model = load(model_folder, "cpu")
    target = torch.rand(3, 3, 16, 16) * 2 - 1
    found = trace(model, target, model.start(3), 2)
    steps = model.invert(target, 2).steps
    change = steps[2].image - steps[1].image
    np.testing.assert_allclose(
        found["layers"][:, 1], (steps[2].ws - steps[1].ws).norm(dim=2), rtol=1e-3, atol=1e-6
    )
    np.testing.assert_allclose(found["heat"][1], change.abs().mean(dim=(0, 1)), atol=1e-5)
    energy = change.square().mean(dim=(1, 2, 3))
    np.testing.assert_allclose(found["bands"][:, 1].sum(axis=1), energy, rtol=1e-3, atol=1e-9)


def test_moving_by_nothing_changes_nothing():
    images = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(moved(images), images)
    shifted = moved(images, shift=1 / 16)
    torch.testing.assert_close(shifted[..., :-1], images[..., 1:])


def test_spoiled_pictures_are_compared_with_the_clean_ones_too(model_folder):
    model = load(model_folder, "cpu")
    target = torch.rand(2, 3, 16, 16) * 2 - 1
    found = disturbed(model, target, 2, seed=0)["a quarter of the resolution"]
    small = torch.nn.functional.interpolate(target, (4, 4), mode="bilinear", antialias=True)
    shown = torch.nn.functional.interpolate(small, (16, 16), mode="bilinear")
    image = model.invert(shown, 2).image
    for name, other in (("mse", shown), ("mse_to_clean", target)):
        expected = (image - other).square().mean(dim=(1, 2, 3))
        np.testing.assert_allclose(found[name], expected, rtol=1e-4)


def test_early_stopping_is_compared_at_equal_cost():
    found = {
        "mse": np.array([[1.0, 0.5, 0.3, 0.2], [1.0, 0.7, 0.5, 0.6]]),
        "layers": np.ones((2, 3, 1)),
        "auto:mse": np.array([0.2, 0.5]),
        "auto:steps": np.array([3, 2]),
    }
    row = early_stopping(found)
    assert row["steps"] == 2.5 and row["mse"]["mean"] == pytest.approx(0.35)
    assert row["fixed_at_same_cost"] == pytest.approx(0.4)
    assert row["difference"]["mean"] == pytest.approx(0.35 - 0.4)
    # Image by image the differences are 0.2 - 0.25 and 0.5 - 0.55: all resamples have the same.
    assert row["difference"]["low"] == pytest.approx(row["difference"]["high"])
    assert row["best_fixed"] == pytest.approx(0.4) and row["loss"] == pytest.approx(-0.125)
    assert row["best_of_each"] == pytest.approx(0.35) and row["loss_to_each"] == pytest.approx(0)
    assert row["fixed"] == pytest.approx([1, 0.6, 0.4, 0.4])


def test_tolerances_are_tried_without_running_the_model_again(model_folder):
    model = load(model_folder, "cpu")
    target = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(2)) * 2 - 1
    found = trace(model, target, model.start(6), MOST_STEPS)
    lengths = np.linalg.norm(found["layers"], axis=2)
    stops = set()
    for tolerance in (0.0, 1e-3, 0.02, 0.5):
        steps, mse = stopped_at(found["mse"], lengths, tolerance)
        run = list(
            refine_until(model.encode, model.generate, target, model.start(6), tolerance=tolerance)
        )
        assert steps.tolist() == torch.stack([took for _, took in run]).sum(dim=0).tolist()
        reached = (run[-1][0].image - target).square().mean(dim=(1, 2, 3))
        np.testing.assert_allclose(mse, reached, rtol=1e-4)
        stops.add(tuple(steps))
    assert len(stops) > 1


def test_an_analysis_is_reported_and_repeatable(model_folder, single_folder, tmp_path):
    config = LoopAnalysis(
        model_folder, single_folder, images=3, steps=10, out=tmp_path, batch_size=2, device="cpu"
    )
    report = analyse(config)
    results = report.results
    assert results["images"] == 3 and len(results["steps"]) == 11
    assert measured(config)[1].shape == (10, 16, 16)
    names = [row["name"] for row in results["starts"]]
    assert names == ["average", "random sample", "another image's code", "single's code"]
    average = results["starts"][0]["mse"]
    np.testing.assert_allclose(average, [r["mse"]["mean"] for r in results["steps"]], rtol=1e-4)
    undisturbed = results["disturbances"][0]
    assert undisturbed["disturbance"] == "none" and undisturbed["to_undisturbed"]["mean"] == 0
    text = report.text()
    assert results["way"] == [] and "What is missing" not in text
    assert f"{results['steps'][10]['mse']['mean']:.4f}" in text
    assert (tmp_path / "report.html").read_text().count("<img") == 8
    assert [row for row in results["disturbances"] if "mse_to_clean" in row] == (
        results["disturbances"][:3]
    )
    parts = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    again = analyse(config).results
    assert again["steps"] == results["steps"] and len(parts) == 2
    assert parts == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}


def test_a_single_shot_encoder_has_no_loop(single_folder, tmp_path):
    with pytest.raises(ValueError, match="expected a model that refines"):
        analyse(LoopAnalysis(single_folder, out=tmp_path, device="cpu"))


def test_other_images_of_a_folder_are_not_taken_for_those_measured(model_folder, tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    for i in (1, 2):
        Image.effect_noise((20, 20), 60 * i).save(data / f"{i}.png")
    config = LoopAnalysis(
        model_folder, data=str(data), steps=10, out=out, batch_size=2, device="cpu"
    )
    before = analyse(config).results
    Image.effect_noise((20, 20), 20).save(data / "2.png")
    after = analyse(config).results
    assert before["images"] == after["images"] == 2
    assert before["steps"][0]["mse"] != after["steps"][0]["mse"]


def test_a_single_image_is_analysed(model_folder, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    Image.effect_noise((30, 12), 60).save(data / "one.png")
    (data / "broken.png").write_bytes(b"no image")
    out = tmp_path / "out"
    report = analyse(LoopAnalysis(model_folder, data=str(data), steps=10, out=out, device="cpu"))
    results, text = report.results, report.text()
    assert results["images"] == 1 and "Left out: broken.png" in text
    assert [row["name"] for row in results["starts"]] == ["average", "random sample"]
