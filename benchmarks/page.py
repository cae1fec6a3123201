"""How soon the page answers one visitor: `python benchmarks/page.py`.

Printed are the seconds from the command to the first page, from a slider to its picture, a step of
a drag, and, of a model of the official size with random weights (`--size`), the longest wait for a
step of an inversion, for an edit by seven sliders and for a step of a drag.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from soak import Visitor, served
from speed import random_model

from restyle.app.drag import EVERYTHING
from restyle.app.mix import EVERYTHING as ALL_LAYERS

PORTRAIT = Path(__file__).parents[1] / "examples/portraits/00000005.png"
SLIDERS, DRAGGED, INVERTED = 7, 10, 5  # how many; steps


async def visit(address: str, sliders: int, times: int) -> None:
    """Find a picture, move so many sliders, each time further, and drag; print what it takes."""
    async with httpx.AsyncClient(base_url=address, timeout=600) as client:
        one = Visitor(client, (await client.get("/config")).json(), 0)
        sent = await client.post(
            "/gradio_api/upload", files={"files": ("me.png", PORTRAIT.read_bytes())}
        )
        photo = {"path": sent.json()[0], "meta": {"_type": "gradio.FileData"}}
        find = one.event("Find it", "click")
        print_waits("inversion", await done(one, find, [photo, False, False, INVERTED]))
        inputs = next(d["inputs"] for d in one.config["dependencies"] if d["id"] == edit_of(one))
        rest, moves = len(inputs) - 2 - sliders, []
        for number in range(1, times + 1):
            strengths = [round(2 * number / times, 1)] * sliders + [0.0] * rest
            _, seconds = await one.call(edit_of(one), [None, ALL_LAYERS, *strengths])
            moves.append(seconds)
        print(f"{sliders} slider(s) to picture: median {median(moves):.2f} s of {times}")
        data = [None, "32,33 > 37,33", None, EVERYTHING, DRAGGED]
        print_waits("drag", await done(one, one.event("Drag", "click"), data))


def edit_of(one: Visitor) -> int:
    """Return the number of what a slider of the Edit tab starts."""
    return next(d["id"] for d in one.config["dependencies"] if len(d["inputs"]) >= SLIDERS + 2)


async def done(one: Visitor, number: int, data: list[Any]) -> list[float]:
    """Start an event that shows steps; return the seconds between them."""
    output, seconds = await one.call(number, data)
    if "error" in output:
        raise RuntimeError(output["error"])
    return [after - before for before, after in pairwise([0.0, *one.shown, seconds])]


def print_waits(name: str, waits: list[float]) -> None:
    """Print how long one waits for a step."""
    print(f"{name}: a step every {median(waits):.2f} s (median), {max(waits):.2f} s at most")


def measure(*options: str, sliders: int, times: int) -> None:
    """Serve a page, and visit it."""
    started = time.perf_counter()
    with served(*options) as (address, server):
        httpx.get(address, timeout=600)
        seconds = time.perf_counter() - started
        ticks = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        cpu = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
        print(f"command to page: {seconds:.1f} s, {cpu:.1f} s of them computing")
        asyncio.run(visit(address, sliders, times))
    print(f"load: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def main() -> None:
    """Measure the bundled model, and one of the official size if asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, choices=(256, 512, 1024), help="an official model's")
    options = parser.parse_args()
    if not options.size:
        return measure(sliders=1, times=25)
    with tempfile.TemporaryDirectory() as folder:
        model, directions = f"{folder}/model", f"{folder}/directions"
        random_model(options.size).save_pretrained(model)
        line = [sys.executable, "-m", "restyle", "directions", "components", "--generator", model]
        subprocess.run([*line, "--count", str(SLIDERS), "--out", directions], check=True)
        measure("--model", model, "--directions", directions, sliders=SLIDERS, times=3)


if __name__ == "__main__":
    main()
