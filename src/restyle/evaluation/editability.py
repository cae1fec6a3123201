"""The report on editing inversions: tables, the trade-off with distortion, and pictures."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from restyle.evaluation.attributes import ACCESSORIES, NAMES, Reader
from restyle.evaluation.comparison import line_up
from restyle.evaluation.edit_sweep import CLEAN, STILL_THE_SAME, rises
from restyle.evaluation.edited_portraits import STRENGTHS, Edited, along, directions_of, measure
from restyle.evaluation.plots import lines
from restyle.evaluation.records import arrays_in_parts, claim_folder
from restyle.evaluation.report import Figure, Report, Section, tabulate
from restyle.evaluation.settings import EditingEvaluation, determining
from restyle.hub.registry import load, load_features
from restyle.inversion.methods import objective_for
from restyle.io.checkpoints import weights_hash
from restyle.io.images import grid, save_image, strip
from restyle.io.tables import Column, Table
from restyle.metrics.distributions import frechet_distance
from restyle.metrics.intervals import Interval, mean_known, mean_record

EQUAL_IDENTITY = 0.8
"""Identity similarity at which methods are compared by how much they change."""

RESAMPLES = 200


def evaluate_editing(config: EditingEvaluation) -> Report:
    """Edit test portraits that every method has inverted; what is done is not done again.

    Raises:
        ValueError: There is no such model, method or direction, or the folder holds another
            evaluation.
    """
    models = {name: load(name, config.device) for name in config.model}
    place = next(iter(models.values())).device
    judge = load_features(config.judge).to(place)
    objective = objective_for(config.methods, config.features, place)
    settings = determining(config, "model", "methods")  # which may be added to later
    settings["judge_sha256"] = weights_hash(judge.state_dict())
    claim_folder(config.out, settings)
    found = []
    for one in line_up(models, config.methods, objective):
        directions = directions_of(one.model, config)
        folder = one.folder(config.out)
        vectors = weights_hash({name: d.vector for name, d in directions.items()})
        claim_folder(folder, {"model": one.weights_hash(), "directions": vectors})
        edits = {name: partial(along, direction) for name, direction in directions.items()}
        part = partial(measure, one, Reader(judge), edits)
        size = one.batch_size(config.batch_size)
        arrays = arrays_in_parts(folder / "parts", config.images, size, part, one.name)
        found.append(Edited(one.name, tuple(directions), arrays))
    return report_on(found, config.out).write(config.out)


def report_on(found: Sequence[Edited], out: Path) -> Report:
    """Return the report of what was measured, a method each; draws its figures into a folder."""
    results = {one.name: summary(one) for one in found}
    tables = {"Figures": figures_table(found, results), "Methods": method_table(results)}
    tables |= {f"Attributes: {name}": attribute_table(r) for name, r in results.items()}
    count = len(found[0].arrays["mse"])
    note = "Target, reconstruction, edit at matched change, and the truth."
    return Report(
        "How well inversions can be edited",
        results,
        [
            *(Section(title, [table]) for title, table in tables.items()),
            Section("Editing and distortion", figures=plots(results, out / "plots")),
            Section("Examples", note=note, figures=examples(found, out / "examples")),
        ],
        [f"{count} test portraits; changes and drifts in standard deviations, as judged."],
    )


def summary(one: Edited) -> dict[str, Any]:
    """Return the figures of one method: of its reconstructions, all edits, and each attribute."""
    arrays = one.arrays
    there = np.isfinite(arrays["identity"])
    edits, truths = arrays["features"][there], arrays["truth_features"][there]
    attributes = {name: of_attribute(one, i) for i, name in enumerate(one.attributes)}
    over_attributes = ("reached", "drift", "identity", "truth_mse", "truth_perceptual")
    return {
        "mse": mean_record(arrays["mse"]),
        "identity_to_target": _mean(arrays["kept"]),
        **{key: _mean(arrays[key]) for key in ("perceptual", "w_distance", "edit_w_distance")},
        **{
            key: _mean(np.array([a[key] for a in attributes.values()], dtype=float))
            for key in (*over_attributes, "change_at_equal_identity")
        },
        "frechet": frechet_distance(edits, truths) if len(edits) > 1 else None,
        "attributes": attributes,
    }


def of_attribute(one: Edited, index: int) -> dict[str, Any]:
    """Return the figures of one attribute's edits; what never happens is None."""
    a = {key: array[:, index] for key, array in one.arrays.items() if array.ndim > 1}
    visible = np.isfinite(a["asked"])
    asked = np.abs(a["asked"])[:, None]
    # An edit is asked for the true change, which is about one deviation: drift is that per one.
    moved = mean_known(a["drift"] / asked)
    curve = a["change"].mean(axis=0)
    worst = NAMES[int(np.nanargmax(moved))] if np.isfinite(moved).any() else None
    means = ("slope", "identity", "truth_mse", "unedited_mse", "truth_perceptual", "truth_identity")
    return {
        **{key: _mean(a[key]) for key in (*means, "flips")},
        "curve": curve.tolist(),
        "identity_curve": a["identity_at"].mean(axis=0).tolist(),
        "rises": bool(rises(curve[np.abs(STRENGTHS) <= 2])),
        "share_rising": _mean(a["rises"].astype(float)),
        "reached": _mean(np.isfinite(a["strength"])[visible].astype(float)),
        "strength": _mean(np.abs(a["strength"])),
        "drift": _mean(moved),
        "worst": worst,
        "worst_drift": float(np.nanmax(moved)) if worst else None,
        "change_at_equal_identity": change_at(EQUAL_IDENTITY, a["change"], a["identity_at"]),
    }


