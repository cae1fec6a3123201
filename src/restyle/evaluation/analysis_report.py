"""The report of an analysis: tables, curves, matrices and heat maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from restyle.evaluation.inside import band_names
from restyle.evaluation.page import Page
from restyle.evaluation.plots import heat_maps, lines, matrix
from restyle.evaluation.records import markdown
from restyle.metrics.intervals import Interval

SHOWN_HEAT = (1, 2, 3, 5, 10, 20)

Table = tuple[list[str], list[list[str]]]


def write_report(results: dict[str, Any], out: Path, command: str) -> str:
    """Write `report.html` and its pictures.

    Args:
        results: What `analyse` returned.
        out: The folder of the analysis.
        command: What prints the figures again.

    Returns:
        The tables as Markdown.
    """
    tables = {
        "Step by step": step_table(results),
        "Starts": start_table(results),
        "Disturbed inputs": disturbance_table(results),
        "Stopping early": stopping_table(results),
    }
    pictures = draw(results, out / "plots")
    page = Page(f"How the loop works in {results['model']}")
    page.text(
        f"{results['images']} images of {results['data']}, {results['steps'][-1]['step']} steps."
    )
    page.command(command)
    for name, (header, rows) in tables.items():
        page.heading(name)
        page.table(header, rows)
    page.heading("Coarse to fine")
    for path, caption in pictures:
        page.picture(path, caption)
    if results["left_out"]:
        page.heading("Left out")
        page.table(["file", "why"], [list(item) for item in results["left_out"].items()])
    page.save(out / "report.html")
    return "\n\n".join(
        [
            *(f"{name}\n\n{markdown(*table)}" for name, table in tables.items()),
            *(f"Left out: {name}: {why}" for name, why in results["left_out"].items()),
        ]
    )


def step_table(results: dict[str, Any]) -> Table:
    """Error, change and who gained at each step."""
    header = ["step", "MSE", "length of residual", "to the one before", "change of image"]
    header += ["centre, octaves", "centre, layers", "improved", "over 1 % worse"]
    rows = []
    for row in results["steps"]:
        cells = [str(row["step"]), format(Interval(**row["mse"]), ".4f")]
        if row["step"]:
            ratio = row.get("ratio")
            cells += [
                f"{row['length']['mean']:.3f}",
                f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"
                if ratio
                else "",
                f"{row['change']:.4f}",
                f"{row['band']['mean']:.2f}",
                f"{row['layer']['mean']:.2f}",
                f"{row['improved']:.1%}",
                f"{row['worse_by_1_percent']:.1%}",
            ]
        rows.append(cells + [""] * (len(header) - len(cells)))
    return header, rows


def start_table(results: dict[str, Any]) -> Table:
    """MSE along the way from each start."""
    steps = [0, 1, 2, 3, 5, 10]
    rows = [[row["name"], *(f"{row['mse'][s]:.4f}" for s in steps)] for row in results["starts"]]
    return ["start", *(f"MSE, step {s}" for s in steps)], rows


def disturbance_table(results: dict[str, Any]) -> Table:
    """Error to what was shown, and how far the codes moved."""
    rows = [
        [
            row["disturbance"],
            format(Interval(**row["mse"]), ".4f"),
            format(Interval(**row["to_undisturbed"]), ".2f"),
        ]
        for row in results["disturbances"]
    ]
    moved = "codes moved, in distances from the average"
    return ["disturbance", "MSE to what was shown", moved], rows


def stopping_table(results: dict[str, Any]) -> Table:
    """What `steps="auto"` costs and loses."""
    row = results["early_stopping"]
    header = ["mean steps", "MSE", "fixed steps at the same cost", "best of 10 steps", "loss"]
    cells = [
        f"{row['steps']:.2f}",
        format(Interval(**row["mse"]), ".5f"),
        f"{row['fixed_at_same_cost']:.5f}",
        f"{row['best_fixed']:.5f}",
        f"{row['loss']:+.2%}",
    ]
    return header, [cells]


def draw(results: dict[str, Any], folder: Path) -> list[tuple[Path, str]]:
    """All figures, with their captions."""
    later = results["steps"][1:]
    along = [row["step"] for row in later]
    bands = np.array(results["bands"])
    layers = np.array(results["layers"])
    shown = [step for step in SHOWN_HEAT if step <= len(results["heat"])]
    shares = {
        "improved": (along, [row["improved"] for row in later]),
        "over 1 % worse": (along, [row["worse_by_1_percent"] for row in later]),
    }
    paths = {row["name"]: (range(len(row["mse"])), row["mse"]) for row in results["starts"]}
    octaves = {name: (along, bands[:, i]) for i, name in enumerate(band_names())}
    sizes = {"residual": (along, [row["length"]["mean"] for row in later])}
    sizes["image"] = (along, [row["change"] for row in later])
    rows = [str(layer) for layer in range(layers.shape[1])]
    return [
        (
            lines(folder / "size.svg", sizes, "step", "size of the change", log_y=True),
            "Mean length of the residual in W+, and root mean square change of the image.",
        ),
        (
            lines(folder / "bands.svg", octaves, "step", "share of the change's energy"),
            "The image's change by radial frequency, in cycles per pixel.",
        ),
        (
            matrix(folder / "layers.svg", layers.T, "step", "layer", rows),
            "Mean length of the residual in each layer.",
        ),
        (
            heat_maps(
                folder / "heat.svg",
                [results["heat"][step - 1] for step in shown],
                [f"step {step}" for step in shown],
            ),
            "Where the image changes: mean magnitude at every pixel.",
        ),
        (
            lines(folder / "shares.svg", shares, "step", "share of the images"),
            "How many images a further step improves, and how many it makes worse.",
        ),
        (
            lines(folder / "starts.svg", paths, "step", "MSE", log_y=True),
            "Refinement from other starts than the average.",
        ),
    ]
