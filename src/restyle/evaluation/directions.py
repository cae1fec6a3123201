"""Directions of a portrait generator: found by one feature network, checked by another one.

A linear SVM tells the samples that show most of an attribute, by the labeller's word, from those
that show least of it, in coordinates in which codes vary alike in all directions. What such a
direction changes besides is held still where that helps, and so are the layers that it does not
need, as the labeller sees it on other samples. The judge then measures it on new samples.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from restyle.editing.directions import SUFFIX, Direction, save_direction
from restyle.evaluation.attributes import ACCESSORIES, NAMES, Reader
from restyle.evaluation.direction_search import NAMED, Search, bench
from restyle.evaluation.edit_sweep import CLEAN, Sweep, flips, matched_drift, rises
from restyle.evaluation.records import ROWS, SETTINGS, arrays_in_parts, claim_folder
from restyle.evaluation.report import Report, Section, tabulate
from restyle.evaluation.settings import DirectionSearch, determining
from restyle.generators.stylegan2 import StyleGAN2
from restyle.generators.styles import style_layers
from restyle.hub.registry import load_features, load_generator
from restyle.io.checkpoints import weights_hash
from restyle.io.claims import check_own, read_settings
from restyle.io.files import append_jsonl, read_jsonl, write_json
from restyle.io.tables import Column
from restyle.refine import Render
from restyle.runtime.devices import resolve_device, resolve_dtype

PART = 500
TRIAL_STRENGTHS = (-4.0, -2.0, 0.0, 2.0, 4.0)
STRENGTHS = (-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0)
KEPT_FROM = 0.5
"""A direction is kept if the judge sees at least N deviations between strengths -2 and 2, and it is
worth its name."""

REPORT, UNFINISHED = "report.json", "unfinished"


def find_directions(config: DirectionSearch) -> Report:
    """Find a direction for every attribute that one can be found for.

    The folder gets NAME.safetensors for every direction that the judge sees at work, and
    `report.json` about all; until then a folder `unfinished` keeps what is needed to go on.

    Raises:
        ValueError: There is no such generator, device or attribute, or the folder holds another
            search.
        CheckpointError: Weights cannot be used.
        ImportError: scikit-learn is missing.
    """
    config = replace(config, attributes=config.attributes or NAMES)
    if unknown := sorted(set(config.attributes) - set(NAMES)):
        raise ValueError(f"expected attributes of {', '.join(NAMES)}, got {unknown}")
    out, place = config.out, resolve_device(config.device)
    generator = load_generator(config.generator)
    networks = [load_features(name) for name in (config.labeller, config.judge)]
    hashes = [weights_hash(network.state_dict()) for network in (generator, *networks)]
    settings = determining(config, "overwrite")
    settings["dtype"] = str(resolve_dtype(config.dtype, place)).removeprefix("torch.")
    settings |= {"generator_sha256": hashes[0], "networks": hashes[1:]}
    settings = json.loads(json.dumps(settings))
    if (records := earlier(out, settings, config.overwrite)) is not None:
        return report_on(records)
    work = claim_folder(out / UNFINISHED, settings)
    generator.to(place).to(memory_format=torch.channels_last)  # pyright: ignore - no overload
    labeller, judge = (Reader(network.to(place)) for network in networks)
    fast = renderer(generator, config.dtype)
    search = Search(config, generator, *labelled_samples(generator, fast, labeller, config, work))
    trial = bench(fast, search.codes(config.trials, 1), labeller, TRIAL_STRENGTHS)
    check = bench(renderer(generator), search.codes(config.checks, 2), judge, STRENGTHS)
    done = {record["name"] for record in read_jsonl(work)}
    there = [name for name in config.attributes if name in search.normals]
    for name in tqdm([name for name in there if name not in done], unit="direction", disable=None):
        found = replace(search.best(name, trial), generator_sha256=hashes[0])
        record = judgement(found, check(found))
        if record["kept"]:
            save_direction(found, out / f"{name}{SUFFIX}")
        append_jsonl(work, record)
    missing = [name for name in config.attributes if name not in there]
    records = [*read_jsonl(work), *(_not_kept(name, "never differs") for name in missing)]
    write_json(out / REPORT, {"settings": settings, "directions": records})
    shutil.rmtree(out / UNFINISHED)
    return report_on(records)


def earlier(out: Path, settings: dict[str, Any], overwrite: bool) -> list[dict[str, Any]] | None:
    """Return what the same search has found already, or None; make room for a new one if asked to.

    Raises:
        ValueError: The folder holds another search, which is not to be overwritten.
    """
    report = read_settings(out / REPORT, "directions")
    begun = read_settings(out / UNFINISHED / SETTINGS, "directions")
    if not overwrite:
        if report and report.get("settings") == settings:
            return report["directions"]
        if report:
            raise ValueError(
                f"{out}: expected a folder for a new search, got the directions of another one; "
                "choose another folder, or --overwrite them"
            )
        if not begun:
            check_own(out, [f"{name}{SUFFIX}" for name in NAMES])
        return None
    stale = report["directions"] if report else []
    if begun and begun != settings:
        stale += read_jsonl(out / UNFINISHED / ROWS)
        shutil.rmtree(out / UNFINISHED)
    for record in stale:
        (out / f"{record['name']}{SUFFIX}").unlink(missing_ok=True)
    (out / REPORT).unlink(missing_ok=True)
    return None


def renderer(generator: StyleGAN2, dtype: str = "float32") -> Render:
    """Return what renders a generator's codes or styles in some precision; images are float32."""
    widths = [layer.stop - layer.start for layer in style_layers(generator.synthesis)]
    kind, precision = generator.w_avg.device.type, resolve_dtype(dtype, generator.w_avg.device)

    @torch.no_grad()
    def render(codes: Tensor) -> Tensor:
        with torch.autocast(kind, precision, enabled=precision != torch.float32):
            if codes.ndim == 2:
                return generator.synthesis.render(codes.split(widths, dim=1)).float()
            return generator.synthesis(codes).float()

    return render


