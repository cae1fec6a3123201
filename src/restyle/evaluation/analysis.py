"""The report on the loop of a model: coarse to fine, convergence, starts, bad inputs, stopping."""

from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from restyle.evaluation.data import STYLES, Targets
from restyle.evaluation.loop_analysis import band_names, measure
from restyle.evaluation.loop_summary import Arrays, summarise
from restyle.evaluation.plots import heat_maps, lines, matrix
from restyle.evaluation.records import claim_folder, kept_arrays
from restyle.evaluation.report import Figure, Report, Section, tabulate
from restyle.evaluation.settings import LoopAnalysis, determining
from restyle.evaluation.way import Way
from restyle.hub.registry import load
from restyle.inversion.adaptive import MOST_STEPS, TOLERANCE
from restyle.inversion.bootstrapping import check_related
from restyle.io.tables import Column, Table
from restyle.model import ReStyle

HEAT_STEPS = (1, 2, 3, 5, 10, 20)
STEPS, WAY, STARTS = "Step by step", "What is missing", "Starts"
DISTURBED, STOPPING = "Disturbed inputs", "Stopping early"
NOTES = {
    STEPS: "Residuals are changes in W+; their length is compared with that of the step before "
    "(median and quartiles): below 1 they converge. The centres say where the change lies, in "
    "octaves of frequency, from 0 (the picture's mean) to 5 (its finest detail), and in layers; "
    "where they rise from step to step, it goes from coarse to fine.",
    WAY: "What is missing is the difference of the codes where {towards} ends and those before the "
    "step, in the metric of the objective's curvature, by which what images do not show hardly "
    "counts. The cosine says how well the encoder's residual points there, the share what the step "
    "adds of it (of the squared length), the last column how well the gradient points there, "
    "through the curvature.",
    STARTS: "What the loop makes of other starts: how much the result depends on where it begins.",
    DISTURBED: "Inversions of disturbed inputs, five steps. Codes moved: the distance of the codes "
    "from those of the undisturbed picture, in distances of those from the average.",
    STOPPING: 'Of steps="auto": an image stops when a step takes less than the tolerance off its '
    "squared error, or the residual is shorter than that share of its first one, after at most "
    f"{MOST_STEPS} steps. Compared with the fixed number of steps that costs as much, with the one "
    "that is best on average, and with the best that each image ever was.",
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
    way = Way(model, config.towards) if config.towards is not None else None
    parts = []
    with tqdm(total=len(targets.names), unit="image", disable=None) as progress:
        for number, (names, batch) in enumerate(targets.batches(config.batch_size)):
            path = config.out / "parts" / f"{number:05d}-{targets.fingerprint(names)}.npz"
            rest = (batch.to(model.device), config.steps, number)
            parts.append(kept_arrays(path, lambda rest=rest: measure(model, other, way, *rest)))
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
        WAY: (way_table(results), []),
        STARTS: (start_table(results), start_figures(results, plots)),
        DISTURBED: (disturbance_table(results), []),
        STOPPING: (stopping_table(results), stopping_figures(results, plots)),
    }
    sections = [
        Section(title, [table], NOTES[title].format(**results), figures=figures)
        for title, (table, figures) in parts.items()
        if table.rows
    ]
    about = (
        f"{results['images']} images of {results['data']}, {results['steps'][-1]['step']} steps. "
        "MSE is of RGB in [-1, 1], with 95 % bootstrap intervals."
    )
    title = f"How the loop works in {results['model']}"
    return Report(title, results, sections, [about], results["left_out"])


def step_table(results: dict[str, Any]) -> Table:
    """Return error, change and who gained at each step."""
    columns = {
        "step": "step",
        "mse": Column("MSE", ".4f"),
        "length": Column("length of residual", ".3f"),
        "ratio": "to the one before",
        "change": Column("change of image", ".4f"),
        "band": Column("centre, octaves", ".2f"),
        "layer": Column("centre, layers", ".2f"),
        "improved": Column("improved", ".1%"),
        "worse_by_1_percent": Column("over 1 % worse", ".1%"),
    }
    rows = []
    for row in results["steps"]:
        means = {key: row[key]["mean"] for key in ("length", "band", "layer") if key in row}
        ratio = row.get("ratio")
        text = ratio and "{median:.2f} ({low:.2f} to {high:.2f})".format(**ratio)
        rows.append({**row, **means, "ratio": text})
    return tabulate(columns, rows)


def way_table(results: dict[str, Any]) -> Table:
    """Return how much each step adds of what is missing."""
    columns = {
        "step": "step",
        "residual": Column("cosine of the residual", ".2f"),
        "added": Column("share added", ".1%"),
        "gradient": Column("cosine of the gradient", ".2f"),
    }
    return tabulate(columns, results["way"])


def start_table(results: dict[str, Any]) -> Table:
    """Return the MSE along the way from each start."""
    steps = [0, 1, 2, 3, 5, 10]
    rows = [[row["name"], *(row["mse"][s] for s in steps)] for row in results["starts"]]
    return Table(["start", *(Column(f"MSE, step {s}", ".4f") for s in steps)], rows)


