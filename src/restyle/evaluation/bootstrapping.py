"""Encoder bootstrapping against the truth: the renderer's own toon of the same person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from restyle.evaluation.data import as_images, unseen_portraits
from restyle.evaluation.html import Page
from restyle.evaluation.measures import MEASURES, Judge
from restyle.evaluation.plots import lines
from restyle.evaluation.records import arrays_in_parts, claim, markdown
from restyle.hub.registry import load, load_features
from restyle.inversion.bootstrapping import bootstrap, check_related
from restyle.inversion.targets import resized
from restyle.io.checkpoints import weights_hash
from restyle.io.files import atomic_write, write_json
from restyle.io.images import save_image, strip
from restyle.metrics.intervals import Interval, bootstrap_mean
from restyle.model import ReStyle
from restyle.refine import Estimate

WAYS = ("bootstrapped", "plain")
FIGURES = ("mse", "perceptual")
EXAMPLES = 4

FEW, MANY = 2, 5
"""Steps after which bootstrapping is compared with the plain way, image by image."""


@dataclass(frozen=True)
class BootstrappingEvaluation:
    """What is compared.

    Attributes:
        source: The model that begins, as `restyle.load` takes it.
        target: The model that goes on; alone, from its average, it is what it is compared with.
        source_steps: Steps of the source.
        steps: Steps of the target, at most; the figures are given for each number of them.
        images: Test portraits.
        judge: The feature network whose perceptual distance is used.
    """

    source: str = "portraits"
    target: str = "portraits-toon"
    source_steps: int = 1
    steps: int = 10
    images: int = 128
    judge: str = "portraits-judge"


def evaluate_bootstrapping(
    config: BootstrappingEvaluation, out: Path, device: str = "auto", batch_size: int = 16
) -> dict[str, np.ndarray]:
    """Turn test portraits into toons in both ways; what is done is not done again.

    Args:
        config: What is compared.
        out: Keeps the measurements in parts.
        device: Where to compute.
        batch_size: Images at once.

    Returns:
        By `WAY.FIGURE`, (N, steps): distances to the true toon after each step of the target.

    Raises:
        ValueError: There is no such model, the two do not fit together, or `out` holds another
            evaluation.
    """
    source, target = load(config.source, device), load(config.target, device)
    check_related(source, target)
    target.checked_steps(config.steps)
    network = load_features(config.judge).to(target.device)
    hashes = [source.weights_hash(), target.weights_hash(), weights_hash(network.state_dict())]
    claim(out, {**vars(config), "networks": hashes})
    judge = Judge(network, FIGURES)
    with tqdm(total=config.images, unit="image", disable=None) as progress:

        def part(indices: range) -> dict[str, np.ndarray]:
            arrays = measure(source, target, judge, indices, config, out)
            progress.update(len(indices))
            return arrays

        return arrays_in_parts(out / "parts", config.images, batch_size, part)


def measure(
    source: ReStyle,
    target: ReStyle,
    judge: Judge,
    indices: range,
    config: BootstrappingEvaluation,
    out: Path,
) -> dict[str, np.ndarray]:
    """Turn some test portraits into toons in both ways, and write the first few as strips."""
    photos = as_images(unseen_portraits("portraits", source.domain.input_size).images(indices))
    toons = unseen_portraits("toon", target.domain.input_size).images(indices)
    truth = as_images(toons).to(target.device)
    distance = judge.against(truth)
    both = bootstrap(photos, source, target, config.source_steps, config.steps, len(photos))
    plain = target.invert(photos, config.steps, len(photos))
    ways = {"bootstrapped": both.steps[-config.steps :], "plain": plain.steps[1:]}
    arrays = {}
    for way, estimates in ways.items():
        figures = [distance(estimate.image) for estimate in estimates]
        for name in FIGURES:
            arrays[f"{way}.{name}"] = np.array([step[name] for step in figures]).T
    for i, index in enumerate(indices):
        if index < EXAMPLES:
            save_image(picture(photos, truth, ways, i), out / f"examples/{index}.png")
    return arrays


def picture(
    photos: Tensor, truth: Tensor, ways: Mapping[str, Sequence[Estimate]], index: int
) -> Image.Image:
    """A strip of one portrait: the photo, two bootstrapped steps, plain steps, the true toon."""
    last = len(ways["plain"])
    shown = [("photo", photos)]
    shown += [(f"bootstrapped {t}", e.image) for t, e in enumerate(ways["bootstrapped"][:2], 1)]
    shown += [(f"plain {t}", ways["plain"][t - 1].image) for t in (1, 2, 5, 10) if t <= last]
    shown.append(("truth", truth))
    height, width = ways["plain"][0].image.shape[-2:]
    images = [resized(image[index][None].cpu(), (height, width))[0] for _, image in shown]
    return strip(images, [label for label, _ in shown])


def write_report(
    arrays: dict[str, np.ndarray], config: BootstrappingEvaluation, out: Path, command: str
) -> str:
    """Write `report.html`, `report.md`, `results.json` and the plots.

    Args:
        arrays: What `evaluate_bootstrapping` gave.
        config: What was compared.
        out: The folder of the evaluation.
        command: What prints the figures again.

    Returns:
        The table as Markdown.
    """
    steps = range(1, config.steps + 1)
    figures = {
        key: [bootstrap_mean(column)._asdict() for column in values.T]
        for key, values in arrays.items()
    }
    few, many = min(FEW, config.steps), min(MANY, config.steps)
    gains = {name: gain(arrays, name, few, many) for name in FIGURES}
    summed = f"Bootstrapped after {few} steps, less plain after {many}: " + "; ".join(
        f"{MEASURES[name].title} {value:+.{MEASURES[name].digits}f}"
        for name, value in gains.items()
    )
    record = {name: value._asdict() for name, value in gains.items()}
    write_json(out / "results.json", {**vars(config), "figures": figures, "difference": record})
    header = ["steps of the target"]
    header += [f"{MEASURES[name].title}, {way}" for name in FIGURES for way in WAYS]
    rows = [
        [str(t)]
        + [_shown(figures[f"{way}.{name}"][t - 1], name) for name in FIGURES for way in WAYS]
        for t in steps
    ]
    page = Page("Bootstrapping against the true toon")
    page.text(f"{config.images} test portraits, {config.source_steps} source step(s).")
    page.command(command)
    page.table(header, rows)
    page.text(f"{summed} (below 0: bootstrapped is nearer to the truth).")
    for name in FIGURES:
        curves = {way: (list(steps), arrays[f"{way}.{name}"].mean(axis=0)) for way in WAYS}
        title = f"{MEASURES[name].title} to the true toon"
        path = lines(out / f"plots/{name}.svg", curves, "steps of the target", title)
        page.picture(path, title)
    for path in sorted((out / "examples").glob("*.png")):
        page.picture(path, f"Test portrait {path.stem}")
    page.save(out / "report.html")
    text = f"{markdown(header, rows)}\n\n{summed}"
    with atomic_write(out / "report.md") as temporary:
        temporary.write_text(f"{text}\n\nPrinted again by `{command}`\n", encoding="utf-8")
    return text


def gain(arrays: dict[str, np.ndarray], name: str, few: int, many: int) -> Interval:
    """A measure after a few bootstrapped steps less the same after many plain ones, by image."""
    bootstrapped, plain = (arrays[f"{way}.{name}"] for way in WAYS)
    return bootstrap_mean(bootstrapped[:, few - 1] - plain[:, many - 1])


def _shown(figure: dict[str, float], name: str) -> str:
    digits = MEASURES[name].digits
    mean, low, high = (f"{figure[key]:.{digits}f}" for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"
