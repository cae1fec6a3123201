"""Figures of the reports, as SVG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from restyle.files import atomic_write

Values = Sequence[float] | np.ndarray
Line = tuple[Values, Values]


def lines(
    path: Path,
    curves: Mapping[str, Line],
    x: str,
    y: str,
    log_x: bool = False,
    log_y: bool = False,
    bands: Mapping[str, Line] | None = None,
) -> Path:
    """Draw curves with a point at every value.

    Args:
        path: The SVG file.
        curves: Values along x and y, by the curve's name.
        x: Title of the axis.
        y: Title of the axis.
        log_x: Whether the axis is logarithmic.
        log_y: Whether the axis is logarithmic.
        bands: Lower and upper ends of a curve's intervals, by its name.

    Returns:
        The file.
    """
    figure, axes = _figure()
    for name, (along, values) in curves.items():
        (line,) = axes.plot(along, values, marker="o", markersize=3, linewidth=1.5, label=name)
        if bands and name in bands:
            axes.fill_between(along, *bands[name], color=line.get_color(), alpha=0.15, linewidth=0)
    if log_x:
        axes.set_xscale("log")
    if log_y:
        axes.set_yscale("log")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    if len(curves) > 1:
        axes.legend(fontsize=8, frameon=False)
    return _save(figure, path)


def heat_maps(path: Path, maps: Sequence[np.ndarray], titles: Sequence[str]) -> Path:
    """Draw maps (H, W) side by side, each with a colour scale of its own.

    Returns:
        The file.
    """
    figure, _ = _figure((2.1 * len(maps), 2.4))
    figure.clear()
    for index, (values, title) in enumerate(zip(maps, titles, strict=True), 1):
        axes = figure.add_subplot(1, len(maps), index)
        axes.imshow(values, cmap="magma")
        axes.set_title(f"{title}\nup to {values.max():.3f}", fontsize=8)
        axes.set_axis_off()
    return _save(figure, path)


def matrix(path: Path, values: np.ndarray, x: str, y: str, rows: Sequence[str]) -> Path:
    """Draw a matrix (R, C) in colours, its columns numbered from 1.

    Returns:
        The file.
    """
    figure, axes = _figure()
    shown = axes.imshow(values, cmap="viridis", aspect="auto")
    axes.set_xticks(range(values.shape[1]), range(1, values.shape[1] + 1))
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    figure.colorbar(shown)
    return _save(figure, path)


def _figure(size: tuple[float, float] = (7, 4.2)) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'restyle[evaluate]'") from error
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.add_subplot()


def _save(figure: Any, path: Path) -> Path:
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    return path
