import numpy as np
import pytest
import torch

from restyle.evaluation.analysis import Analysis, analyse, early_stopping
from restyle.evaluation.analysis_report import write_report
from restyle.evaluation.inside import BANDS, band_energy, band_names, moved, trace
from restyle.registry import load


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
    np.testing.assert_allclose(found["heat"][:, 1], change.abs().mean(dim=1), atol=1e-5)
    energy = change.square().mean(dim=(1, 2, 3))
    np.testing.assert_allclose(found["bands"][:, 1].sum(axis=1), energy, rtol=1e-3, atol=1e-9)


def test_moving_by_nothing_changes_nothing():
    images = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(moved(images), images)
    shifted = moved(images, shift=1 / 16)
    torch.testing.assert_close(shifted[..., :-1], images[..., 1:])


def test_early_stopping_is_compared_at_equal_cost():
    found = {
        "mse": np.array([[1.0, 0.5, 0.3, 0.2], [1.0, 0.7, 0.5, 0.4]]),
        "auto:mse": np.array([0.2, 0.5]),
        "auto:steps": np.array([3, 2]),
    }
    row = early_stopping(found)
    assert row["steps"] == 2.5 and row["mse"]["mean"] == pytest.approx(0.35)
    assert row["fixed_at_same_cost"] == pytest.approx((0.4 + 0.3) / 2)
    assert row["loss"] == pytest.approx(0.35 / 0.3 - 1)


def test_an_analysis_is_reported_and_repeatable(model_folder, single_folder, tmp_path):
    config = Analysis(model_folder, single_folder, images=3, steps=10)
    results = analyse(config, tmp_path, "cpu", batch_size=2)
    assert results["images"] == 3 and len(results["steps"]) == 11
    assert results["heat"].shape == (10, 16, 16)
    names = [row["name"] for row in results["starts"]]
    assert names == ["average", "random sample", "another image's code", "single's code"]
    average = results["starts"][0]["mse"]
    np.testing.assert_allclose(average, [r["mse"]["mean"] for r in results["steps"]], rtol=1e-4)
    undisturbed = results["disturbances"][0]
    assert undisturbed["disturbance"] == "none" and undisturbed["to_undisturbed"]["mean"] == 0
    text = write_report(results, tmp_path, "restyle analyse")
    assert f"{results['steps'][10]['mse']['mean']:.4f}" in text
    assert (tmp_path / "report.html").read_text().count("<img") == 6
    parts = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    again = analyse(config, tmp_path, "cpu", batch_size=2)
    assert again["steps"] == results["steps"] and len(parts) == 2
    assert parts == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}


def test_a_single_shot_encoder_has_no_loop(single_folder, tmp_path):
    with pytest.raises(ValueError, match="expected a model that refines"):
        analyse(Analysis(single_folder), tmp_path, "cpu")
