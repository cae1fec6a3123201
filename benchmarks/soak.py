"""Let many visitors use the page at once: `python benchmarks/soak.py --visitors 50 --minutes 20`.

Each visitor takes a sample, moves sliders and drags points, with pauses; one in ten sends what no
browser would. What comes back is compared with what the model makes here, so that a result that
belongs to somebody else is noticed. Printed are lost, wrong and refused results, the times from
slider to picture, the server's memory, and how busy the machine was.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import torch
from PIL import Image

import restyle
from restyle.app.drag import EVERYTHING
from restyle.app.edit import grouped
from restyle.app.mix import EVERYTHING as ALL_LAYERS
from restyle.app.person import shown

PAUSE = (2.0, 10.0)  # seconds between two clicks
NEAR = 12.0  # mean absolute difference of levels that JPEG and rounding may make
STEPS = 20


@dataclass
class Tally:
    """What happened so far."""

    counts: Counter[str] = field(default_factory=Counter)
    slider: list[float] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    load: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Visitor:
    """One browser's session, by hand."""

    def __init__(self, client: httpx.AsyncClient, config: dict[str, Any], number: int):
        self.client, self.config = client, config
        self.random = random.Random(number)
        self.session = f"soak{number}"

    def event(self, label: str, kind: str, value: str = "value") -> int:
        """Return the number of what a component's event starts."""
        ids = [c["id"] for c in self.config["components"] if c["props"].get(value) == label]
        found = [
            d["id"] for d in self.config["dependencies"] for i in ids if [i, kind] in d["targets"]
        ]
        return found[0]

    async def call(self, number: int, data: list[Any]) -> tuple[dict[str, Any], float]:
        """Start an event; return its output and the seconds that it took.

        `self.shown` becomes the seconds after which something new came.
        """
        started, self.shown = time.perf_counter(), list[float]()
        body = {"data": data, "fn_index": number, "session_hash": self.session}
        joined = await self.client.post("/gradio_api/queue/join", json=body)
        if joined.status_code != 200:
            return {"error": f"status {joined.status_code}"}, 0.0
        mine = joined.json()["event_id"]
        url = f"/gradio_api/queue/data?session_hash={self.session}"
        async with self.client.stream("GET", url) as stream:
            async for line in stream.aiter_lines():
                if not line.startswith("data:"):
                    continue
                message = json.loads(line[5:])
                if message.get("event_id") == mine and message["msg"] == "process_generating":
                    self.shown.append(time.perf_counter() - started)
                if message.get("event_id") == mine and message["msg"] == "process_completed":
                    output = message["output"]
                    if not message["success"]:
                        output.setdefault("error", "no reason")
                    return output, time.perf_counter() - started
        return {"error": "the stream ended"}, time.perf_counter() - started

    async def picture(self, file: dict[str, Any]) -> np.ndarray:
        """Download a picture."""
        got = await self.client.get(f"/gradio_api/file={file['path']}")
        with Image.open(io.BytesIO(got.content)) as image:
            return np.asarray(image.convert("RGB")).astype(int)


async def friendly(one: Visitor, model: restyle.ReStyle, tally: Tally, until: float) -> None:
    """Sample, move sliders and drag until the time is over."""
    names = [name for group in grouped(model.editor.names).values() for name in group]
    sliders = [name.replace("_", " ") for name in names]
    while time.monotonic() < until:
        output, _ = await one.call(one.event("Take a sample instead", "click"), [])
        if "error" in output:
            tally.counts[f"refused: {output['error']}"] += 1
            await asyncio.sleep(one.random.uniform(*PAUSE))
            continue
        seed = int(re.findall(r"\d+", output["data"][2])[0])
        with torch.no_grad():
            ws = model.sample(1, seed, truncation=0.8).ws
        for _ in range(one.random.randint(3, 8)):
            await asyncio.sleep(one.random.uniform(*PAUSE))
            if time.monotonic() > until:
                return
            if one.random.random() < 0.25:
                x, y = one.random.uniform(20, 44), one.random.uniform(20, 50)
                text = f"{x:.1f},{y:.1f} > {x + 3:.1f},{y:.1f}"
                data = [None, text, None, EVERYTHING, STEPS]
                output, _ = await one.call(one.event("Drag", "click"), data)
                tally.counts["drags" if "error" not in output else f"lost: {output['error']}"] += 1
                await one.call(one.event("Undo", "click"), [None])
                break  # the person may have changed
            at = one.random.randrange(len(names))
            strength = round(one.random.uniform(-3, 3), 1)
            strengths = [strength if i == at else 0 for i in range(len(names))]
            number = one.event(sliders[at], "input", "label")
            output, seconds = await one.call(number, [None, ALL_LAYERS, *strengths])
            if "error" in output:
                tally.counts[f"lost: {output['error']}"] += 1
                continue
            tally.slider.append(seconds)
            with torch.no_grad():
                expected = model.edit(ws, names[at], strength).image[0]
            wanted = np.asarray(shown(expected)).astype(int)
            found = await one.picture(output["data"][0])
            right = found.shape == wanted.shape and np.abs(found - wanted).mean() < NEAR
            tally.counts["edits" if right else "swapped"] += 1


