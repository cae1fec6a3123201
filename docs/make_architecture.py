"""Draw the way of a photograph through the package: `python docs/make_architecture.py`.

Writes docs/architecture.svg, with letters as outlines, so that it looks alike everywhere.
"""

from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

OUT = Path(__file__).with_name("architecture.svg")
INK, LINE, LOOP = "#263238", "#78909c", "#c2185b"
FILLS = {"entry": "#eceff1", "file": "#e0f2f1", "network": "#e3f2fd", "loop": "#fce4ec"}
# name -> (centre, size, kind, title, text)
Box = tuple[tuple[float, float], tuple[float, float], str, str, str]
BOXES: dict[str, Box] = {
    "entry": ((5.0, 6.4), (5.4, 0.9), "entry", "cli · jobs", "restyle invert, restyle.jobs.invert"),
    "photo": ((1.25, 5.0), (2.1, 0.9), "file", "io.images", "photograph → RGB"),
    "faces": ((4.1, 5.0), (2.3, 0.9), "network", "faces", "find, align, cut out"),
    "target": ((7.9, 5.0), (3.2, 0.9), "file", "inversion.targets", "target (B, 3, h, w), [-1, 1]"),
    "encoder": ((7.9, 3.1), (2.8, 0.9), "network", "encoders", "[target, image] → residual"),
    "sum": ((5.0, 1.75), (2.2, 0.9), "loop", "ws + residual", "(B, num_ws, D)"),
    "generator": ((1.9, 3.1), (2.8, 0.9), "network", "generators", "ws → image (B, 3, H, W)"),
    "refine": ((5.0, 3.1), (2.2, 0.9), "loop", "refine", "one step, again and again"),
    "result": ((1.9, 0.4), (3.2, 0.9), "file", "inversion.results", "ws, image, every step"),
    "edit": ((5.2, 0.4), (2.2, 0.9), "network", "editing", "ws + strength · direction"),
    "files": ((8.35, 0.4), (3.1, 0.9), "file", "jobs.manifest", "pictures, latents, manifest"),
}
ARROWS = (  # from, side, to, side, part of the loop
    ("entry", "w", "photo", "n", False),
    ("photo", "e", "faces", "w", False),
    ("faces", "e", "target", "w", False),
    ("target", "s", "encoder", "n", False),
    ("encoder", "s", "sum", "e", True),
    ("sum", "w", "generator", "s", True),
    ("generator", "e", "refine", "w", True),
    ("refine", "e", "encoder", "w", True),
    ("result", "e", "edit", "w", False),
    ("edit", "e", "files", "w", False),
)
SIDES = {"n": (0, 0.5), "s": (0, -0.5), "e": (0.5, 0), "w": (-0.5, 0)}


def port(name: str, side: str) -> tuple[float, float]:
    """Return the middle of a box's side."""
    (x, y), (width, height), *_ = BOXES[name]
    dx, dy = SIDES[side]
    return x + dx * width, y + dy * height


def draw_box(axes: Axes, box: Box) -> None:
    """Draw a room: its name, and what it does below."""
    (x, y), (width, height), kind, title, text = box
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.1",
            facecolor=FILLS[kind],
            edgecolor=LOOP if kind == "loop" else LINE,
        )
    )
    axes.text(x, y + 0.16, title, ha="center", va="center", weight="bold", size=12, color=INK)
    axes.text(x, y - 0.2, text, ha="center", va="center", size=9, color=INK)


def draw_arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], bend: str, colour: str
) -> None:
    """Draw an arrow, straight or bent."""
    style = {"arrowstyle": "-|>", "color": colour, "connectionstyle": bend, "lw": 1.4}
    axes.annotate("", end, start, arrowprops=style | {"shrinkA": 0, "shrinkB": 1})


def main() -> None:
    """Draw the picture."""
    plt.rcParams.update({"svg.fonttype": "path", "svg.hashsalt": "restyle"})
    figure, axes = plt.subplots(figsize=(10, 7))
    figure.subplots_adjust(0, 0, 1, 1)
    axes.set(xlim=(0, 10), ylim=(-0.2, 7), aspect="equal")
    axes.axis("off")
    for box in BOXES.values():
        draw_box(axes, box)
    for first, out, second, into, loop in ARROWS:
        turns = (out in "we") != (into in "we")
        bend = f"angle,angleA={0 if out in 'we' else 90},angleB={90 if out in 'we' else 0},rad=8"
        draw_arrow(
            axes,
            port(first, out),
            port(second, into),
            bend if turns else "arc3",
            LOOP if loop else LINE,
        )
    draw_arrow(axes, (1.2, 2.65), (1.2, 0.85), "arc3", LINE)
    axes.text(1.1, 1.75, "every\nestimate", size=9, color=INK, ha="right", va="center")
    axes.text(5.0, 3.95, "start: the average code", size=9, color=INK, ha="center")
    draw_arrow(axes, (5.0, 3.87), (5.0, 3.55), "arc3", LINE)
    axes.text(8.0, 4.05, "once", size=9, color=INK, va="center")
    axes.text(6.6, 2.25, "the loop", size=11, color=LOOP, weight="bold", ha="center")
    figure.savefig(OUT, metadata={"Date": None}, facecolor="white")
    plt.close(figure)


if __name__ == "__main__":
    main()
