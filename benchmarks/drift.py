"""What the options that trade exactness for speed gain, and how far the results drift.

Inverts the same targets in float32 and with each option. Time is that of the processor, on one
thread unless told otherwise: what else the machine does matters little to it. Drift is the root
mean square difference from float32 of the last step, as a share of the standard deviation of the
latent codes and of the images. Without a model, weights are random, and so are the targets.

    python benchmarks/drift.py portraits examples/portraits
"""

import argparse
import time
from pathlib import Path

import torch
from speed import random_model

import restyle
from restyle.inversion.results import InversionResult
from restyle.io.images import list_images


def share(changed: torch.Tensor, exact: torch.Tensor) -> float:
    """Root mean square difference as a share of the standard deviation."""
    return float((changed - exact).square().mean().sqrt() / exact.std())


def main() -> None:
    """Read the options, and invert with and without each of the model's."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", nargs="?", help="what restyle.load takes; random if not given")
    parser.add_argument("images", nargs="*", type=Path, help="files and folders")
    parser.add_argument("--size", type=int, default=1024, help="pixels of the random model")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--previews", type=int, nargs="*", default=[256])
    parser.add_argument("--compile", action="store_true", help="also torch.compile")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = restyle.load(options.model) if options.model else random_model(options.size)
    images = [file.path for file in list_images(options.images)]
    targets = model.prepare(images) if images else random_targets(model.domain.input_size)

    settings = {"float32": {}, "bfloat16": {"dtype": "bfloat16"}}
    sizes = [size for size in options.previews if size <= model.generator.config.size]
    settings |= {f"preview {size}": {"preview": size} for size in sizes}
    if options.compile:
        settings["torch.compile"] = {"compiled": True}
    exact: InversionResult | None = None
    print("| | CPU seconds a step | drift of codes | drift of images |\n|---|--:|--:|--:|")
    for name, changes in settings.items():
        model.to(dtype=changes.get("dtype", "float32"), compiled=changes.get("compiled", False))
        preview = changes.get("preview")
        model.invert(targets, 1, preview=preview)
        started = time.process_time()
        result = model.invert(targets, options.steps, preview=preview)
        seconds = (time.process_time() - started) / options.steps
        exact = exact or result
        drifts = share(result.ws, exact.ws), share(result.image, exact.image)
        print(f"| {name} | {seconds:.2f} | {drifts[0]:.2e} | {drifts[1]:.2e} |", flush=True)


def random_targets(size: tuple[int, int]) -> torch.Tensor:
    """One smooth random image (1, 3, h, w) in [-1, 1]."""
    coarse = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size, mode="bicubic").clamp(-1, 1)


if __name__ == "__main__":
    main()
