"""The report of an analysis: tables, curves, matrices and heat maps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from restyle.evaluation.html import Page
from restyle.evaluation.loop_analysis import band_names
from restyle.evaluation.plots import heat_maps, lines, matrix
from restyle.evaluation.records import markdown
from restyle.inversion.adaptive import MOST_STEPS, TOLERANCE
from restyle.metrics.intervals import Interval

SHOWN_HEAT = (1, 2, 3, 5, 10, 20)

STEPS, STARTS = "Step by step", "Starts"
DISTURBED, STOPPING = "Disturbed inputs", "Stopping early"
NOTES = {
    STEPS: "Residuals are changes in W+; their length is compared with that of the step before "
    "(median and quartiles): below 1 they converge. The centres say where the change lies: in "
    "octaves of frequency, from 0 (the mean of the picture) to 5 (its finest detail), and in the "
    "generator's layers. Centres that rise from step to step mean coarse to fine. An image is "
    "improved where the step lowers its squared error.",
    STARTS: "What the loop makes of other starts: how much the result depends on where it begins.",
    DISTURBED: "Inversions of disturbed inputs, five steps. Codes moved: the distance of the codes "
    "from those of the undisturbed picture, in distances of those from the average.",
    STOPPING: 'Of steps="auto": an image stops when a step takes less than the tolerance off its '
    "squared error, or when the residual is shorter than that share of its first one, and ends "
    f"with its best estimate, at most {MOST_STEPS} steps. Compared image by image with the fixed "
    "number of steps that costs as much, with the fixed number that is best on average, and with "
    "the best that each image ever was.",
}

Table = tuple[list[str], list[list[str]]]
Picture = tuple[Path, str]


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
        STEPS: step_table(results),
        STARTS: start_table(results),
        DISTURBED: disturbance_table(results),
        STOPPING: stopping_table(results),
    }
    page = Page(f"How the loop works in {results['model']}")
    page.text(
        f"{results['images']} images of {results['data']}, {results['steps'][-1]['step']} steps. "
        "MSE is of RGB in [-1, 1], with 95 % bootstrap intervals."
    )
    page.command(command)
    for name, (header, rows) in tables.items():
        page.heading(name)
        page.text(NOTES[name])
        page.table(header, rows)
        for path, caption in PICTURES[name](results, out / "plots"):
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
    rows = []
    for row in results["disturbances"]:
        clean = row.get("mse_to_clean")
        rows.append(
            [
                row["disturbance"],
                format(Interval(**row["mse"]), ".4f"),
                format(Interval(**clean), ".4f") if clean else "",
                format(Interval(**row["to_undisturbed"]), ".2f"),
            ]
        )
    header = ["disturbance", "MSE to what was shown", "MSE to the picture without it"]
    return [*header, "codes moved"], rows


def stopping_table(results: dict[str, Any]) -> Table:
    """What `steps="auto"` costs and loses, as measured and with other tolerances."""
    found = results["early_stopping"]
    header = ["tolerance", "mean steps", "MSE", "fixed number at the same cost", "difference"]
    header += ["loss to the best fixed number", "loss to each image's best"]
    named = [(f"{TOLERANCE:.1%}, as measured", found)]
    named += [(f"{row['tolerance']:.1%}", row) for row in found["tolerances"]]
    rows = [
        [
            name,
            f"{row['steps']:.2f}",
            format(Interval(**row["mse"]), ".5f"),
            f"{row['fixed_at_same_cost']:.5f}",
            format(Interval(**row["difference"]), "+.5f"),
            f"{row['loss']:+.2%}",
            f"{row['loss_to_each']:+.2%}",
        ]
        for name, row in named
    ]
    return header, rows


def step_pictures(results: dict[str, Any], folder: Path) -> list[Picture]:
    """How large the changes are, where they are, and whom they help."""
    later = results["steps"][1:]
    along = [row["step"] for row in later]
    bands, layers = np.array(results["bands"]), np.array(results["layers"])
    octaves = {name: (along, bands[:, i]) for i, name in enumerate(band_names())}
    shares = {
        "improved": (along, [row["improved"] for row in later]),
        "over 1 % worse": (along, [row["worse_by_1_percent"] for row in later]),
    }
    shown = [step for step in SHOWN_HEAT if step <= len(results["heat"])]
    heat = [results["heat"][step - 1] for step in shown]
    rows = [str(layer) for layer in range(layers.shape[1])]
    return [
        *size_pictures(later, folder),
        (
            lines(folder / "bands.svg", octaves, "step", "share of the change's energy"),
            "The image's change by radial frequency, in cycles per pixel.",
        ),
        (
            matrix(folder / "layers.svg", layers.T, "step", "layer", rows),
            "Mean length of the residual in each layer.",
        ),
        (
            heat_maps(folder / "heat.svg", heat, [f"step {step}" for step in shown]),
            "Where the image changes: mean magnitude at every pixel.",
        ),
        (
            lines(folder / "shares.svg", shares, "step", "share of the images"),
            "How many images a further step improves, and how many it makes worse.",
        ),
    ]


def size_pictures(later: list[dict[str, Any]], folder: Path) -> list[Picture]:
    """The sizes of the changes, beside the first one's and from step to step."""
    along = [row["step"] for row in later]
    lengths, changes = [row["length"]["mean"] for row in later], [row["change"] for row in later]
    sizes = {
        name: (along, [value / (values[0] or 1) for value in values])
        for name, values in (("residual in W+", lengths), ("image", changes))
    }
    ratios = [row["ratio"] for row in later if "ratio" in row]
    name = "length of the residual, to that before"
    quartiles = ([ratio["low"] for ratio in ratios], [ratio["high"] for ratio in ratios])
    median = {name: (along[1:], [ratio["median"] for ratio in ratios])}
    return [
        (
            lines(folder / "size.svg", sizes, "step", "change, as a share of step 1", log_y=True),
            "Mean length of the residual, and root mean square change of the image.",
        ),
        (
            lines(folder / "ratio.svg", median, "step", name, bands={name: quartiles}),
            "Whether residuals converge: median and quartiles of the images.",
        ),
    ]


def start_pictures(results: dict[str, Any], folder: Path) -> list[Picture]:
    """Errors on the way from each start."""
    paths = {row["name"]: (range(len(row["mse"])), row["mse"]) for row in results["starts"]}
    path = lines(folder / "starts.svg", paths, "step", "MSE", log_y=True)
    return [(path, "Refinement from other starts than the average.")]


def stopping_pictures(results: dict[str, Any], folder: Path) -> list[Picture]:
    """Error against cost, with a fixed number of steps and with several tolerances."""
    found = results["early_stopping"]
    fixed = found["fixed"][1:]
    tried = sorted((row["steps"], row["mse"]["mean"]) for row in found["tolerances"])
    curves = {
        "fixed number of steps": (range(1, len(fixed) + 1), fixed),
        "stopping early, several tolerances": tuple(zip(*tried, strict=True)),
        'steps="auto"': ([found["steps"]], [found["mse"]["mean"]]),
    }
    path = lines(folder / "stopping.svg", curves, "mean number of steps", "MSE", log_y=True)
    return [(path, "What stopping early costs and what it reaches.")]


PICTURES: dict[str, Callable[[dict[str, Any], Path], list[Picture]]] = {
    STEPS: step_pictures,
    STARTS: start_pictures,
    DISTURBED: lambda results, folder: [],
    STOPPING: stopping_pictures,
}
