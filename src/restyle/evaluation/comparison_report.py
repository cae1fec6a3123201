"""The report of a comparison: tables, the trade-off, curves, best and worst images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from restyle.evaluation.compare import Compared
from restyle.evaluation.data import Targets
from restyle.evaluation.html import Page
from restyle.evaluation.measures import MEASURES
from restyle.evaluation.plots import lines
from restyle.evaluation.records import markdown
from restyle.evaluation.runner import Contestant
from restyle.inversion.methods import NONE
from restyle.inversion.targets import resized
from restyle.io.images import grid, save_image, strip
from restyle.metrics.intervals import Interval
from restyle.metrics.pixels import MS_SSIM_SIDE

EXAMPLES = 4
STRIP_STEPS = 7
NOWHERE = "none"
"""In the place of a figure that no image has."""

FINAL = "Quality and time at the last step"
BESIDE = "Beside W+ optimisation"
SPEED = "Speed"
NOTES = {
    FINAL: "Means over the images with 95 % bootstrap intervals. Seconds are those of the "
    "measured run, in batches, with the device's work done and without the measuring.",
    BESIDE: "The gain is the squared error of the average image minus that of the result, on the "
    "images that were optimised too; its share is that of the optimisation marked by a star.",
    SPEED: "A step of each method, the best of three rounds after a warm-up.",
}
MEANINGS = {
    "mse": "Squared errors are of RGB in [-1, 1] at the size that the encoder sees.",
    "ms_ssim": f"MS-SSIM is measured on images enlarged to {MS_SSIM_SIDE} pixels where they are "
    "smaller, so its values compare with each other, not with those of large images.",
}

Table = tuple[list[str], list[list[str]]]


def write_report(compared: Compared, out: Path, command: str) -> str:
    """Write `report.html` and its pictures, and the tables as `report.md`.

    Args:
        compared: What was found.
        out: The folder of the comparison.
        command: What prints the figures again.

    Returns:
        The tables as Markdown.
    """
    tables = tables_of(compared)
    page = Page("How good, and at what cost")
    for text in introduction(compared):
        page.text(text)
    page.command(command)
    for name, (header, rows) in tables.items():
        page.heading(name)
        if name in NOTES:
            page.text(NOTES[name])
        page.table(header, rows)
    sections = {
        "Trade-off": trade_off(compared, out / "plots"),
        "Step by step": step_curves(compared, out / "plots"),
        "Best and worst": examples(compared, out / "strips"),
    }
    for name, pictures in sections.items():
        if pictures:
            page.heading(name)
        for path, caption in pictures:
            page.picture(path, caption)
    if compared.results["left_out"]:
        page.heading("Left out")
        page.table(["file", "why"], [list(item) for item in compared.results["left_out"].items()])
    page.save(out / "report.html")
    return "\n\n".join(
        [
            *introduction(compared),
            *(f"{name}\n\n{markdown(*table)}" for name, table in tables.items()),
            *(f"Left out: {name}: {why}" for name, why in compared.results["left_out"].items()),
        ]
    )


def tables_of(compared: Compared) -> dict[str, Table]:
    """The tables by their headings; those that would be empty are not there."""
    results = compared.results
    tables = {FINAL: final_table(compared)}
    if results["beside_optimisation"]:
        tables[BESIDE] = optimisation_table(compared)
    if results["against_the_first"]:
        first = next(iter(compared.outcomes))
        tables[f"Differences from {first}, image by image"] = difference_table(compared)
    tables["On the way"] = way_table(compared)
    tables[SPEED] = speed_table(compared)
    if results["no_face"]:
        tables["Faces not found"] = faces_table(compared)
    return tables


def introduction(compared: Compared) -> list[str]:
    """What was measured on which images and machine, and what the figures mean."""
    config, results = compared.config, compared.results
    counts = [len(found.images) for found in compared.outcomes.values()]
    fewer = "" if min(counts) == max(counts) else f" (optimised: the first {min(counts)})"
    said = [MEANINGS[name] for name in config.measures if name in MEANINGS]
    if {"perceptual", "identity"} & set(config.measures):
        said.append(f"Perceptual and identity distance are seen by {config.judge}.")
    if any(not one.encodes for one in compared.contestants):
        network = "" if config.features == NONE else f" and what {config.features} sees"
        said.append(f"Optimisation and tuning minimise the squared error{network}.")
    images = "1 image" if max(counts) == 1 else f"{max(counts)} images"
    texts = [f"{images} of {config.data}{fewer}. {_machine(results)}", " ".join(said)]
    return [text for text in texts if text]


def final_table(compared: Compared) -> Table:
    """A row for each method's last step."""
    rows = []
    for name, steps in compared.results["methods"].items():
        last = steps[-1]
        faces = [str(last["without_face"])] if "without_face" in last else []
        start = [name, str(last["images"]), f"{last['seconds']:.4f}"]
        rows.append([*start, *_figures(last), *faces])
    faces = ["images without a face"] if "similarity" in compared.config.measures else []
    return ["method", "images", "seconds an image", *_titles(compared), *faces], rows


