"""Time at which methods are as near as optimisation is in the end."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from restyle.evaluation.report import tabulate
from restyle.evaluation.runner import Entry, Outcome, of_images
from restyle.io.tables import Column, Table

WITHIN = {"equal": 0.0, "near": 0.1}
"""Distance above the optimisation's objective that still counts, as a share of it."""


def time_to_reach(
    entries: list[Entry], outcomes: dict[str, Outcome], measures: Collection[str]
) -> list[dict[str, Any]]:
    """Find the first step of each method whose objective is as low as an optimisation's last one.

    Args:
        entries: Those who took part.
        outcomes: What they did, by name.
        measures: What was measured; nothing is found where the objective was not.

    Returns:
        For each W+ optimisation, alone or after an encoder, and each method that comes as near on
        the images that both have: `optimisation`, `method`, `images`, the optimisation's `seconds`
        an image; and for each of `WITHIN` the `step` and the `seconds` of the method, and how many
        times faster it is; nothing where it does not come so near.
    """
    rows = []
    for other in entries if "objective" in measures else ():
        for one in entries if other.parts[-1] == "ws" else ():
            shared = sorted(set(outcomes[one.name].images) & set(outcomes[other.name].images))
            if one.parts[-1] == "ws" or not shared:
                continue
            mine, theirs = (of_images(outcomes[each.name], shared) for each in (one, other))
            means, wanted = mine["objective"].mean(axis=1), theirs["objective"][-1].mean()
            seconds, theirs_took = mine["seconds"].mean(axis=1), theirs["seconds"][-1].mean()
            row: dict[str, Any] = {"optimisation": other.name, "method": one.name}
            row |= {"images": len(shared), "seconds": float(theirs_took)}
            for name, share in WITHIN.items():
                there = np.flatnonzero(means <= (1 + share) * wanted)
                if len(there):
                    at = there[0]
                    row[f"{name}_step"] = int(outcomes[one.name].steps[at])
                    row[f"{name}_seconds"] = float(seconds[at])
                    row[f"{name}_times_faster"] = float(theirs_took / max(seconds[at], 1e-9))
            if "near_step" in row:
                rows.append(row)
    return rows


def reaching_table(rows: list[dict[str, Any]]) -> Table:
    """Return a row for each optimisation and method that comes as near."""
    columns: dict[str, Column | str] = {
        "optimisation": "optimisation",
        "images": "images",
        "seconds": Column("seconds an image", ".3f"),
        "method": "method",
    }
    for name, title in (("equal", "as low"), ("near", f"within {WITHIN['near']:.0%}")):
        columns[f"{name}_step"] = f"{title}: step"
        columns[f"{name}_seconds"] = Column("seconds", ".3f")
        columns[f"{name}_times_faster"] = Column("times faster", ".3g")
    return tabulate(columns, rows)
