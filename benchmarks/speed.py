"""How long a step of ReStyle takes, in a unit that travels between machines.

The unit is the time of one float32 `conv2d` of (4, 256, 64, 64) with 256 3x3 filters, in the
default memory layout, warmed up, the median of 20. It is measured before, between and after the
rows of the table; each row is divided by the mean of the units on its two sides. Weights are random
(the speed does not depend on them), with noise switched on. The official numbers are those of the
reference's CPU path, in the same unit. On a machine that does other things too, `--cpu-time` counts
the processor's time instead of the clock's, best on one thread. Then come the same steps on other
runtimes, and eight bits (`runtimes.py`).

    python benchmarks/speed.py
    python benchmarks/speed.py --cpu-time --threads 1
    python benchmarks/speed.py --sizes --runtimes 128 256
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from statistics import mean, median
from typing import Any

import runtimes
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from restyle.domains import FACES
from restyle.encoders import Encoder, EncoderConfig
from restyle.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from restyle.hub.registry import load
from restyle.model import ReStyle
from restyle.refine import step

OFFICIAL = {  # (size, batch): encoder, generator, whole step
    (1024, 1): (6.1, 49.3, 55.4),
    (1024, 4): (20.7, 304, 325),
    (256, 1): (6.8, 17.4, 24.3),
    (256, 4): (24.9, 91.5, 116),
}
TARGETS = {(1024, 1): 19, (1024, 4): 64, (256, 1): 11, (256, 4): 38}  # whole steps
Clock = Callable[[], float]  # seconds
UNIT_GMAC = 4 * 64 * 64 * 256 * 256 * 9 / 1e9


def random_model(size: int) -> ReStyle:
    """A model of the official size for faces with random weights from a fixed seed."""
    torch.manual_seed(0)
    generator = StyleGAN2(StyleGAN2Config(size))
    for layer in generator.synthesis.layers:
        torch.nn.init.constant_(layer.get_parameter("noise_strength"), 0.1)
    with torch.no_grad():  # pictures of usual contrast, so that differences mean something
        spread = generator.synthesis(generator.sample_ws(1), resolution=64).std()
        for layer in generator.synthesis.to_rgbs:
            layer.get_parameter("weight").mul_(0.5 / spread)
    encoder = Encoder(EncoderConfig(num_ws=generator.num_ws))
    with torch.no_grad():  # residuals are small
        for head in encoder.heads:
            head.get_parameter("out_weight").mul_(0.1)
    return ReStyle(generator, encoder, FACES, f"random {size}")


def unit(clock: Clock) -> float:
    """Seconds of the unit, the median of 20."""
    x, weight = torch.randn(4, 256, 64, 64), torch.randn(256, 256, 3, 3)
    with torch.no_grad():
        times = [elapsed(clock, lambda: torch.conv2d(x, weight, padding=1)) for _ in range(23)]
    return median(times[3:])


def elapsed(clock: Clock, call: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    start = clock()
    call()
    return clock() - start


class Stopwatch:
    """Calls a function and keeps how long each call took, in seconds."""

    def __init__(self, clock: Clock, function: Callable[..., Any]):
        self.clock = clock
        self.function = function
        self.times: list[float] = []

    def __call__(self, *arguments: Any) -> Any:
        """What the function gives for its arguments."""
        start = self.clock()
        result = self.function(*arguments)
        self.times.append(self.clock() - start)
        return result


@torch.no_grad()
def measure(clock: Clock, model: ReStyle, batch: int, repeats: int) -> tuple[float, float, float]:
    """Median seconds of the encoder, the generator and a whole step, once warmed up."""
    encode, generate = Stopwatch(clock, model.encode), Stopwatch(clock, model.generate)
    target, start = torch.rand(batch, 3, 256, 256) * 2 - 1, model.start(batch)
    whole = [
        elapsed(clock, lambda: step(encode, generate, target, start)) for _ in range(repeats + 1)
    ]
    return median(encode.times[1:]), median(generate.times[1:]), median(whole[1:])


def gmacs(size: int) -> tuple[float, float]:
    """Billions of multiply-adds of the encoder and of the generator for one image."""
    counts = []
    with FakeTensorMode():
        generator = StyleGAN2(StyleGAN2Config(size))
        encoder = Encoder(EncoderConfig(num_ws=generator.num_ws))
        calls = (
            lambda: encoder(torch.empty(1, 6, 256, 256)),
            lambda: generator.synthesis(torch.empty(1, generator.num_ws, 512)),
        )
        for call in calls:
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                call()
            counts.append(counter.get_total_flops() / 2e9)
    return counts[0], counts[1]


@torch.no_grad()
def where_the_time_goes(model: ReStyle, rows: int = 8) -> str:
    """The operators that a whole step spends most of its time in, batch 1."""
    target, start = torch.zeros(1, 3, 256, 256), model.start(1)
    with profile(activities=[ProfilerActivity.CPU]) as record:
        step(model.encode, model.generate, target, start)
    events = sorted(record.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    lines = [f"| {'operator':32} | calls | share |", f"|{'-' * 34}|------:|------:|"]
    for event in events[:rows]:
        share = event.self_cpu_time_total / total
        lines.append(f"| {event.key:32} | {event.count:5} | {share:5.1%} |")
    return "\n".join(lines)


def report(
    cells: list[tuple[int, int]], clock: Clock, dtype: str, compiled: bool, repeats: int
) -> None:
    """Measure and print the table, the units, the floor and the profile."""
    print("| | encoder | generator | whole step | target | official | floor | GMAC/s |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    units = [unit(clock)]
    model, profiles = None, {}
    for size, batch in cells:
        if model is None or model.generator.config.size != size:
            model = random_model(size).to(dtype=dtype, compiled=compiled)
        seconds = measure(clock, model, batch, repeats)
        units.append(unit(clock))
        encoder, generator, whole = (t / mean(units[-2:]) for t in seconds)
        gmac = batch * sum(gmacs(size))
        print(
            f"| {size} px, batch {batch} | {encoder:.1f} | {generator:.1f} | **{whole:.1f}** | "
            f"{TARGETS[size, batch]} | {' / '.join(f'{n:g}' for n in OFFICIAL[size, batch])} | "
            f"{gmac / UNIT_GMAC:.1f} | {gmac / seconds[2]:.0f} |",
            flush=True,
        )
        if batch == 1:
            profiles[size] = where_the_time_goes(model)
    print("\nUnits measured before, between and after (ms):", end=" ")
    print(", ".join(f"{1000 * seconds:.0f}" for seconds in units), end="; ")
    print(f"one does {UNIT_GMAC / median(units):.0f} GMAC/s.")
    for size in dict.fromkeys(size for size, _ in cells):
        encoder, generator = gmacs(size)
        print(f"GMAC an image at {size} px: encoder {encoder:.1f}, generator {generator:.1f}.")
    for size, table in profiles.items():
        print(f"\nWhere a step at {size} px, batch 1 spends its time:\n\n{table}")


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[1024, 256], choices=[1024, 256])
    parser.add_argument(
        "--runtimes",
        type=int,
        nargs="*",
        default=[64, 128, 256, 1024],
        choices=[64, 128, 256, 1024],
        help="sizes to run on other runtimes too, in float32",
    )
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4], choices=[1, 4])
    parser.add_argument("--repeats", type=int, default=5, help="calls of which the median counts")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--compile", action="store_true", help="use torch.compile")
    parser.add_argument("--cpu-time", action="store_true", help="count the processor's time")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"{options.threads} threads, torch {torch.__version__}, {options.dtype}"
        f"{', torch.compile' if options.compile else ''}, "
        f"{'processor' if options.cpu_time else 'wall-clock'} time, median of {options.repeats}\n"
    )
    cells = [(size, batch) for size in options.sizes for batch in options.batches]
    clock = time.process_time if options.cpu_time else time.perf_counter
    if cells:
        report(cells, clock, options.dtype, options.compile, options.repeats)
    models = (
        (f"{size} px", load("portraits", "cpu") if size == 128 else random_model(size))
        for size in options.runtimes
    )
    if options.runtimes:
        runtimes.compare(models, clock, options.repeats)
    if 128 in options.runtimes:
        runtimes.quantised(load("portraits", "cpu"), clock, options.repeats)


if __name__ == "__main__":
    main()