def change_at(identity: float, change: np.ndarray, kept: np.ndarray) -> float:
    """Return how much the attribute has changed where the mean identity has fallen to a value.

    The mean of both directions; the change at the end of the sweep where it never falls so far.

    Args:
        identity: The value.
        change: (N, S), in deviations, at `STRENGTHS`.
        kept: (N, S), identity similarity.
    """
    found = []
    up, down = _sides(change.mean(axis=0))
    for similarity, moved in zip(_sides(kept.mean(axis=0)), (up, -down), strict=True):
        below = np.flatnonzero(similarity < identity)
        ends = [below[0], below[0] - 1] if len(below) else [-1]
        found.append(np.interp(identity, similarity[ends], moved[ends]))
    return float(np.mean(found))


def change_beside(first: Edited, other: Edited) -> Interval | None:
    """Return the change at equal identity of one method as a share of another one's.

    Of means over the attributes, with a 95 % percentile bootstrap interval over the images; None if
    these are not the same, or edited otherwise.
    """
    count = len(first.arrays["mse"])
    if first.attributes != other.attributes or len(other.arrays["mse"]) != count:
        return None

    def total(one: Edited, rows: np.ndarray) -> float:
        change, kept = one.arrays["change"][rows], one.arrays["identity_at"][rows]
        edits = range(len(one.attributes))
        return sum(change_at(EQUAL_IDENTITY, change[:, i], kept[:, i]) for i in edits)

    random = np.random.default_rng(0)
    draws = [np.arange(count), *random.integers(count, size=(RESAMPLES, count))]
    shares = [total(other, rows) / total(first, rows) for rows in draws]
    low, high = np.quantile(shares[1:], [0.025, 0.975])
    return Interval(shares[0], float(low), float(high))


def figures_table(found: Sequence[Edited], results: dict[str, Any]) -> Table:
    """Return a row for each method: what its edits are asked to be, and how many of them are."""
    flips = [f"{name} flips at identity > {STILL_THE_SAME:g}" for name in ACCESSORIES]
    columns = [
        "method",
        "rise over -2..2",
        f"drift of others below {CLEAN}",
        f"every other below {CLEAN}",
        *(Column(title, ".0%") for title in flips),
        Column(f"change at identity {EQUAL_IDENTITY:g}, of {found[0].name}'s", ".3f"),
    ]
    rows = []
    for one in found:
        edits = results[one.name]["attributes"]
        counts = [_how_many({name: a["rises"] for name, a in edits.items()})]
        for key in ("drift", "worst_drift"):
            moved = {name: a[key] for name, a in edits.items()}
            clean = {name: None if d is None else d < CLEAN for name, d in moved.items()}
            counts.append(_how_many(clean))
        flipped = [edits[name]["flips"] if name in edits else None for name in ACCESSORIES]
        rows.append([one.name, *counts, *flipped, change_beside(found[0], one)])
    return Table(columns, rows)


