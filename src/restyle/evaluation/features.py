"""How good a feature network is on portraits that it was not trained on."""

from restyle.evaluation.report import Report, Section
from restyle.evaluation.settings import FeatureEvaluation
from restyle.hub.registry import load_features
from restyle.io.tables import Column, Table
from restyle.portraits import Portraits
from restyle.training.features import evaluate_features as measure


def evaluate_features(config: FeatureEvaluation) -> Report:
    """Measure a feature network on test portraits, two views of every person.

    Raises:
        ValueError: There is no such network.
        CheckpointError: Its weights cannot be used.
    """
    network = load_features(config.name)
    results = measure(network, Portraits("test", network.config.size), config.persons)
    figures = {**results["accuracy"], **results["r2"]}
    columns = ["attribute", Column("accuracy or R2, where the picture shows it", ".3f")]
    sums = [
        f"Lowest accuracy of a class attribute: {results['lowest_accuracy']:.3f}.",
        f"Mean R2 of the continuous attributes: {results['mean_r2']:.3f}.",
        f"Same-person verification AUC: {results['auc']:.4f}.",
    ]
    return Report(
        f"What {config.name} sees",
        results,
        [Section(tables=[Table(columns, list(figures.items()))], prose=sums)],
        [f"Measured on {results['persons']:,} test persons, two views each."],
    )
