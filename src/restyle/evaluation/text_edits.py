"""Edits of inversions by text against the truth: which inversions they work on, and how well."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from restyle.editing.text_editor import TextEdit, TextEditor
from restyle.evaluation.attributes import Reader
from restyle.evaluation.comparison import line_up
from restyle.evaluation.edit_sweep import CLEAN
from restyle.evaluation.editability import attribute_table, examples, plots, summary
from restyle.evaluation.edited_portraits import (
    Edit,
    Edited,
    Edits,
    Inverted,
    along,
    inverted,
    measure,
)
from restyle.evaluation.records import arrays_in_parts, claim_folder
from restyle.evaluation.report import Report, Section, tabulate
from restyle.evaluation.runner import Entry
from restyle.evaluation.settings import TextEvaluation, TextMethodName, determining
from restyle.hub.registry import load, load_features, load_text
from restyle.inversion.methods import objective_for
from restyle.io.checkpoints import weights_hash
from restyle.io.tables import Column, Table
from restyle.model import ReStyle
from restyle.refine import Estimate
from restyle.runtime.options import TextMethod

MAPPER = "mapper"
"""The folder of the mapper in its run folder."""

REACHED = 0.8
"""Share of the portraits that reach the true change where a prompt is said to work."""

PROMPTS = {
    "glasses": ("a person with glasses", "a person without glasses"),
    "beard": ("a person with a full beard", "a person without a beard"),
    "hat": ("a person with a hat", "a person without a hat"),
    "age": ("an old person", "a young person"),
    "smile": ("a smiling person", "a frowning person"),
    "mouth_open": ("a person with an open mouth", "a person with a closed mouth"),
    "eye_opening": ("a person with wide open eyes", "a person with narrowed eyes"),
    "eye_size": ("a person with big eyes", "a person with small eyes"),
    "gaze": ("a person glancing to the right", "a person glancing to the left"),
    "brow_raise": ("a person with raised eyebrows", "a person with lowered eyebrows"),
    "brow_thickness": ("a person with thick eyebrows", "a person with thin eyebrows"),
    "yaw": ("a person looking to the right", "a person looking to the left"),
    "pitch": ("a person looking up", "a person looking down"),
    "roll": ("a person leaning to the right", "a person leaning to the left"),
    "skin_tone": ("a person with dark skin", "a person with very light skin"),
    "face_width": ("a person with a wide face", "a person with a narrow face"),
    "nose_length": ("a person with a long nose", "a person with a short nose"),
    "mouth_width": ("a person with a wide mouth", "a person with a small mouth"),
    "hair_length": ("a person with voluminous hair", "a person with flat hair"),
    "light_direction": ("a person lit from the right", "a person lit from the left"),
}
"""By attribute: what a text says where it rises, and the neutral text, where it falls."""


def by_text(
    editor: TextEditor, method: TextMethod, mappers: Path, name: str, one: Inverted
) -> Edit:
    """Return the edit of inverted portraits by the prompt of an attribute."""
    folder = str(mappers / name / MAPPER) if method == "mapper" else None
    edit = TextEdit(*PROMPTS[name], method, mapper=folder)
    if method == "global":
        return lambda strengths: editor.edit(one.ws, edit, strengths).rendered(one.render)
    return _moving(one, editor.steps(one.ws, edit))


def edits_of(model: ReStyle, method: TextMethodName, config: TextEvaluation) -> Edits:
    """Return how the attributes are edited by a method, those that it can edit.

    Raises:
        ValueError: None of them.
    """
    names = config.prompts or tuple(PROMPTS)
    if method == "labelled":
        return {name: partial(along, model.editor.direction(name)) for name in names}
    if method == "mapper":
        names = [name for name in names if (config.mappers / name / MAPPER).is_dir()]
    if not names:
        raise ValueError(
            "mappers: expected a folder with mappers (restyle train mapper), got none in "
            f"'{config.mappers}'"
        )
    make = partial(by_text, model.text_editor, method, config.mappers)
    return {name: partial(make, name) for name in names}


def _moving(one: Inverted, step: Tensor) -> Edit:
    def edit(strengths: Tensor) -> Estimate:
        ws = one.ws + strengths.reshape(-1, 1, 1) * step
        return Estimate(ws, one.render(ws))

    return edit


def evaluate_text(config: TextEvaluation) -> Report:
    """Edit test portraits by text that every method has inverted; what is done is not done again.

    Raises:
        ValueError: There is no such model, method, prompt or network, the method tunes the
            generator, or the folder holds another evaluation.
    """
    if unknown := sorted(set(config.prompts) - set(PROMPTS)):
        raise ValueError(f"prompts: expected some of {', '.join(PROMPTS)}; got {unknown}")
    models = {name: load(name, config.device) for name in config.model}
    place = next(iter(models.values())).device
    network: Any = load_text(config.text_network)
    network.to(place)
    judge = load_features(config.judge).to(place)
    objective = objective_for(config.methods, config.features, place)
    entries = line_up(models, config.methods, objective)
    if tuned := [one.name for one in entries if one.method.tuning]:
        raise ValueError(f"methods: expected codes of the model's own generator, got {tuned[0]}")
    settings = determining(config, "model", "methods", "text_methods", "mappers")
    hashes = [weights_hash(part.state_dict()) for part in (network, judge)]
    claim_folder(config.out, {**settings, "networks": hashes})
    reader, found = Reader(judge), []
    for one in entries:
        folder = one.folder(config.out)
        claim_folder(folder, {"model": one.weights_hash()})
        in_parts = partial(arrays_in_parts, count=config.images, part=config.batch_size)
        codes = in_parts(folder / "codes", compute=partial(codes_of, one, reader), label=one.name)
        ws = torch.from_numpy(codes["ws"]).to(place)
        one.model.text_editor.network = network
        for method in config.text_methods:
            name, edits = f"{one.name}, {method}", edits_of(one.model, method, config)
            part = partial(_measured, one, reader, edits, ws)
            arrays = in_parts(folder / "parts" / method, compute=part, label=name)
            found.append(Edited(name, tuple(edits), arrays))
    return report_on(found, config.out).write(config.out)


def codes_of(one: Entry, reader: Reader, indices: range) -> dict[str, np.ndarray]:
    """Return the codes (N, num_ws, D) that a method finds for test portraits."""
    return {"ws": inverted(one, reader, indices).ws.cpu().numpy()}


def _measured(
    one: Entry, reader: Reader, edits: Edits, ws: Tensor, indices: range
) -> dict[str, np.ndarray]:
    return measure(one, reader, edits, indices, ws[indices.start : indices.stop])


def report_on(found: Sequence[Edited], out: Path) -> Report:
    """Return the report of what was measured, an inversion and a text method each."""
    results = {one.name: summary(one) for one in found}
    tables = {f"Prompts: {name}": attribute_table(r) for name, r in results.items()}
    count = len(found[0].arrays["mse"])
    note = "Target, reconstruction, edit at matched change, and the truth."
    return Report(
        "Edits by text",
        results,
        [
            Section("Edits", [method_table(results)]),
            *(Section(title, [table]) for title, table in tables.items()),
            Section("Editing and distortion", figures=plots(results, out / "plots")),
            Section("Examples", note=note, figures=examples(found, out / "examples")),
        ],
        [f"{count} test portraits; changes and drifts in standard deviations, as judged."],
    )


def method_table(results: Mapping[str, Any]) -> Table:
    """Return a row for each inversion and text method: means over the prompts."""
    columns = {
        "name": "inversion, edit",
        "mse": Column("MSE", ".4f"),
        "works": f"prompts that {REACHED:.0%} of the portraits reach",
        "reached": Column("reached", ".2f"),
        "drift": Column("drift of others", ".3f"),
        "identity": Column("identity", ".3f"),
        "truth_mse": Column("MSE to the truth", ".4f"),
        "truth_perceptual": Column("perceptual to the truth", ".4f"),
        "change_at_equal_identity": Column("change at identity 0.8", ".2f"),
    }
    rows = []
    for name, result in results.items():
        prompts = result["attributes"].values()
        works = [p for p in prompts if p["reached"] is not None and p["reached"] >= REACHED]
        clean = [p for p in works if p["drift"] < CLEAN]
        said = f"{len(works)} of {len(prompts)} ({len(clean)} with drift below {CLEAN})"
        rows.append({**result, "name": name, "works": said})
    return tabulate(columns, rows)
