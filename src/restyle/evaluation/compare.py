"""The report on models and methods side by side: tables, trade-off, curves, best and worst."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from restyle.evaluation.comparison import Compared, run_comparison
from restyle.evaluation.data import Targets
from restyle.evaluation.measures import MEASURES
from restyle.evaluation.plots import lines
from restyle.evaluation.reaching import reaching_table
from restyle.evaluation.report import Figure, Report, Section, tabulate
from restyle.evaluation.runner import Entry
from restyle.evaluation.settings import Comparison
from restyle.inversion.methods import NONE
from restyle.inversion.targets import resized
from restyle.io.images import grid, save_image, strip
from restyle.io.tables import Column, Table
from restyle.metrics.intervals import mean_known
from restyle.metrics.pixels import MS_SSIM_SIDE

EXAMPLES = 4
STRIP_STEPS = 7
NOWHERE = "none"
"""In the place of a figure that no image has."""

FINAL_NOTE = (
    "Means over the images with 95 % bootstrap intervals. Seconds are those of the measured run, "
    "in batches, with the device's work done and without the measuring; of the processor where one "
    "thread computes."
)
BESIDE_NOTE = (
    "The gain is the squared error of the average image minus that of the result, on the images "
    "that were optimised too; its share is that of the optimisation marked by a star."
)
MACHINE = (
    "{processor}, {threads} of {cores} cores, device {device}; Python {python}, torch {torch}, "
    "{system}; {dtype}, batches of {batch_size}."
)
REACHED_NOTE = (
    "The first measured step of each method whose mean objective is as low as that of the "
    "optimisation after all its iterations, on the same images, and the time until then."
)
SPEED_NOTE = "A step of each method, the best of three rounds after a warm-up."
MEANINGS = {
    "mse": "Squared errors are of RGB in [-1, 1] at the size that the encoder sees.",
    "ms_ssim": f"MS-SSIM is measured on images enlarged to {MS_SSIM_SIDE} pixels where they are "
    "smaller, so its values compare with each other, not with those of large images.",
}
SECONDS = Column("seconds an image", ".4f")


def compare(config: Comparison) -> Report:
    """Compare models and methods; what is done is not done again.

    Raises:
        ValueError: There is no such model or method, or the folder holds another comparison, or
            the images are too small for LPIPS.
        ImageError: The folder of the data holds no images.
        CheckpointError: A network's file cannot be used.
    """
    return report_on(run_comparison(config)).write(config.out)


def report_on(compared: Compared) -> Report:
    """Return the report of a comparison; draws its figures into the comparison's folder."""
    out = compared.config.out
    figures = {
        "Trade-off": trade_off(compared, out / "plots"),
        "Curves": step_curves(compared, out / "plots"),
        "Best and worst": examples(compared, out / "strips"),
    }
    pictured = [Section(title, figures=found) for title, found in figures.items() if found]
    return Report(
        "How good, and at what cost",
        compared.results,
        [*sections(compared), *pictured],
        introduction(compared),
        compared.results["left_out"],
    )


def sections(compared: Compared) -> Iterator[Section]:
    """Yield the tables under their headings; those that would be empty are not there."""
    results = compared.results
    yield Section("Quality and time at the last step", [final_table(compared)], FINAL_NOTE)
    if results["beside_optimisation"]:
        yield Section("Beside W+ optimisation", [optimisation_table(compared)], BESIDE_NOTE)
    if results["reached"]:
        yield Section("As near as optimisation", [reaching_table(results["reached"])], REACHED_NOTE)
    if results["against_the_first"]:
        title = f"Differences from {next(iter(compared.outcomes))}, image by image"
        yield Section(title, [difference_table(compared)])
    for one in compared.longest_encoders:
        said = remarks(results["methods"][one.name])
        yield Section(f"Step by step: {one.name}", [step_table(compared, one.name)], prose=said)
    if not all(one.encodes for one in compared.entries):
        yield Section("On the way", [way_table(compared)])
    yield Section("Speed", [speed_table(compared)], SPEED_NOTE)
    if results["no_face"]:
        columns = {"method": "method", "image": "image", "in": "no face in the"}
        yield Section("Faces not found", [tabulate(columns, results["no_face"])])


