"""Figures of the reports, as SVG files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from restyle.io.files import atomic_write
from restyle.io.imports import needed

Values = Sequence[float] | np.ndarray
Line = tuple[Values, Values]


def lines(
    path: Path,
    curves: Mapping[str, Line],
    x: str,
    y: str,
    log: str = "",
    bands: Mapping[str, Line] | None = None,
) -> Path:
    """Draw curves with a point at every value; the legend is below, where it hides none of them.

    Args:
        path: The SVG file.
        curves: Values along x and y, by the curve's name.
        x: Title of the axis.
        y: Title of the axis.
        log: The axes that are logarithmic: x, y or xy.
        bands: Lower and upper ends of a curve's intervals, by its name.

    Returns:
        The file.
    """
    columns = 1 if max(map(len, curves), default=0) > 40 else 2
    rows = -(-len(curves) // columns) if len(curves) > 1 else 0
    figure, axes = _figure((7, 4 + 0.2 * rows))
    for number, (name, (along, values)) in enumerate(curves.items()):
        style = {"marker": "o", "markersize": 3 if len(along) > 1 else 6, "linewidth": 1.5}
        style["linestyle"] = ("-", "--", ":")[number // 10 % 3]  # there are ten colours
        (line,) = axes.plot(along, values, label=name, **style)
        if bands and name in bands:
            axes.fill_between(along, *bands[name], color=line.get_color(), alpha=0.15, linewidth=0)
    for axis in log:
        getattr(axes, f"set_{axis}scale")("log")
        _plain_numbers(getattr(axes, f"{axis}axis"))
    if "x" not in log and all(np.asarray(along).dtype.kind == "i" for along, _ in curves.values()):
        axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    if len(curves) > 1:
        figure.legend(loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
    return _save(figure, path)


def heat_maps(path: Path, maps: Sequence[np.ndarray], titles: Sequence[str]) -> Path:
    """Draw maps (H, W) side by side, each with a colour scale of its own; return the file."""
    figure, _ = _figure((2.1 * len(maps), 2.7))
    figure.clear()
    for index, (values, title) in enumerate(zip(maps, titles, strict=True), 1):
        axes = figure.add_subplot(1, len(maps), index)
        axes.imshow(values, cmap="magma")
        axes.set_title(f"{title}\nup to {values.max():.3f}", fontsize=8)
        axes.set_axis_off()
    return _save(figure, path)


def matrix(path: Path, values: np.ndarray, x: str, y: str, rows: Sequence[str]) -> Path:
    """Draw a matrix (R, C) in colours, its columns numbered from 1; return the file."""
    figure, axes = _figure()
    shown = axes.imshow(values, cmap="viridis", aspect="auto")
    axes.set_xticks(range(values.shape[1]), range(1, values.shape[1] + 1))
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    figure.colorbar(shown)
    return _save(figure, path)


def _plain_numbers(axis: Any) -> None:
    """Write 0.02 beside a logarithmic axis instead of 2 x 10^-2, and enough of such numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(LogLocator(subs=(2, 3, 5)))
    axis.set_minor_formatter("{x:g}" if high < 200 * low else NullFormatter())


def _figure(size: tuple[float, float] = (7, 4.2)) -> Any:
    with needed("evaluate", "plots need matplotlib"):
        from matplotlib.figure import Figure
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.add_subplot()


def _save(figure: Any, path: Path) -> Path:
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    return path
