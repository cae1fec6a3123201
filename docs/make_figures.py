"""Draw the pictures of the documentation with the bundled model: `python docs/make_figures.py`."""

from pathlib import Path

import restyle
from restyle.images import grid, save_image, strip

ROOT = Path(__file__).parent.parent
SHOWN = (3, 5, 6, 9)  # of examples/portraits
STEPS = 5


def teaser(model: restyle.ReStyle) -> None:
    """Targets, the average image and every step: docs/teaser.png."""
    paths = [ROOT / "examples" / "portraits" / f"{index:08}.png" for index in SHOWN]
    labels = ["target", "average", *(f"step {step + 1}" for step in range(STEPS))]
    strips = [
        strip([result.target[0], *(estimate.image[0] for estimate in result.steps)], labels)
        for result in model.invert_iter(paths, steps=STEPS)
    ]
    save_image(grid(strips, columns=1), ROOT / "docs" / "teaser.png")


def samples(model: restyle.ReStyle) -> None:
    """What the generator makes of 32 random codes: docs/samples.png."""
    save_image(grid(model.sample(32, seed=0).image, columns=8), ROOT / "docs" / "samples.png")


if __name__ == "__main__":
    bundled = restyle.load("portraits", device="cpu")
    teaser(bundled)
    samples(bundled)
