"""Draw the pictures of the documentation with the bundled models: `python docs/make_figures.py`.

Those that show measured edits are put together from the results of `restyle evaluate editing --out
results/editing`, if they are there; quality against time is the plot of the comparison that
questions.md names, in results/questions.
"""

import shutil
from itertools import pairwise
from pathlib import Path

import torch
from PIL import Image

import restyle
from restyle.io.images import grid, save_image, strip
from restyle.jobs.dragging import marked

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
EDITING = ROOT / "results" / "editing"
QUESTIONS = ROOT / "results" / "questions"
PORTRAITS = (3, 5, 6, 9)  # of examples/portraits
STEPS = 5
STRENGTHS = range(-3, 4)


def example(index: int) -> Path:
    """Return the path of a portrait of the demo."""
    return ROOT / "examples" / "portraits" / f"{index:08}.png"


def teaser(model: restyle.ReStyle) -> None:
    """Show targets, the average image and every step: docs/teaser.png."""
    labels = ["target", "average", *(f"step {step + 1}" for step in range(STEPS))]
    strips = [
        strip([result.target[0], *(estimate.image[0] for estimate in result.steps)], labels)
        for result in model.invert_iter([example(index) for index in PORTRAITS], steps=STEPS)
    ]
    save_image(grid(strips, columns=1), DOCS / "teaser.png")


def loop(model: restyle.ReStyle) -> None:
    """Show each estimate, what its step changed and what is still wrong: docs/method_loop.png."""
    result = model.invert(example(9), steps=4)
    target, images = result.target[0], [estimate.image[0] for estimate in result.steps]
    nothing = torch.zeros_like(target)
    changes = [nothing, *(8 * (after - before) for before, after in pairwise(images))]
    numbers = range(1, len(images))
    rows = [
        (images, ["target", "average", *(f"step {n}" for n in numbers)]),
        (changes, ["", "", *(f"change {n}, x8" for n in numbers)]),
        ([2 * (target - image) for image in images], ["", *["error, x2"] * len(images)]),
    ]
    strips = [strip([target, *row], labels) for row, labels in rows]
    save_image(grid(strips, columns=1), DOCS / "method_loop.png")


def toons(model: restyle.ReStyle, toon: restyle.ReStyle) -> None:
    """Show bootstrapping beside the toon model alone: docs/method_toons.png."""
    strips = []
    for index in PORTRAITS[:3]:
        result = restyle.bootstrap(example(index), model, toon, source_steps=1, steps=1)
        alone = toon.invert(example(index), steps=2)
        photo = model.invert(example(index), steps=1)
        images = [photo, result, alone]
        labels = ["target", "photo, step 1", "toon, step 1", "toon alone, step 2"]
        strips.append(strip([result.target[0], *(found.image[0] for found in images)], labels))
    save_image(grid(strips, columns=1), DOCS / "method_toons.png")


def samples(model: restyle.ReStyle) -> None:
    """Show what the generator makes of 32 random codes: docs/samples.png."""
    save_image(grid(model.sample(32, seed=0).image, columns=8), DOCS / "samples.png")


def edits(model: restyle.ReStyle) -> None:
    """Move one portrait along three directions: docs/edits.png."""
    result = model.invert(example(5))
    strips = []
    for name in ("yaw", "glasses", "age"):
        images = [model.edit(result.ws, name, float(strength)).image[0] for strength in STRENGTHS]
        labels = ["target", *(f"{name} {strength:+d}" for strength in STRENGTHS)]
        strips.append(strip([result.target[0], *images], labels))
    save_image(grid(strips, columns=1), DOCS / "edits.png")


TEXTS = {
    "a person with a full beard": "a person without a beard",
    "a person with glasses": "a person without glasses",
    "an old person": "a young person",
}
"""Texts, and the neutral ones that they are compared with."""


def text_edits(model: restyle.ReStyle) -> None:
    """Change one portrait by three texts, along global directions: docs/edits_text.png."""
    result = model.invert(example(5))
    strips = []
    for text, neutral in TEXTS.items():
        how = {"text": text, "neutral": neutral, "method": "global"}
        images = [model.edit(result.ws, strength=float(s), **how).image[0] for s in STRENGTHS]
        caption = text.removeprefix("a person ")
        labels = ["target", *(f"{caption} {strength:+d}" for strength in STRENGTHS)]
        strips.append(strip([result.target[0], *images], labels))
    save_image(grid(strips, columns=1), DOCS / "edits_text.png")


DRAGS = {5: [((64, 66), (78, 66))], 9: [((56, 80), (50, 76)), ((76, 78), (82, 74))]}
"""Points of portraits and their targets, in pixels of the model's picture."""


def drags(model: restyle.ReStyle) -> None:
    """Pull points of two portraits: docs/drag.png."""
    strips = []
    for index, pairs in DRAGS.items():
        result = model.invert(example(index))
        handles, targets = ([pair[side] for pair in pairs] for side in (0, 1))
        found = list(model.drag(result.ws, handles, targets))
        shown = sorted({round(part * (len(found) - 1) / 4) for part in range(5)})
        ends = torch.tensor(targets, dtype=torch.float32)
        steps = [marked(found[step].image[0], found[step].points, ends) for step in shown]
        photo = marked(result.target[0], torch.tensor(handles), ends)
        labels = ["target", *(f"step {step}" for step in shown)]
        strips.append(strip([photo, *steps], labels))
    save_image(grid(strips, columns=1), DOCS / "drag.png")


def measured_edits(name: str) -> None:
    """Lay edits beside the truth, and copy two plots: docs/edits_truth.png, docs/editing_*.svg."""
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
    loop(bundled)
    toons(bundled, restyle.load("portraits-toon", device="cpu"))
    samples(bundled)
    edits(restyle.load("portraits-e4e", device="cpu"))
    text_edits(restyle.load("portraits-e4e", device="cpu"))
    drags(bundled)
    if (EDITING / "results.json").exists():
        measured_edits("portraits-e4e")
    if (QUESTIONS / "results.json").exists():
        shutil.copy(QUESTIONS / "plots" / "trade_off_objective.svg", DOCS / "questions.svg")