def introduction(compared: Compared) -> list[str]:
    """Say what was measured on which images and machine, and what the figures mean."""
    config, results = compared.config, compared.results
    counts = [len(found.images) for found in compared.outcomes.values()]
    fewer = "" if min(counts) == max(counts) else f" (optimised: the first {min(counts)})"
    said = [MEANINGS[name] for name in results["measures"] if name in MEANINGS]
    if {"perceptual", "identity"} & set(results["measures"]):
        said.append(f"Perceptual and identity distance are seen by {config.judge}.")
    if any(not one.encodes for one in compared.entries):
        features = results["features"]
        network = "" if features == NONE else f" and what {features} sees"
        said.append(f"Optimisation and tuning minimise the squared error{network}.")
    images = "1 image" if max(counts) == 1 else f"{max(counts)} images"
    machine = MACHINE.format(**results["machine"], **results)
    return [f"{images} of {config.data}{fewer}. {machine}", *([" ".join(said)] if said else [])]


def final_table(compared: Compared) -> Table:
    """Return a row for each method's last step."""
    results, before = compared.results, {"method": "method", "images": "images", "seconds": SECONDS}
    rows = [{"method": name, **steps[-1]} for name, steps in results["methods"].items()]
    faces = {"without_face": "images without a face"} if "similarity" in results["measures"] else {}
    return _table(compared, before, rows, faces)


def optimisation_table(compared: Compared) -> Table:
    """Return which share of the optimisation's gain the methods reach, and how much sooner."""
    columns = {
        "method": "method",
        "step": "step",
        "images": "images",
        "mse": Column("MSE", f".{MEASURES['mse'].digits}f"),
        "share": Column("share of the gain", ".1%"),
        "seconds": SECONDS,
        "times_faster": Column("times faster", ".3g"),
    }
    rows = [
        {**row, "method": row["method"] + " *" * row["best"], "share": row["share"] or NOWHERE}
        for row in compared.results["beside_optimisation"]
    ]
    return tabulate(columns, rows)


def step_table(compared: Compared, name: str) -> Table:
    """Return a row for each step of an encoder, with the share of images that it improved."""
    after = {"improved": Column("improved by this step", ".1%"), "seconds": SECONDS}
    return _table(compared, {"step": "step"}, compared.results["methods"][name], after)


def remarks(steps: list[dict[str, Any]]) -> list[str]:
    """Say in words what an encoder's squared errors by step show."""
    if not steps[0].get("mse"):
        return []
    errors = np.array([row["mse"]["mean"] for row in steps])
    best = int(errors.argmin())
    said = [
        f"Lowest MSE {errors[best]:.4f} at step {best}; the last step's is "
        f"{errors[-1] / errors[best] - 1:.1%} above it."
    ]
    if len(errors) > 5:
        said.append(f"MSE at step 5 is {errors[5] / errors[1]:.2f} of that at step 1.")
    return said


def way_table(compared: Compared) -> Table:
    """Return a row for each measured step of what is not an encoder alone, means only."""
    rows = [
        {"method": one.name, **{k: v["mean"] if isinstance(v, dict) else v for k, v in row.items()}}
        for one in compared.entries
        if not one.encodes
        for row in compared.results["methods"][one.name]
    ]
    return _table(compared, {"method": "method", "step": "step", "seconds": SECONDS}, rows)


def speed_table(compared: Compared) -> Table:
    """Return milliseconds an image and step, at each batch size."""
    speed = compared.results["speed"]
    sizes = {key for row in speed.values() for key in row if key.startswith("batch_")}
    milliseconds = {
        size: Column(f"ms a step, batch {size[6:]}", ".2f")
        for size in sorted(sizes, key=lambda size: int(size[6:]))
    }
    rows = [
        {"method": name, "peak_memory": f"{row['peak_memory'] / 2**20:.0f} MiB"}
        | {size: 1000 * row[size] for size in milliseconds if size in row}
        for name, row in speed.items()
    ]
    return tabulate({"method": "method", **milliseconds, "peak_memory": "peak memory"}, rows)


def difference_table(compared: Compared) -> Table:
    """Return paired differences from the first method, with intervals."""
    rows, after = compared.results["against_the_first"], {"better": Column("better images", ".1%")}
    return _table(compared, {"method": "method", "images": "images"}, rows, after, "+")