async def hostile(one: Visitor, tally: Tally, until: float) -> None:
    """Send what no browser would, until the time is over."""
    find, drag = one.event("Find it", "click"), one.event("Drag", "click")
    file = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    junk = [
        (find, [file, False, False, 5]),
        (find, ["x" * 1000, None, "many"]),
        (drag, [None, "1,1 > 2,2\n" * 10_000, None, EVERYTHING, 60]),
        (drag, [{"ws": 1}, None, -1]),
        (one.event("drag-stroke", "change", "elem_id"), [None, "", None, "[[1e999, 0]]", 1e9]),
        (10_000, []),
        (one.event("Keep this", "click"), [None, ALL_LAYERS, 1e300]),
    ]
    while time.monotonic() < until:
        number, data = one.random.choice(junk)
        output, _ = await one.call(number, data)
        tally.counts["hostile, refused" if "error" in output else "hostile, DONE"] += 1
        body = os.urandom(one.random.choice([10, 100_000, 22_000_000]))
        try:
            got = await one.client.post("/gradio_api/upload", files={"files": ("me.png", body)})
            tally.counts[f"hostile, upload {got.status_code}"] += 1
        except httpx.TransportError:  # the server hangs up on what is too large
            tally.counts["hostile, upload cut off"] += 1
        await asyncio.sleep(one.random.uniform(*PAUSE))


async def watch(pid: int, tally: Tally, until: float) -> None:
    """Note the server's memory and the machine's load."""
    started = time.monotonic()
    while time.monotonic() < until:
        status = Path(f"/proc/{pid}/status").read_text()
        kilobytes = int(re.findall(r"VmRSS:\s*(\d+)", status)[0])
        tally.memory.append((time.monotonic() - started, kilobytes / 1024))
        tally.load.append(os.getloadavg()[0])
        await asyncio.sleep(2)


async def soak(address: str, pid: int, visitors: int, minutes: float) -> Tally:
    """Let visitors come, one after the other, and stay."""
    tally, until = Tally(), time.monotonic() + 60 * minutes
    model = restyle.load("portraits", device="cpu")
    # The server closes what has been idle for five seconds.
    limits = httpx.Limits(max_connections=None, keepalive_expiry=1.0)

    async def visit(number: int) -> None:
        await asyncio.sleep(number * 0.1)
        async with httpx.AsyncClient(base_url=address, timeout=120, limits=limits) as client:
            one = Visitor(client, (await client.get("/config")).json(), number)
            try:
                if number % 10 == 9:
                    await hostile(one, tally, until)
                else:
                    await friendly(one, model, tally, until)
            except Exception as error:
                tally.problems.append(f"visitor {number}: {type(error).__name__}: {error}")

    await asyncio.gather(watch(pid, tally, until), *(visit(n) for n in range(visitors)))
    return tally


def report(tally: Tally) -> int:
    """Print what happened; return the exit code."""
    for name, count in sorted(tally.counts.items()):
        print(f"{name}: {count}")
    if tally.slider:
        middle, late = np.quantile(tally.slider, [0.5, 0.95])
        print(f"slider to picture: median {middle:.2f} s, 95 % within {late:.2f} s")
    quarters = [np.median(part) for part in np.array_split([m for _, m in tally.memory], 4)]
    grown = f"{quarters[-1] / quarters[1] - 1:+.1%} from the second to the last"
    print(f"memory: {', '.join(f'{m:.0f}' for m in quarters)} MiB, medians of quarters ({grown})")
    if tally.load:
        print(f"load: {np.median(tally.load):.1f} on {os.cpu_count()} cores (median)")
    for problem in tally.problems:
        print(problem)
    bad = tally.problems or tally.counts["swapped"] or tally.counts["hostile, DONE"]
    return 1 if bad or any(name.startswith("lost") for name in tally.counts) else 0


@contextmanager
def served(*options: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run `restyle app` while a block runs; give its address and its process."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    line = [
        sys.executable,
        "-m",
        "restyle",
        "app",
        "--device",
        "cpu",
        "--port",
        str(port),
        *options,
    ]
    server = subprocess.Popen(line, stderr=subprocess.DEVNULL)  # hostile calls leave traces there
    try:
        for _ in range(6000):
            time.sleep(0.05)
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
        yield f"http://127.0.0.1:{port}", server
    finally:
        server.terminate()
        server.wait(30)


def main() -> None:
    """Serve the bundled model, let visitors use it, and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--visitors", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=20.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with served("--max-clients", str(2 * options.visitors)) as (address, server):
        tally = asyncio.run(soak(address, server.pid, options.visitors, options.minutes))
    sys.exit(report(tally))


if __name__ == "__main__":
    main()
