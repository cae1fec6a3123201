"""The report of a comparison: tables, the trade-off, curves, best and worst images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from restyle.evaluation.compare import Compared
from restyle.evaluation.contest import Contestant
from restyle.evaluation.data import Targets
from restyle.evaluation.measures import MEASURES
from restyle.evaluation.page import Page
from restyle.evaluation.plots import lines
from restyle.evaluation.records import markdown
from restyle.images import grid, save_image, strip
from restyle.metrics.intervals import Interval
from restyle.targets import resized

EXAMPLES = 4
STRIP_STEPS = 7
NOWHERE = "none"
"""In the place of a figure that no image has."""

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
    tables = {
        "Quality and time at the last step": final_table(compared),
        "On the way": way_table(compared),
        "Speed": speed_table(compared),
    }
    if compared.results["against_the_first"]:
        first = next(iter(compared.outcomes))
        tables[f"Differences from {first}, image by image"] = difference_table(compared)
    if compared.results["no_face"]:
        tables["Faces not found"] = faces_table(compared)
    page = Page("How good, and at what cost")
    count = len(next(iter(compared.outcomes.values())).images)
    page.text(f"{count} images of {compared.config.data}. {_machine(compared.results)}")
    page.command(command)
    for name, (header, rows) in tables.items():
        page.heading(name)
        page.table(header, rows)
    page.heading("Trade-off")
    for path, caption in trade_off(compared, out / "plots"):
        page.picture(path, caption)
    page.heading("Step by step")
    for path, caption in step_curves(compared, out / "plots"):
        page.picture(path, caption)
    page.heading("Best and worst")
    for path, caption in examples(compared, out / "strips"):
        page.picture(path, caption)
    if compared.results["left_out"]:
        page.heading("Left out")
        page.table(["file", "why"], [list(item) for item in compared.results["left_out"].items()])
    page.save(out / "report.html")
    return "\n\n".join(
        [
            _machine(compared.results),
            *(f"{name}\n\n{markdown(*table)}" for name, table in tables.items()),
            *(f"Left out: {name}: {why}" for name, why in compared.results["left_out"].items()),
        ]
    )


def final_table(compared: Compared) -> Table:
    """A row for each method's last step."""
    rows = []
    for name, steps in compared.results["methods"].items():
        last = steps[-1]
        faces = [str(last["without_face"])] if "without_face" in last else []
        rows.append([name, f"{last['seconds']:.4f}", *_figures(last), *faces])
    faces = ["images without a face"] if "similarity" in compared.config.measures else []
    return ["method", "seconds an image", *_titles(compared), *faces], rows


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
    return ["method", *titles, "peak memory so far"], rows


def difference_table(compared: Compared) -> Table:
    """Paired differences from the first method, with intervals."""
    rows = [
        [row["method"], *_figures(row), f"{row['better']:.1%}"]
        for row in compared.results["against_the_first"]
    ]
    return ["method", *_titles(compared), "better images"], rows


def faces_table(compared: Compared) -> Table:
    """The images that no identity similarity could be measured on, and why."""
    rows = [[row["method"], row["image"], row["in"]] for row in compared.results["no_face"]]
    return ["method", "image", "no face in the"], rows


def trade_off(compared: Compared, folder: Path) -> list[tuple[Path, str]]:
    """Quality against time, a curve for each method (figure 5 of ReStyle's paper)."""
    pictures = []
    for measure in compared.config.measures:
        curves = {
            name: (found.seconds.mean(axis=1)[1:], _means(found.values[measure])[1:])
            for name, found in compared.outcomes.items()
        }
        title = MEASURES[measure].title
        path = lines(
            folder / f"trade_off_{measure}.svg", curves, "seconds an image", title, log_x=True
        )
        pictures.append((path, f"{title} against time; a point for each measured step."))
    return pictures


def step_curves(compared: Compared, folder: Path) -> list[tuple[Path, str]]:
    """Quality at each step of the encoders, with 95 % intervals."""
    encoders = [one for one in compared.contestants if one.method.name.startswith("restyle")]
    pictures = []
    for measure in compared.config.measures if encoders else ():
        curves, bands = {}, {}
        for one in encoders:
            last = one.method.steps[0]
            rows = [
                row
                for row in compared.results["methods"][one.name]
                if 1 <= row["step"] <= last and row[measure]
            ]
            along = [row["step"] for row in rows]
            curves[one.name] = (along, [row[measure]["mean"] for row in rows])
            bands[one.name] = tuple([row[measure][end] for row in rows] for end in ("low", "high"))
        title = MEASURES[measure].title
        path = lines(folder / f"steps_{measure}.svg", curves, "step", title, bands=bands)
        pictures.append((path, f"{title} at each step, with 95 % bootstrap intervals."))
    return pictures


def examples(compared: Compared, folder: Path) -> list[tuple[Path, str]]:
    """The images that each encoder does best and worst, by the first measure."""
    measure = compared.config.measures[0]
    pictures = []
    for one in compared.contestants:
        if any(not part.startswith("restyle") for part in one.method.name.split("+")):
            continue  # an optimisation would have to be run again
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


def _figures(row: dict[str, Any]) -> list[str]:
    return [
        format(Interval(**row[name]), f".{measure.digits}f") if row[name] else NOWHERE
        for name, measure in MEASURES.items()
        if name in row
    ]


def _machine(results: dict[str, Any]) -> str:
    machine = results["machine"]
    return (
        f"{machine['processor']}, {machine['threads']} of {machine['cores']} cores, device "
        f"{machine['device']}; Python {machine['python']}, torch {machine['torch']}, "
        f"{machine['system']}; batches of {results['batch_size']}."
    )


def _file_name(text: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in text)
