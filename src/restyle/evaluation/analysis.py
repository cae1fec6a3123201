"""How the loop works inside a model: coarse to fine, convergence, starts, bad inputs, stopping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from restyle.evaluation.data import STYLES, Targets
from restyle.evaluation.loop_analysis import Arrays, band_names, measure, summarise
from restyle.evaluation.plots import heat_maps, lines, matrix
from restyle.evaluation.records import claim_folder, kept_arrays
from restyle.evaluation.report import Figure, Report, Section
from restyle.evaluation.settings import LoopAnalysis, determining
from restyle.hub.registry import load
from restyle.inversion.adaptive import MOST_STEPS, TOLERANCE
from restyle.io.tables import Column, Table
from restyle.metrics.intervals import Interval
from restyle.model import ReStyle

HEAT_STEPS = (1, 2, 3, 5, 10, 20)
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


def analyse(config: LoopAnalysis) -> Report:
    """Analyse a model; batches that are done are not done again.

    Raises:
        ValueError: There is no such model, it has a single-shot encoder, it takes other codes than
            the other one, or the folder holds another analysis.
        ImageError: The folder of the data holds no images.
    """
    return report_on(*measured(config), config.out).write(config.out)


def measured(config: LoopAnalysis) -> tuple[dict[str, Any], np.ndarray]:
    """Return the figures as JSON has them, and maps (steps, h, w) of where the image changes."""
    model = load(config.model, config.device)
    other = load(config.other, config.device) if config.other is not None else None
    _check(model, other)
    settings = {
        **determining(config),
        "model_sha256": model.weights_hash(),
        "other_sha256": other and other.weights_hash(),
        "batch_size": config.batch_size,
    }
    claim_folder(config.out, settings)
    count = 256 if config.images is None and config.data in STYLES else config.images
    targets = Targets(config.data, model.domain.input_size, count)
    parts = []
    with tqdm(total=len(targets.names), unit="image", disable=None) as progress:
        for number, (names, batch) in enumerate(targets.batches(config.batch_size)):
            path = config.out / "parts" / f"{number:05d}-{targets.fingerprint(names)}.npz"
            rest = (batch.to(model.device), config.steps, number)
            parts.append(kept_arrays(path, lambda rest=rest: measure(model, other, *rest)))
            progress.update(len(names))
    if not parts:
        raise targets.none_usable()
    found = _together(parts)
    heat = found.pop("heat").sum(axis=0) / found["heat_of"].sum()
    results = {**settings, "images": len(found["mse"]), "left_out": targets.left_out}
    return results | summarise(found), heat


def report_on(results: dict[str, Any], heat: np.ndarray, out: Path) -> Report:
    """Return the report of an analysis; draws its figures into a folder."""
    plots = out / "plots"
    parts = {
        STEPS: (step_table(results), step_figures(results, heat, plots)),
        STARTS: (start_table(results), start_figures(results, plots)),
        DISTURBED: (disturbance_table(results), []),
        STOPPING: (stopping_table(results), stopping_figures(results, plots)),
    }
    return Report(
        f"How the loop works in {results['model']}",
        results,
        [
            Section(title, [table], NOTES[title], figures=figures)
            for title, (table, figures) in parts.items()
        ],
        [
            f"{results['images']} images of {results['data']}, {results['steps'][-1]['step']} "
            "steps. MSE is of RGB in [-1, 1], with 95 % bootstrap intervals."
        ],
        results["left_out"],
    )


def step_table(results: dict[str, Any]) -> Table:
    """Error, change and who gained at each step."""
    columns = [
        "step",
        Column("MSE", ".4f"),
        Column("length of residual", ".3f"),
        "to the one before",
        Column("change of image", ".4f"),
        Column("centre, octaves", ".2f"),
        Column("centre, layers", ".2f"),
        Column("improved", ".1%"),
        Column("over 1 % worse", ".1%"),
    ]
    rows = []
    for row in results["steps"]:
        cells = [row["step"], Interval(**row["mse"])]
        if row["step"]:
            ratio = row.get("ratio")
            cells += [
                row["length"]["mean"],
                ratio and "{median:.2f} ({low:.2f} to {high:.2f})".format(**ratio),
                row["change"],
                row["band"]["mean"],
                row["layer"]["mean"],
                row["improved"],
                row["worse_by_1_percent"],
            ]
        rows.append(cells + [None] * (len(columns) - len(cells)))
    return Table(columns, rows)


def start_table(results: dict[str, Any]) -> Table:
    """MSE along the way from each start."""
    steps = [0, 1, 2, 3, 5, 10]
    rows = [[row["name"], *(row["mse"][s] for s in steps)] for row in results["starts"]]
    return Table(["start", *(Column(f"MSE, step {s}", ".4f") for s in steps)], rows)


def disturbance_table(results: dict[str, Any]) -> Table:
    """Error to what was shown, and how far the codes moved."""
    formats = {
        "mse": Column("MSE to what was shown", ".4f"),
        "mse_to_clean": Column("MSE to the picture without it", ".4f"),
        "to_undisturbed": Column("codes moved", ".2f"),
    }
    rows = [
        [row["disturbance"], *(Interval(**row[k]) if k in row else None for k in formats)]
        for row in results["disturbances"]
    ]
    return Table(["disturbance", *formats.values()], rows)


def stopping_table(results: dict[str, Any]) -> Table:
    """What `steps="auto"` costs and loses, as measured and with other tolerances."""
    found = results["early_stopping"]
    columns = [
        "tolerance",
        Column("mean steps", ".2f"),
        Column("MSE", ".5f"),
        Column("fixed number at the same cost", ".5f"),
        Column("difference", "+.5f"),
        Column("loss to the best fixed number", "+.2%"),
        Column("loss to each image's best", "+.2%"),
    ]
    named = [(f"{TOLERANCE:.1%}, as measured", found)]
    named += [(f"{row['tolerance']:.1%}", row) for row in found["tolerances"]]
    rows = [
        [
            name,
            row["steps"],
            Interval(**row["mse"]),
            row["fixed_at_same_cost"],
            Interval(**row["difference"]),
            row["loss"],
            row["loss_to_each"],
        ]
        for name, row in named
    ]
    return Table(columns, rows)


def step_figures(results: dict[str, Any], heat: np.ndarray, folder: Path) -> list[Figure]:
    """How large the changes are, where they are, and whom they help."""
    later = results["steps"][1:]
    along = [row["step"] for row in later]
    bands, layers = np.array(results["bands"]), np.array(results["layers"])
    octaves = {name: (along, bands[:, i]) for i, name in enumerate(band_names())}
    shares = {
        "improved": (along, [row["improved"] for row in later]),
        "over 1 % worse": (along, [row["worse_by_1_percent"] for row in later]),
    }
    shown = [step for step in HEAT_STEPS if step <= len(heat)]
    maps = [heat[step - 1] for step in shown]
    rows = [str(layer) for layer in range(layers.shape[1])]
    return [
        *size_figures(later, folder),
        (
            lines(folder / "bands.svg", octaves, "step", "share of the change's energy"),
            "The image's change by radial frequency, in cycles per pixel.",
        ),
        (
            matrix(folder / "layers.svg", layers.T, "step", "layer", rows),
            "Mean length of the residual in each layer.",
        ),
        (
            heat_maps(folder / "heat.svg", maps, [f"step {step}" for step in shown]),
            "Where the image changes: mean magnitude at every pixel.",
        ),
        (
            lines(folder / "shares.svg", shares, "step", "share of the images"),
            "How many images a further step improves, and how many it makes worse.",
        ),
    ]


def size_figures(later: list[dict[str, Any]], folder: Path) -> list[Figure]:
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


def start_figures(results: dict[str, Any], folder: Path) -> list[Figure]:
    """Errors on the way from each start."""
    paths = {row["name"]: (range(len(row["mse"])), row["mse"]) for row in results["starts"]}
    path = lines(folder / "starts.svg", paths, "step", "MSE", log_y=True)
    return [(path, "Refinement from other starts than the average.")]


def stopping_figures(results: dict[str, Any], folder: Path) -> list[Figure]:
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


def _together(parts: list[Arrays]) -> Arrays:
    names = {name: None for part in parts for name in part}  # in order
    return {name: np.concatenate([p[name] for p in parts if name in p]) for name in names}


def _check(model: ReStyle, other: ReStyle | None) -> None:
    if model.single_shot:
        raise ValueError(
            f"expected a model that refines, got '{model.name}' with a single-shot encoder"
        )
    if other is not None and other.start_ws.shape != model.start_ws.shape:
        raise ValueError(
            f"expected codes of shape {tuple(model.start_ws.shape)} from the other model, "
            f"got {tuple(other.start_ws.shape)}"
        )
