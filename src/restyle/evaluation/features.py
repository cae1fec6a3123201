"""The report on a feature network, on portraits that it was not trained on."""

from restyle.evaluation.report import Report
from restyle.evaluation.settings import FeatureEvaluation
from restyle.hub.registry import load_features
from restyle.portraits import Portraits
from restyle.training.features import describe
from restyle.training.features import evaluate_features as measure


def evaluate_features(config: FeatureEvaluation) -> Report:
    """Measure a feature network on test portraits, two views of every person.

    Raises:
        ValueError: There is no such network.
        CheckpointError: Its weights cannot be used.
    """
    network = load_features(config.name)
    results = measure(network, Portraits("test", network.config.size), config.persons)
    return Report(f"What {config.name} sees", results, [], [describe(results)])