def _table(
    compared: Compared,
    before: dict[str, Column | str],
    rows: list[dict[str, Any]],
    after: Mapping[str, Column | str] = {},
    sign: str = "",
) -> Table:
    """Put the measures' columns between others; say where no image has a figure."""
    measures = {
        name: Column(measure.title, f"{sign}.{measure.digits}f")
        for name, measure in MEASURES.items()
        if name in compared.results["measures"]
    }
    rows = [row | {name: NOWHERE for name in measures if row[name] is None} for row in rows]
    return tabulate({**before, **measures, **after}, rows)


def trade_off(compared: Compared, folder: Path) -> list[Figure]:
    """Draw quality against time, a curve for each method (figure 5 of ReStyle's paper).

    All on the same images: those that every method has inverted.
    """
    encoders = compared.longest_encoders
    shown = [one.name for one in compared.entries if not one.encodes or one in encoders]
    outcomes = {name: compared.outcomes[name] for name in shown}
    shared = set.intersection(*(set(found.images) for found in outcomes.values()))
    kept = {name: [i in shared for i in found.images] for name, found in outcomes.items()}
    pictures = []
    for measure in compared.results["measures"] if shared else ():
        curves = {
            name: (
                found.seconds[1:, kept[name]].mean(axis=1),
                mean_known(found.values[measure][1:, kept[name]].T),
            )
            for name, found in outcomes.items()
        }
        title = MEASURES[measure].title
        log = "xy" if measure in ("mse", "objective") else "x"  # these span orders of magnitude
        path = lines(folder / f"trade_off_{measure}.svg", curves, "seconds an image", title, log)
        caption = f"{title} against time on {len(shared)} images; a point for each measured step."
        pictures.append((path, caption))
    return pictures


def step_curves(compared: Compared, folder: Path) -> list[Figure]:
    """Draw quality at each step of the encoders, with 95 % intervals."""
    encoders = compared.longest_encoders
    pictures = []
    for measure in compared.results["measures"] if encoders else ():
        curves, bands = {}, {}
        for one in encoders:
            rows = compared.results["methods"][one.name]
            rows = [row for row in rows if row["step"] and row[measure]]
            along = [row["step"] for row in rows]
            curves[one.name] = (along, [row[measure]["mean"] for row in rows])
            bands[one.name] = tuple([row[measure][end] for row in rows] for end in ("low", "high"))
        title = MEASURES[measure].title
        path = lines(folder / f"steps_{measure}.svg", curves, "step", title, bands=bands)
        pictures.append((path, f"{title} at each step, with 95 % bootstrap intervals."))
    return pictures


def examples(compared: Compared, folder: Path) -> list[Figure]:
    """Draw the images that each encoder does best and worst, by the first measure."""
    measure = compared.results["measures"][0]
    pictures = []
    for one in compared.longest_encoders:
        found = compared.outcomes[one.name]
        order = np.argsort(found.values[measure][-1])
        if MEASURES[measure].higher_is_better:
            order = order[::-1]
        count = min(EXAMPLES, (len(order) + 1) // 2)
        for kind, chosen in (("best", order[:count]), ("worst", order[::-1][:count])):
            names = [found.images[i] for i in chosen]
            path = folder / (re.sub(r"\W", "_", one.name) + f"_{kind}.png")
            save_image(_strips(one, compared, names), path)
            pictures.append((path, f"{one.name}: {kind} by {MEASURES[measure].title}."))
    return pictures


@torch.no_grad()
def _strips(one: Entry, compared: Compared, names: list[str]) -> Image.Image:
    size = one.model.domain.input_size
    targets = Targets(compared.config.data, size, compared.config.images)
    targets.names = names
    strips = []
    for _, batch in targets.batches(EXAMPLES):
        batch = batch.to(one.model.device)
        start = one.model.start(len(batch))
        estimates = [start, *one.method(batch, start)]
        count = min(one.steps, STRIP_STEPS) + 1
        shown = sorted({round(step) for step in np.linspace(0, one.steps, count)})
        labels = ["target", *("average" if s == 0 else f"step {s}" for s in shown)]
        height, width = start.image.shape[-2:]
        for i, target in enumerate(resized(batch, (height, width))):
            pictures = [target.cpu(), *(estimates[s].image[i].cpu() for s in shown)]
            strips.append(strip(pictures, labels))
    return grid(strips, columns=1)