def optimisation_table(compared: Compared) -> Table:
    """Which share of the optimisation's gain the methods reach, and how much sooner."""
    rows = []
    for row in compared.results["beside_optimisation"]:
        share = format(Interval(**row["share"]), ".1%") if row["share"] else NOWHERE
        rows.append(
            [
                row["method"] + (" *" if row["best"] else ""),
                str(row["step"]),
                str(row["images"]),
                format(Interval(**row["mse"]), f".{MEASURES['mse'].digits}f"),
                share,
                f"{row['seconds']:.4f}",
                f"{row['times_faster']:.3g}",
            ]
        )
    header = ["method", "step", "images", "MSE", "share of the gain", "seconds an image"]
    return [*header, "times faster"], rows


def way_table(compared: Compared) -> Table:
    """A row for each measured step, means only."""
    rows = []
    for name, steps in compared.results["methods"].items():
        for row in steps:
            figures = [
                format(row[name]["mean"], f".{MEASURES[name].digits}f") if row[name] else NOWHERE
                for name in compared.config.measures
            ]
            rows.append([name, str(row["step"]), f"{row['seconds']:.4f}", *figures])
    return ["method", "step", "seconds an image", *_titles(compared)], rows


def speed_table(compared: Compared) -> Table:
    """Milliseconds an image and step, at each batch size."""
    speed = compared.results["speed"]
    sizes = sorted({int(k[6:]) for row in speed.values() for k in row if k.startswith("batch_")})
    rows = []
    for name, row in speed.items():
        cells = [row.get(f"batch_{size}") for size in sizes]
        shown = ["" if cell is None else f"{1000 * cell:.2f}" for cell in cells]
        rows.append([name, *shown, f"{row['peak_memory'] / 2**20:.0f} MiB"])
    titles = [f"ms a step, batch {size}" for size in sizes]
    return ["method", *titles, "peak memory"], rows


def difference_table(compared: Compared) -> Table:
    """Paired differences from the first method, with intervals."""
    rows = [
        [row["method"], str(row["images"]), *_figures(row, "+"), f"{row['better']:.1%}"]
        for row in compared.results["against_the_first"]
    ]
    return ["method", "images", *_titles(compared), "better images"], rows


def faces_table(compared: Compared) -> Table:
    """The images that no identity similarity could be measured on, and why."""
    rows = [[row["method"], row["image"], row["in"]] for row in compared.results["no_face"]]
    return ["method", "image", "no face in the"], rows


