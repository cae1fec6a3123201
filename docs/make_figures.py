"""Draw the pictures of the documentation with the bundled models: `python docs/make_figures.py`.

Those of docs/editing.md that show measured edits are put together from the results of
`restyle evaluate editing --out results/editing`, if they are there.
"""

import shutil
from pathlib import Path

from PIL import Image

import restyle
from restyle.io.images import grid, save_image, strip

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
EDITING = ROOT / "results" / "editing"
SHOWN = (3, 5, 6, 9)  # of examples/portraits
STEPS = 5
STRENGTHS = range(-3, 4)


def example(index: int) -> Path:
    """A portrait of the demo."""
    return ROOT / "examples" / "portraits" / f"{index:08}.png"


def teaser(model: restyle.ReStyle) -> None:
    """Targets, the average image and every step: docs/teaser.png."""
    labels = ["target", "average", *(f"step {step + 1}" for step in range(STEPS))]
    strips = [
        strip([result.target[0], *(estimate.image[0] for estimate in result.steps)], labels)
        for result in model.invert_iter([example(index) for index in SHOWN], steps=STEPS)
    ]
    save_image(grid(strips, columns=1), DOCS / "teaser.png")


def samples(model: restyle.ReStyle) -> None:
    """What the generator makes of 32 random codes: docs/samples.png."""
    save_image(grid(model.sample(32, seed=0).image, columns=8), DOCS / "samples.png")


def edits(model: restyle.ReStyle) -> None:
    """One portrait moved along three directions: docs/edits.png."""
    result = model.invert(example(5))
    strips = []
    for name in ("yaw", "glasses", "age"):
        images = [model.edit(result.ws, name, float(strength)).image[0] for strength in STRENGTHS]
        labels = ["target", *(f"{name} {strength:+d}" for strength in STRENGTHS)]
        strips.append(strip([result.target[0], *images], labels))
    save_image(grid(strips, columns=1), DOCS / "edits.png")


def measured_edits(name: str) -> None:
    """Edits beside the truth, and the two plots: docs/edits_truth.png, docs/editing_*.svg."""
    sheets = [
        Image.open(EDITING / "examples" / f"{name}_restyle:5_{attribute}.png")
        for attribute in ("glasses", "hat", "age", "yaw")
    ]
    save_image(grid(sheets, columns=2), DOCS / "edits_truth.png")
    for plot in ("trade-off", "identity"):
        shutil.copy(
            EDITING / "plots" / f"{plot}.svg", DOCS / f"editing_{plot.replace('-', '_')}.svg"
        )


if __name__ == "__main__":
    bundled = restyle.load("portraits", device="cpu")
    teaser(bundled)
    samples(bundled)
    edits(restyle.load("portraits-e4e", device="cpu"))
    if (EDITING / "results.json").exists():
        measured_edits("portraits-e4e")
