"""How good an encoder is, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from restyle.evaluation.data import Targets
from restyle.evaluation.measures import MEASURES, Judge
from restyle.evaluation.records import Records, markdown
from restyle.evaluation.runner import Outcome, contestant, outcome, run
from restyle.evaluation.timing import describe_machine
from restyle.hub.registry import load, load_features
from restyle.io.checkpoints import weights_hash
from restyle.io.files import write_json
from restyle.losses.pixels import l2
from restyle.metrics.intervals import Interval, bootstrap_mean

SHOWN = ("mse", "perceptual", "identity")


@dataclass(frozen=True)
class EncoderEvaluation:
    """How an encoder is evaluated.

    Attributes:
        model: What `restyle.load` takes.
        data: "portraits", "toon" or a folder of images.
        images: The first so many of them; all of a folder if None.
        steps: Steps of refinement; 1 for a single-shot encoder.
        judge: The feature network that judges, a bundled name or a folder.
    """

    model: str = "portraits"
    data: str = "portraits"
    images: int | None = 512
    steps: int = 10
    judge: str = "portraits-judge"


def evaluate_encoder(
    config: EncoderEvaluation, out: Path, device: str = "auto", batch_size: int = 16
) -> dict[str, Any]:
    """Measure every step on every image; what is done already is not done again.

    Args:
        config: What is measured.
        out: Keeps a line for every image and step (`rows.jsonl`) and `results.json`.
        device: Where to compute.
        batch_size: Images at once.

    Returns:
        What is written to `results.json`.

    Raises:
        ValueError: There is no such model, or `out` holds another measurement.
        ImageError: The folder holds no images.
    """
    model = load(config.model, device)
    network = load_features(config.judge).to(model.device)
    settings = {
        **vars(config),
        "model_sha256": model.weights_hash(),
        "judge_sha256": weights_hash(network.state_dict()),
    }
    records = Records(out, settings)
    targets = Targets(config.data, model.domain.input_size, config.images)
    one = contestant(model.name, model, f"restyle:{config.steps}", l2)
    run(one, targets, Judge(network, SHOWN), records, batch_size)
    found = outcome(records, one.name, SHOWN, targets)
    results = {
        **settings,
        "measured": len(found.images),
        "left_out": targets.left_out,
        "machine": describe_machine(model.device),
        "steps": summary(found),
    }
    write_json(out / "results.json", results)
    return results


def summary(found: Outcome) -> list[dict[str, Any]]:
    """Mean and 95 % interval of each measure at each step, and the share of images it improved."""
    rows = []
    for index, step in enumerate(found.steps):
        row: dict[str, Any] = {
            "step": int(step),
            "seconds": float(found.seconds[index].mean()),
        }
        for name, values in found.values.items():
            row[name] = bootstrap_mean(values[index])._asdict()
        if index:
            errors = found.values["mse"]
            improved = errors[index] < errors[index - 1]
            row["improved"] = bootstrap_mean(improved)._asdict()
        rows.append(row)
    return rows


def describe(results: dict[str, Any]) -> str:
    """The results as a Markdown table, with what can be read from it in words."""
    names = [name for name in MEASURES if name in results["steps"][0]]
    header = ["step", *(MEASURES[name].title for name in names)]
    header += ["improved by this step", "seconds an image"]
    rows = []
    for row in results["steps"]:
        cells = [str(row["step"])]
        cells += [format(Interval(**row[name]), f".{MEASURES[name].digits}f") for name in names]
        improved = row.get("improved")
        cells += [format(Interval(**improved), ".1%") if improved else ""]
        rows.append([*cells, f"{row['seconds']:.4f}"])
    lines = [markdown(header, rows), "", *_remarks(results)]
    lines += [f"Left out: {name}: {why}" for name, why in results["left_out"].items()]
    return "\n".join(lines)


def _remarks(results: dict[str, Any]) -> list[str]:
    errors = np.array([row["mse"]["mean"] for row in results["steps"]])
    best = int(errors.argmin())
    remarks = [
        f"{results['measured']} images; means with 95 % bootstrap intervals.",
        f"Lowest MSE {errors[best]:.4f} at step {best}; the last step's is "
        f"{errors[-1] / errors[best] - 1:.1%} above it.",
    ]
    if len(errors) > 5:
        remarks.append(f"MSE at step 5 is {errors[5] / errors[1]:.2f} of that at step 1.")
    return remarks
