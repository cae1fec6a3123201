"""Encoder bootstrapping against the truth: the renderer's own toon of the same person."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from PIL import Image
from torch import Tensor

from restyle.evaluation.data import unseen_portraits
from restyle.evaluation.measures import MEASURES, Judge
from restyle.evaluation.plots import lines
from restyle.evaluation.records import arrays_in_parts, claim_folder
from restyle.evaluation.report import Report, Section
from restyle.evaluation.settings import BootstrappingEvaluation, determining
from restyle.hub.registry import load, load_features
from restyle.inversion.bootstrapping import bootstrap, check_related
from restyle.inversion.targets import resized
from restyle.io.checkpoints import weights_hash
from restyle.io.images import from_uint8, save_image, strip
from restyle.io.tables import Column, Table
from restyle.metrics.intervals import Interval, bootstrap_mean
from restyle.model import ReStyle
from restyle.refine import Estimate

WAYS = ("bootstrapped", "plain")
FIGURES = ("mse", "perceptual")
EXAMPLES = 4

FEW, MANY = 2, 5
"""Steps after which bootstrapping is compared with the plain way, image by image."""


def evaluate_bootstrapping(config: BootstrappingEvaluation) -> Report:
    """Turn test portraits into toons in both ways; what is done is not done again.

    Raises:
        ValueError: There is no such model, the two do not fit together, or the folder holds another
            evaluation.
    """
    source, target = load(config.source, config.device), load(config.target, config.device)
    check_related(source, target)
    target.checked_steps(config.steps)
    network = load_features(config.judge).to(target.device)
    hashes = [source.weights_hash(), target.weights_hash(), weights_hash(network.state_dict())]
    settings = {**determining(config), "networks": hashes}
    claim_folder(config.out, settings)
    judge = Judge(network, FIGURES)
    part = partial(measure, source, target, judge, config)
    arrays = arrays_in_parts(config.out / "parts", config.images, config.batch_size, part)
    return report_on(arrays, config).write(config.out)


def measure(
    source: ReStyle, target: ReStyle, judge: Judge, config: BootstrappingEvaluation, indices: range
) -> dict[str, np.ndarray]:
    """Turn some test portraits into toons in both ways, and write the first few as strips.

    Returns:
        The distances to the true toons after each step of the target, (N, steps), by `WAY.FIGURE`.
    """
    photos = from_uint8(unseen_portraits("portraits", source.domain.input_size).images(indices))
    toons = unseen_portraits("toon", target.domain.input_size).images(indices)
    truth = from_uint8(toons).to(target.device)
    distance = judge.against(truth)
    both = bootstrap(photos, source, target, config.source_steps, config.steps, len(photos))
    plain = target.invert(photos, config.steps, len(photos))
    ways = {"bootstrapped": both.steps[-config.steps :], "plain": plain.steps[1:]}
    arrays = {}
    for way, estimates in ways.items():
        figures = [distance(estimate.image) for estimate in estimates]
        arrays |= {f"{way}.{name}": np.array([f[name] for f in figures]).T for name in FIGURES}
    for i, index in enumerate(indices):
        if index < EXAMPLES:
            save_image(picture(photos, truth, ways, i), config.out / f"examples/{index}.png")
    return arrays


def picture(
    photos: Tensor, truth: Tensor, ways: Mapping[str, Sequence[Estimate]], index: int
) -> Image.Image:
    """Draw one portrait: the photo, two bootstrapped steps, plain steps, the true toon."""
    last = len(ways["plain"])
    shown = [("photo", photos)]
    shown += [(f"bootstrapped {t}", e.image) for t, e in enumerate(ways["bootstrapped"][:2], 1)]
    shown += [(f"plain {t}", ways["plain"][t - 1].image) for t in (1, 2, 5, 10) if t <= last]
    shown.append(("truth", truth))
    height, width = ways["plain"][0].image.shape[-2:]
    images = [resized(image[index][None].cpu(), (height, width))[0] for _, image in shown]
    return strip(images, [label for label, _ in shown])


def report_on(arrays: dict[str, np.ndarray], config: BootstrappingEvaluation) -> Report:
    """Return the report of what `measure` gave; draws its figures into the folder."""
    steps = range(1, config.steps + 1)
    intervals = {
        key: [bootstrap_mean(column) for column in values.T] for key, values in arrays.items()
    }
    few, many = min(FEW, config.steps), min(MANY, config.steps)
    gains = {name: gain(arrays, name, few, many) for name in FIGURES}
    told = (f"{MEASURES[n].title} {gain:+.{MEASURES[n].digits}f}" for n, gain in gains.items())
    cells = [(f"{way}.{name}", way, MEASURES[name]) for name in FIGURES for way in WAYS]
    columns = [Column(f"{m.title}, {way}", f".{m.digits}f") for _, way, m in cells]
    rows = [[t, *(intervals[key][t - 1] for key, _, _ in cells)] for t in steps]
    figures = []
    for name in FIGURES:
        curves = {way: (list(steps), arrays[f"{way}.{name}"].mean(axis=0)) for way in WAYS}
        title = f"{MEASURES[name].title} to the true toon"
        path = config.out / f"plots/{name}.svg"
        figures.append((lines(path, curves, "steps of the target", title), title))
    for path in sorted((config.out / "examples").glob("*.png")):
        figures.append((path, f"Test portrait {path.stem}"))
    results = {
        **determining(config),
        "figures": {key: [i._asdict() for i in found] for key, found in intervals.items()},
        "difference": {name: value._asdict() for name, value in gains.items()},
    }
    summed = (
        f"Bootstrapped after {few} steps, less plain after {many}: {'; '.join(told)} (below 0: "
        "bootstrapped is nearer to the truth)."
    )
    table = Table(["steps of the target", *columns], rows)
    section = Section(tables=[table], prose=[summed], figures=figures)
    about = f"{config.images} test portraits, {config.source_steps} source step(s)."
    return Report("Bootstrapping against the true toon", results, [section], [about])


def gain(arrays: dict[str, np.ndarray], name: str, few: int, many: int) -> Interval:
    """Subtract a measure after many plain steps from that after a few bootstrapped ones."""
    bootstrapped, plain = (arrays[f"{way}.{name}"] for way in WAYS)
    return bootstrap_mean(bootstrapped[:, few - 1] - plain[:, many - 1])
