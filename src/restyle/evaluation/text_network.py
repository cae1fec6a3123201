"""The report on a text-image network, on portraits that it was not trained on."""

from restyle.evaluation.report import Report
from restyle.evaluation.settings import TextNetworkEvaluation
from restyle.hub.registry import load_text
from restyle.training.zero_shot import describe, measure_text


def evaluate_text_network(config: TextNetworkEvaluation) -> Report:
    """Measure a text-image network on test portraits.

    Raises:
        ValueError: There is no such network.
        CheckpointError: Its weights cannot be used.
    """
    results = measure_text(load_text(config.name), count=config.portraits)
    return Report(f"What {config.name} knows", results, [], [describe(results)])