def disturbance_table(results: dict[str, Any]) -> Table:
    """Return the error to what was shown, and how far the codes moved."""
    columns = {
        "disturbance": "disturbance",
        "mse": Column("MSE to what was shown", ".4f"),
        "mse_to_clean": Column("MSE to the picture without it", ".4f"),
        "to_undisturbed": Column("codes moved", ".2f"),
    }
    return tabulate(columns, results["disturbances"])


def stopping_table(results: dict[str, Any]) -> Table:
    """Return what `steps="auto"` costs and loses, as measured and with other tolerances."""
    columns = {
        "name": "tolerance",
        "steps": Column("mean steps", ".2f"),
        "mse": Column("MSE", ".5f"),
        "fixed_at_same_cost": Column("fixed number at the same cost", ".5f"),
        "difference": Column("difference", "+.5f"),
        "loss": Column("loss to the best fixed number", "+.2%"),
        "loss_to_each": Column("loss to each image's best", "+.2%"),
    }
    found = results["early_stopping"]
    rows = [{**found, "name": f"{TOLERANCE:.1%}, as measured"}]
    rows += [{**row, "name": f"{row['tolerance']:.1%}"} for row in found["tolerances"]]
    return tabulate(columns, rows)


def step_figures(results: dict[str, Any], heat: np.ndarray, folder: Path) -> list[Figure]:
    """Draw how large the changes are, where they are, and whom they help."""
    later = results["steps"][1:]
    along = [row["step"] for row in later]
    bands, layers = np.array(results["bands"]), np.array(results["layers"])
    octaves = {name: (along, bands[:, i]) for i, name in enumerate(band_names())}
    shares = {
        "improved": (along, [row["improved"] for row in later]),
        "over 1 % worse": (along, [row["worse_by_1_percent"] for row in later]),
    }
    shown = [step for step in HEAT_STEPS if step <= len(heat)]
    maps, titles = [heat[step - 1] for step in shown], [f"step {step}" for step in shown]
    rows = [str(layer) for layer in range(layers.shape[1])]
    by_octave = lines(folder / "bands.svg", octaves, "step", "share of the change's energy")
    by_layer = matrix(folder / "layers.svg", layers.T, "step", "layer", rows)
    helped = lines(folder / "shares.svg", shares, "step", "share of the images")
    return [
        *size_figures(later, folder),
        (by_octave, "The image's change by radial frequency, in cycles per pixel."),
        (by_layer, "Mean length of the residual in each layer."),
        (
            heat_maps(folder / "heat.svg", maps, titles),
            "Where the image changes: mean magnitude at every pixel.",
        ),
        (helped, "How many images a further step improves, and how many it makes worse."),
    ]


def size_figures(later: list[dict[str, Any]], folder: Path) -> list[Figure]:
    """Draw the sizes of the changes, beside the first one's and from step to step."""
    along = [row["step"] for row in later]
    lengths, changes = [row["length"]["mean"] for row in later], [row["change"] for row in later]
    relative = {
        name: (along, [value / (values[0] or 1) for value in values])
        for name, values in (("residual in W+", lengths), ("image", changes))
    }
    ratios = [row["ratio"] for row in later if "ratio" in row]
    low, median, high = ([r[key] for r in ratios] for key in ("low", "median", "high"))
    name = "length of the residual, to that before"
    medians, quartiles = {name: (along[1:], median)}, {name: (low, high)}
    sizes = lines(folder / "size.svg", relative, "step", "change, as a share of step 1", log="y")
    ratio = lines(folder / "ratio.svg", medians, "step", name, bands=quartiles)
    return [
        (sizes, "Mean length of the residual, and root mean square change of the image."),
        (ratio, "Whether residuals converge: median and quartiles of the images."),
    ]


def start_figures(results: dict[str, Any], folder: Path) -> list[Figure]:
    """Draw the errors on the way from each start."""
    paths = {row["name"]: (range(len(row["mse"])), row["mse"]) for row in results["starts"]}
    path = lines(folder / "starts.svg", paths, "step", "MSE", log="y")
    return [(path, "Refinement from other starts than the average.")]


def stopping_figures(results: dict[str, Any], folder: Path) -> list[Figure]:
    """Draw error against cost, with a fixed number of steps and with several tolerances."""
    found = results["early_stopping"]
    fixed = found["fixed"][1:]
    tried = sorted((row["steps"], row["mse"]["mean"]) for row in found["tolerances"])
    curves = {
        "fixed number of steps": (range(1, len(fixed) + 1), fixed),
        "stopping early, several tolerances": tuple(zip(*tried, strict=True)),
        'steps="auto"': ([found["steps"]], [found["mse"]["mean"]]),
    }
    path = lines(folder / "stopping.svg", curves, "mean number of steps", "MSE", log="y")
    return [(path, "What stopping early costs and what it reaches.")]


def _together(parts: list[Arrays]) -> Arrays:
    names = {name: None for part in parts for name in part}  # in order
    return {name: np.concatenate([p[name] for p in parts if name in p]) for name in names}


def _check(model: ReStyle, other: ReStyle | None) -> None:
    if model.single_shot:
        raise ValueError(
            f"expected a model that refines, got '{model.name}' with a single-shot encoder"
        )
    if other is not None:
        check_related(model, other)
