"""Ask people whether a generator's samples can be told from drawings.

    python tools/blind.py sheet portraits --out results/blind --seed 1
    python tools/blind.py score results/blind 3 7 12

`sheet.png` shows 20 samples, without truncation, and 20 drawings of test portraits, shuffled and
numbered from 1; what is what is in `key.json`. The numbers behind `score` are those of the pictures
that somebody takes for samples.
"""

import json
from pathlib import Path

import numpy as np
import torch
from cyclopts import App

from restyle.hub.registry import load
from restyle.io.files import write_json
from restyle.io.images import grid, save_image, strip
from restyle.training.data import load as load_images
from restyle.training.data import open_source

COLUMNS = 8

app = App(help=__doc__)


@app.command
def sheet(model: str, out: Path = Path("results/blind"), count: int = 20, seed: int = 0) -> None:
    """Write a sheet of samples and drawings, and its key.

    Args:
        model: Whose generator is asked about.
        out: The folder of both.
        count: Samples, and drawings.
        seed: Of the samples, of the people who are drawn, and of the order.
    """
    random = np.random.default_rng(seed)
    found = load(model, device="cpu")
    source = open_source("portraits", found.generator.config.size, split="test")
    people = random.choice(len(source), count, replace=False).tolist()
    drawings = load_images(source, people)
    samples = found.sample(count, seed=count * seed).image.clamp(-1, 1)  # no picture twice
    order = random.permutation(2 * count)
    pictures = torch.cat([samples, drawings])[torch.from_numpy(order)]
    numbers = [str(number + 1) for number in range(len(order))]
    rows = [
        strip(pictures[first : first + COLUMNS], numbers[first : first + COLUMNS])
        for first in range(0, len(order), COLUMNS)
    ]
    out.mkdir(parents=True, exist_ok=True)
    save_image(grid(rows, columns=1), out / "sheet.png")
    key = [number + 1 for number, picture in enumerate(order) if picture < count]
    write_json(out / "key.json", {"pictures": len(order), "samples": key})


@app.command
def score(out: Path, *taken: int) -> None:
    """Print the share of pictures that were told right.

    Args:
        out: The folder of a sheet.
        taken: The numbers of the pictures that are taken for samples.
    """
    key = json.loads((out / "key.json").read_text())
    wrong = set(key["samples"]) ^ set(taken)
    right = key["pictures"] - len(wrong)
    print(f"{right} of {key['pictures']} told right ({right / key['pictures']:.0%})")


if __name__ == "__main__":
    app()