def trade_off(compared: Compared, folder: Path) -> list[tuple[Path, str]]:
    """Quality against time, a curve for each method (figure 5 of ReStyle's paper).

    All on the same images: those that every method has inverted.
    """
    encoders = longest_encoders(compared)
    shown = [one.name for one in compared.contestants if not one.encodes or one in encoders]
    outcomes = {name: compared.outcomes[name] for name in shown}
    shared = set.intersection(*(set(found.images) for found in outcomes.values()))
    kept = {name: [i in shared for i in found.images] for name, found in outcomes.items()}
    pictures = []
    for measure in compared.config.measures if shared else ():
        curves = {
            name: (
                found.seconds[1:, kept[name]].mean(axis=1),
                _means(found.values[measure][1:, kept[name]]),
            )
            for name, found in outcomes.items()
        }
        title = MEASURES[measure].title
        path = lines(
            folder / f"trade_off_{measure}.svg",
            curves,
            "seconds an image",
            title,
            log_x=True,
            log_y=measure == "mse",  # which spans orders of magnitude
        )
        caption = f"{title} against time on {len(shared)} images; a point for each measured step."
        pictures.append((path, caption))
    return pictures


def step_curves(compared: Compared, folder: Path) -> list[tuple[Path, str]]:
    """Quality at each step of the encoders, with 95 % intervals."""
    encoders = longest_encoders(compared)
    pictures = []
    for measure in compared.config.measures if encoders else ():
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


def longest_encoders(compared: Compared) -> list[Contestant]:
    """Of each model the encoder's run with the most steps, which has all the others' steps."""
    longest: dict[str, Contestant] = {}
    for one in compared.contestants:
        if one.encodes and one.steps > (longest[one.label].steps if one.label in longest else 0):
            longest[one.label] = one
    return list(longest.values())


def examples(compared: Compared, folder: Path) -> list[tuple[Path, str]]:
    """The images that each encoder does best and worst, by the first measure.

    Not those of optimisations, which would have to be run again.
    """
    measure = compared.config.measures[0]
    pictures = []
    for one in longest_encoders(compared):
        found = compared.outcomes[one.name]
        order = np.argsort(found.values[measure][-1])
        if MEASURES[measure].higher_is_better:
            order = order[::-1]
        count = min(EXAMPLES, (len(order) + 1) // 2)
        for kind, chosen in (("best", order[:count]), ("worst", order[::-1][:count])):
            names = [found.images[i] for i in chosen]
            path = folder / f"{_file_name(one.name)}_{kind}.png"
            save_image(_strips(one, compared, names), path)
            pictures.append((path, f"{one.name}: {kind} by {MEASURES[measure].title}."))
    return pictures


@torch.no_grad()
def _strips(one: Contestant, compared: Compared, names: list[str]):
    size = one.model.domain.input_size
    targets = Targets(compared.config.data, size, compared.config.images)
    targets.names = names
    strips = []
    for _, batch in targets.batches(EXAMPLES):
        batch = batch.to(one.model.device)
        start = one.model.start(len(batch))
        estimates = [start, *one.method(batch, start)]
        shown = sorted(
            {round(s) for s in np.linspace(0, one.steps, min(one.steps, STRIP_STEPS) + 1)}
        )
        labels = ["target", *("average" if s == 0 else f"step {s}" for s in shown)]
        height, width = start.image.shape[-2:]
        for i, target in enumerate(resized(batch, (height, width))):
            pictures = [target.cpu(), *(estimates[s].image[i].cpu() for s in shown)]
            strips.append(strip(pictures, labels))
    return grid(strips, columns=1)


def _means(values: np.ndarray) -> np.ndarray:
    """Over the images (S, N) that have a value; NaN where none has."""
    return np.ma.masked_invalid(values).mean(axis=1).filled(np.nan)


def _titles(compared: Compared) -> list[str]:
    return [MEASURES[name].title for name in compared.config.measures]


def _figures(row: dict[str, Any], sign: str = "") -> list[str]:
    return [
        format(Interval(**row[name]), f"{sign}.{measure.digits}f") if row[name] else NOWHERE
        for name, measure in MEASURES.items()
        if name in row
    ]


def _machine(results: dict[str, Any]) -> str:
    machine = results["machine"]
    return (
        f"{machine['processor']}, {machine['threads']} of {machine['cores']} cores, device "
        f"{machine['device']}; Python {machine['python']}, torch {machine['torch']}, "
        f"{machine['system']}; {results['dtype']}, batches of {results['batch_size']}."
    )


def _file_name(text: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in text)
