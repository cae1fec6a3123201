"""Quality of a generator's samples (Fréchet distance, precision, recall, spectra, attributes)."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from restyle.evaluation.attributes import people_in
from restyle.evaluation.data import unseen_portraits
from restyle.evaluation.records import arrays_in_parts, claim_folder
from restyle.evaluation.report import Report, Section, tabulate
from restyle.evaluation.settings import GeneratorEvaluation, determining
from restyle.generators.stylegan2 import StyleGAN2
from restyle.hub.registry import folder_of, load_features, load_generator
from restyle.inversion.optimisation import optimise_ws
from restyle.io.checkpoints import load_config, weights_hash
from restyle.io.images import from_uint8
from restyle.io.tables import Column
from restyle.losses.pixels import l2
from restyle.metrics.distributions import frechet_distance, precision_recall
from restyle.metrics.intervals import bootstrap_ratio, mean_record
from restyle.metrics.spectra import octave_energy, radial_power
from restyle.portraits.attributes import Attributes, class_names
from restyle.portraits.features import FeatureNetwork
from restyle.portraits.visibility import visible
from restyle.refine import average_estimate

SHARED = ("hair_style", "hair_colour", "glasses", "beard", "hat")
"""The attributes whose classes samples should have as often as the data."""

PART = 500
BATCH = 50
OPTIMISED = 8  # images at once


def evaluate_generators(config: GeneratorEvaluation) -> Report:
    """Evaluate generators against the same test portraits; what is done already is not done again.

    Raises:
        ValueError: There is no such generator, or the folder holds another measurement.
        CheckpointError: Weights cannot be used.
    """
    judge = load_features(config.judge)
    settings = determining(config, "folders")
    settings["judge_sha256"] = weights_hash(judge.state_dict())
    settings["spectra"] = True  # older measurements have none
    claim_folder(config.out, settings)
    results = [evaluate_generator(folder, judge, config) for folder in config.folders]
    return report_on(results).write(config.out)


def evaluate_generator(
    name: str, judge: FeatureNetwork, config: GeneratorEvaluation
) -> dict[str, Any]:
    """Evaluate one generator; see `evaluate_generators`."""
    generator, out = load_generator(name), config.out
    digest = weights_hash(generator.state_dict())[:16]
    side = generator.config.size
    real = read_portraits(judge, side, out / f"data-{side}", config)
    fake = read_samples(generator, judge, out / digest / "samples", config)
    precision, recall = precision_recall(real["features"], fake["features"])
    projected = projections(generator, out / digest / "projection", config)
    return {
        "generator": str(name),
        "sha256": digest,
        "size": side,
        "images_seen": _images_seen(name),
        "samples": config.samples,
        "frechet": frechet_distance(real["features"], fake["features"]),
        "frechet_of_data": frechet_distance(real["features"][::2], real["features"][1::2]),
        "precision": precision,
        "recall": recall,
        "octaves": octave_ratios(real["power"], fake["power"]),
        "projection_mse": mean_record(projected["mse"]),
        "projection_missed": bootstrap_ratio(projected["missed"], projected["energy"])._asdict(),
        "shares": shares(real, fake),
    }


def read_portraits(
    judge: FeatureNetwork, side: int, folder: Path, config: GeneratorEvaluation
) -> dict[str, np.ndarray]:
    """Judge test portraits; `true_labels` is the truth about them."""
    portraits = unseen_portraits(config.data, (side, side))

    def part(indices: range) -> dict[str, np.ndarray]:
        images = from_uint8(portraits.images(indices))
        truth = visible_labels([portraits[i].attributes for i in indices])
        return judged(judge, images) | {"true_labels": truth}

    return arrays_in_parts(folder, config.samples, PART, part, "portraits")


def read_samples(
    generator: StyleGAN2, judge: FeatureNetwork, folder: Path, config: GeneratorEvaluation
) -> dict[str, np.ndarray]:
    """Judge samples of a generator, untruncated, with its fixed noise."""

    def part(indices: range) -> dict[str, np.ndarray]:
        rng = torch.Generator().manual_seed(indices.start)
        z = torch.randn(len(indices), generator.config.z_dim, generator=rng)
        with torch.no_grad():
            images = torch.cat([generator(chunk) for chunk in z.split(BATCH)])
        return judged(judge, images)

    return arrays_in_parts(folder, config.samples, PART, part, "samples")


@torch.no_grad()
def judged(judge: FeatureNetwork, images: Tensor) -> dict[str, np.ndarray]:
    """Look at images (N, 3, h, w) in [-1, 1] of any size.

    Returns:
        `features` (N, F); `labels` (N, len(SHARED)) as of `visible_labels`; `power` (N, h // 2 + 1)
        of `radial_power`.
    """
    features, people = [], []
    for batch in images.split(BATCH):
        features.append(judge.features(batch).numpy())
        people += people_in(judge, judge.heads(batch))
    return {
        "features": np.concatenate(features),
        "labels": visible_labels(people),
        "power": radial_power(images).numpy(),
    }


def visible_labels(people: list[Attributes]) -> np.ndarray:
    """Number the classes that are to be seen: (N, len(SHARED)) int64, -1 for hidden ones.

    Bald and very old heads hide their hair's colour.
    """

    def label(person: Attributes, name: str) -> int:
        return class_names[name].index(getattr(person, name)) if visible(person)[name] else -1

    return np.array([[label(person, name) for name in SHARED] for person in people])


def shares(real: dict[str, np.ndarray], fake: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Count how often each class is seen, as a share of the images that show the attribute.

    Returns:
        For each class: `truth`, the share in the data; `data`, what the judge reads in the data;
        `samples`, what it reads in the samples; `ratio`, samples to truth.
    """
    labels = {"truth": real["true_labels"], "data": real["labels"], "samples": fake["labels"]}
    rows = []
    for column, name in enumerate(SHARED):
        for number, label in enumerate(class_names[name]):
            found = {key: _share(seen[:, column], number) for key, seen in labels.items()}
            ratio = found["samples"] / found["truth"] if found["truth"] else None
            rows.append({"attribute": name, "class": label, **found, "ratio": ratio})
    return rows


def octave_ratios(real: np.ndarray, fake: np.ndarray) -> list[float]:
    """Return samples' mean energy in the highest two octaves, as shares of the data's.

    Args:
        real: (N, side // 2 + 1), `radial_power` of the data.
        fake: (M, side // 2 + 1), that of samples.
    """
    power = [torch.from_numpy(x).mean(dim=0) for x in (fake, real)]
    return [octave_energy(power[0], o).item() / octave_energy(power[1], o).item() for o in (0, 1)]


def projections(
    generator: StyleGAN2, folder: Path, config: GeneratorEvaluation
) -> dict[str, np.ndarray]:
    """Measure what W+ optimisation from the average leaves of each test portrait.

    Returns:
        For each image `mse`; `missed` and `energy`, what the difference and the portrait have in
        the highest octave of frequency.
    """
    side = generator.config.size
    portraits = unseen_portraits(config.data, (side, side))
    render = partial(generator.synthesis, noise="fixed")
    ws = generator.broadcast(generator.w_avg[None])[0]

    def part(indices: range) -> dict[str, np.ndarray]:
        target = from_uint8(portraits.images(indices))
        with torch.no_grad():
            start = average_estimate(ws, render, len(target))
        *_, found = optimise_ws(render, l2, target, start, config.iterations, config.lr)
        missed, energy = (radial_power(x) for x in (found.image - target, target))
        return {
            "mse": l2(found.image, target).numpy(),
            "missed": octave_energy(missed).numpy(),
            "energy": octave_energy(energy).numpy(),
        }

    return arrays_in_parts(folder, config.images, OPTIMISED, part, "optimisation")


def report_on(results: list[dict[str, Any]]) -> Report:
    """Return the report: a table of the generators, then the shares for each."""
    columns = {
        "generator": "generator",
        "images_seen": Column("images seen", ","),
        "frechet": Column("Fréchet distance", ".2f"),
        "precision": Column("precision", ".3f"),
        "recall": Column("recall", ".3f"),
        "highest": Column("energy in the highest octave", ".2f"),
        "second": Column("in the one below", ".2f"),
        "projection_mse": Column("W+ optimisation, MSE", ".5f"),
        "projection_missed": Column("energy it misses in the highest octave", ".2f"),
        "worst": Column("largest deviation of a share", ".0%"),
    }
    rows = []
    for r in results:
        highest, second = r["octaves"]
        rows.append({**r, "highest": highest, "second": second, "worst": worst_share(r["shares"])})
    shared = {
        "attribute": "attribute",
        "class": "class",
        "truth": Column("true share", ".3f"),
        "data": Column("judged in data", ".3f"),
        "samples": Column("judged in samples", ".3f"),
        "ratio": Column("samples / true", ".2f"),
    }
    halves = results[0]["frechet_of_data"]
    said = f"Fréchet distance between two halves of the data: {halves:.2f}."
    sections = [Section(tables=[tabulate(columns, rows)], prose=[said])]
    sections += [Section(r["generator"], [tabulate(shared, r["shares"])]) for r in results]
    return Report("How good generators are", results, sections)


def worst_share(rows: list[dict[str, Any]]) -> float:
    """Return the largest relative deviation of a class's share from the truth."""
    return max(abs(row["ratio"] - 1) for row in rows if row["ratio"] is not None)


def _share(labels: np.ndarray, number: int) -> float:
    return float((labels == number).sum() / max(1, (labels >= 0).sum()))


def _images_seen(name: str) -> int | None:
    if Path(name).is_file():
        return None
    config = load_config(folder_of(name))
    made = (config.get("card") or {}).get("generator") or {}
    return config.get("images_seen", made.get("images_seen"))
