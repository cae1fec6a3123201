import pytest

from restyle.evaluation.features import evaluate_features
from restyle.evaluation.settings import FeatureEvaluation
from restyle.io.checkpoints import CheckpointError

pytest.importorskip("skia")


def test_a_network_is_measured_attribute_by_attribute(judge_folder):
    report = evaluate_features(FeatureEvaluation(judge_folder, persons=4))
    results, text = report.results, report.text()
    assert results["persons"] == 4 and 0 <= results["auc"] <= 1
    assert results["lowest_accuracy"] == min(results["accuracy"].values())
    assert f"{results['auc']:.4f}" in text and all(name in text for name in results["r2"])


def test_what_cannot_be_measured_is_refused(judge_folder, tmp_path):
    with pytest.raises(ValueError, match="persons: expected a number of 1 or more, got 0"):
        FeatureEvaluation(judge_folder, persons=0)
    with pytest.raises((CheckpointError, ValueError), match="nowhere"):
        evaluate_features(FeatureEvaluation(str(tmp_path / "nowhere"), persons=1))
