"""What is said about the directions that were found: which ones work, and how cleanly."""

from __future__ import annotations

from typing import Any

import numpy as np

from restyle.editing.directions import Direction
from restyle.evaluation.attributes import ACCESSORIES, NAMES
from restyle.evaluation.edit_sweep import CLEAN, Sweep, flips, matched_drift, rises
from restyle.evaluation.records import markdown

KEPT_FROM = 0.5
"""A direction is kept if the judge sees at least so many deviations between strengths -2 and 2."""

NAMED = 1.0
"""And if, for one deviation of its own attribute, no other one moves by as much."""


def described(direction: Direction, found: Sweep) -> dict[str, Any]:
    """What the judge says about a direction.

    It is kept if its attribute rises with strength from -2 to 2, by enough, and no other attribute
    moves as far as the one that it is named after.
    """
    if not found.visible.any():
        return {"name": direction.name, "kept": False, "about": "never shown"}
    near = np.abs(found.strengths) <= 2
    curve = found.change[:, found.visible].mean(axis=1)
    moved, identity, reached = matched_drift(found)
    worst = float(np.nanmax(moved)) if reached.any() else float("inf")
    steady, moved_by = bool(rises(curve[near])), float(curve[near][-1] - curve[near][0])
    flipped = flips(found, direction.name)
    record: dict[str, Any] = {
        "name": direction.name,
        "kept": steady and moved_by >= KEPT_FROM and worst < NAMED,
        "about": direction.about,
        "layers": direction.layers,
        "strengths": list(found.strengths),
        "change": [float(value) for value in curve],
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


def describe(records: list[dict[str, Any]]) -> str:
    """The report as a table, the cleanest directions first, and its sum."""
    rows = []
    for r in sorted(records, key=lambda r: (not r["kept"], r.get("drift", 9.0))):
        most = r.get("most_entangled", {})
        layers = r.get("layers")
        rows.append(
            [
                r["name"],
                "yes" if r["kept"] else "no",
                f"{layers[0]}-{layers[-1]}" if layers else "all",
                f"{r['slope']:+.2f}" if "slope" in r else "",
                ("yes" if r["rises"] else "no") if "rises" in r else "",
                f"{r['reached']:.0%}" if "reached" in r else "",
                f"{r['drift']:.2f}" if "drift" in r else "",
                ", ".join(f"{name} {value:.2f}" for name, value in most.items()),
                f"{r['identity']:.2f}" if "identity" in r else "",
                "" if r.get("flips") is None else f"{r['flips']:.0%}",
            ]
        )
    header = ["direction", "kept", "layers", "change per strength", "rises over -2..2"]
    header += ["reaches 1 deviation", "drift of others", "most entangled with", "identity", "flips"]
    kept = [r for r in records if r["kept"]]
    clean = [r for r in kept if max(r["most_entangled"].values()) < CLEAN]
    return (
        markdown(header, rows) + f"\n\n{len(kept)} of {len(records)} directions are kept; with "
        f"{len(clean)} of these every other attribute moves by less than {CLEAN} deviations, on "
        f"average, for one of its own."
    )