def labelled_samples(
    generator: StyleGAN2, render: Render, labeller: Reader, config: DirectionSearch, work: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Draw codes (N, D), and label their pictures (N, A), NaN where nothing is shown."""
    w = generator.sample_w(config.samples, config.seed)

    def part(indices: range) -> dict[str, np.ndarray]:
        batches = w[indices.start : indices.stop].split(50)
        found = [labeller.labels(render(generator.broadcast(batch))) for batch in batches]
        return {"labels": np.concatenate(found)}

    arrays = arrays_in_parts(work.parent / "labels", config.samples, PART, part, "labels")
    return w.cpu().numpy(), arrays["labels"]


def judgement(direction: Direction, found: Sweep) -> dict[str, Any]:
    """Say what the judge sees in a direction, and whether it is kept.

    It is if its attribute rises with strength from -2 to 2, by enough, and no other attribute moves
    as far as the one that it is named after.
    """
    if not found.visible.any():
        return _not_kept(direction.name, "never shown")
    curve = found.change[:, found.visible].mean(axis=1)
    near = curve[found.near]
    moved, identity, reached = matched_drift(found)
    worst = float(np.nanmax(moved)) if reached.any() else float("inf")
    steady = bool(rises(near))
    flipped = flips(found, direction.name)
    record: dict[str, Any] = {
        "name": direction.name,
        "kept": steady and bool(near[-1] - near[0] >= KEPT_FROM) and worst < NAMED,
        "about": direction.about,
        "layers": direction.layers,
        "strengths": list(found.strengths),
        "change": curve.tolist(),
        "rises": steady,
        "slope": float(found.slope()[found.visible].mean()),
        "reached": float(reached.mean()),
        "flips": float(flipped.mean()) if direction.name in ACCESSORIES else None,
    }
    if reached.any():
        order = np.argsort(-np.nan_to_num(moved))[:3]
        record |= {
            "drift": float(np.nanmean(moved)),
            "most_entangled": {NAMES[i]: float(moved[i]) for i in order},
            "identity": float(identity.mean()),
        }
    return record


def _not_kept(name: str, why: str) -> dict[str, Any]:
    return {"name": name, "kept": False, "about": why}


def report_on(records: list[dict[str, Any]]) -> Report:
    """Return the report, the cleanest directions first."""
    columns = {
        "name": "direction",
        "kept": "kept",
        "layers": "layers",
        "slope": Column("change per strength", "+.2f"),
        "rises": "rises over -2..2",
        "reached": Column("reaches 1 deviation", ".0%"),
        "drift": Column("drift of others", ".2f"),
        "most_entangled": "most entangled with",
        "identity": Column("identity", ".2f"),
        "flips": Column("flips", ".0%"),
    }
    rows = []
    for r in sorted(records, key=lambda r: (not r["kept"], r.get("drift", 9.0))):
        layers, most = r.get("layers"), r.get("most_entangled", {})
        ends = f"{layers[0]}-{layers[-1]}" if layers else "all"
        most = ", ".join(f"{name} {value:.2f}" for name, value in most.items())
        rows.append({**r, "layers": ends, "most_entangled": most})
    kept = [r for r in records if r["kept"]]
    clean = [r for r in kept if max(r["most_entangled"].values()) < CLEAN]
    said = (
        f"{len(kept)} of {len(records)} directions are kept; with {len(clean)} of these every "
        f"other attribute moves by less than {CLEAN} deviations, on average, for one of its own."
    )
    section = Section(tables=[tabulate(columns, rows)], prose=[said])
    return Report("Directions", records, [section])