def method_table(results: dict[str, Any]) -> Table:
    """Return a row for each method: means over the attributes."""
    columns = {
        "method": "method",
        "mse": Column("MSE", ".4f"),
        "w_distance": Column("distance from W", ".2f"),
        "edit_w_distance": Column("of edits", ".2f"),
        "reached": Column("reached", ".2f"),
        "drift": Column("drift of others", ".3f"),
        "identity": Column("identity", ".3f"),
        "truth_mse": Column("MSE to the truth", ".4f"),
        "truth_perceptual": Column("perceptual to the truth", ".4f"),
        "change_at_equal_identity": Column(f"change at identity {EQUAL_IDENTITY:g}", ".2f"),
        "frechet": Column("Fréchet distance", ".1f"),
    }
    return tabulate(columns, ({"method": name, **r} for name, r in results.items()))


def attribute_table(result: dict[str, Any]) -> Table:
    """Return a row for each attribute of one method."""
    columns = {
        "attribute": "attribute",
        "slope": Column("change per strength", ".2f"),
        "rising": "rises over -2..2",
        "reached": Column("reached", ".2f"),
        "drift": Column("drift of others", ".3f"),
        "most": "most entangled with",
        "identity": Column("identity", ".3f"),
        "truth_mse": Column("MSE to the truth", ".4f"),
        "unedited_mse": Column("unedited", ".4f"),
        "flips": Column("flips", ".2f"),
    }
    rows = []
    for name, a in result["attributes"].items():
        rising = f"{'yes' if a['rises'] else 'no'} ({a['share_rising']:.0%} of images)"
        most = f"{a['worst']} {a['worst_drift']:.2f}" if a["worst"] else ""
        rows.append({**a, "attribute": name, "rising": rising, "most": most})
    return tabulate(columns, rows)


def plots(results: dict[str, Any], folder: Path) -> list[Figure]:
    """Draw the trade-off of editing and distortion, and identity against change."""
    reached = {name: r for name, r in results.items() if r["drift"] is not None}
    drifts = {name: ([r["mse"]["mean"]], [r["drift"]]) for name, r in reached.items()}
    curves = {name: _identity_curve(r) for name, r in results.items()}
    found = []
    if drifts:
        path = lines(folder / "trade-off.svg", drifts, "MSE of reconstructions", "drift of others")
        found.append((path, "Left and below is better: nearer to the target, and edits that stay."))
    path = lines(folder / "identity.svg", curves, "change (deviations)", "identity similarity")
    return [*found, (path, "Identity that is left, by change of the asked attribute.")]


def examples(found: Sequence[Edited], folder: Path) -> list[Figure]:
    """Draw a sheet for each method and attribute: target, reconstruction, edit, truth."""
    sheets = []
    for one in found:
        for index, attribute in enumerate(one.attributes):
            rows = []
            pictures, strengths = (one.arrays[key][:, index] for key in ("examples", "strength"))
            for row, strength in zip(pictures, strengths, strict=False):
                # The attribute's name is left out: captions must not make rows of unequal width.
                edit = "edit " + ("never" if np.isnan(strength) else f"{strength:+.1f}")
                labels = ["target", "reconstruction", edit, "truth"]
                rows.append(strip([Image.fromarray(picture) for picture in row], labels))
            path = folder / f"{one.name.replace('/', '_')} {attribute}.png".replace(" ", "_")
            save_image(grid(rows, columns=2), path)
            sheets.append((path, f"{one.name}: {attribute}"))
    return sheets


def _how_many(good: dict[str, bool | None]) -> str:
    """Say how many attributes are as they should be, which are not, and which are unknown."""
    bad, unknown = ([name for name, is_good in good.items() if is_good is x] for x in (False, None))
    known = len(good) - len(unknown)
    notes = [f"not {', '.join(bad)}"] if bad else []
    notes += [f"never reached: {', '.join(unknown)}"] if unknown else []
    return f"{known - len(bad)} of {known}" + (f" ({'; '.join(notes)})" if notes else "")


def _sides(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values (S,) at the strengths above 0 and at those below, both from no change on."""
    middle = STRENGTHS.index(0)
    return values[middle:], values[middle::-1]


def _identity_curve(result: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean change and identity over the attributes and both sides."""
    change, kept = (
        np.array([a[key] for a in result["attributes"].values()]).mean(axis=0)
        for key in ("curve", "identity_curve")
    )
    up, down = _sides(change)
    return (up - down) / 2, np.add(*_sides(kept)) / 2


def _mean(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
