"""`restyle evaluate` and `restyle analyse`: how good models are, and how the loop works in them."""

from typing import Any

from cyclopts import App

from restyle.cli.derive import FAILED, Command, Run, add_command, function
from restyle.evaluation import settings
from restyle.io.files import printable

app = App(
    name="evaluate",
    help="Measure how good models are. Repeating a command goes on where it was interrupted.",
)


def reporting(place: str) -> Run:
    """Return what runs an evaluation and prints its report.

    Args:
        place: Of the function that takes the configuration, as `module:function`.
    """

    def run(config: Any) -> int:
        report = function(f"restyle.evaluation.{place}")(config)
        print(printable(report.text(), keep="\n"))
        page = config.out / "report.html" if hasattr(config, "out") else None
        if page and page.exists():
            print(printable(f"\nThe report is {page}", keep="\n"))
        return FAILED if getattr(report, "left_out", None) else 0

    return run


def add_analysis(root: App) -> None:
    """Add `restyle analyse` to the program."""
    add_command(root, "analyse", settings.LoopAnalysis, reporting("analysis:analyse"))


_COMMANDS = [
    ("", settings.Comparison, "compare:compare", ""),
    ("generator", settings.GeneratorEvaluation, "generator:evaluate_generators", "folders"),
    ("features", settings.FeatureEvaluation, "features:evaluate_features", "name"),
    ("editing", settings.EditingEvaluation, "editability:evaluate_editing", ""),
    ("text", settings.TextEvaluation, "text_edits:evaluate_text", ""),
    ("text-network", settings.TextNetworkEvaluation, "text_network:evaluate_text_network", "name"),
    ("drag", settings.DragEvaluation, "dragged_portraits:evaluate_drag", ""),
    ("bootstrapping", settings.BootstrappingEvaluation, "bootstrapping:evaluate_bootstrapping", ""),
    ("crossing", settings.CrossDomainEvaluation, "cross_domain:evaluate_cross_domain", ""),
]
for _name, _kind, _place, _positional in _COMMANDS:
    add_command(app, _name, _kind, reporting(_place), Command(positional=_positional))
