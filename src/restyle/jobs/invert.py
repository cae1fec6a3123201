"""`restyle invert`: images in, reconstructions, step strips and latent codes out.

The results of an input lie in folders below the output folder, under one name: `reconstructions`,
`steps`, `latents`, `aligned` where faces were cut out first, and `generators` where the generator
was tuned. `manifest.jsonl` says what became of each input.
"""

import os
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from restyle.editing.latents import save_latents
from restyle.faces import AlignedFace
from restyle.hub import registry
from restyle.inversion.results import InversionResult
from restyle.inversion.targets import resized, to_target
from restyle.io.images import ImageFile, save_image, strip
from restyle.jobs.align import FOUND_WITH, align_file, describe, save_crops
from restyle.jobs.inverters import Way, by_method, by_steps
from restyle.jobs.manifest import Item, Ledger, Summary, find_inputs, pending
from restyle.model import ReStyle, Steps

FOLDERS = ("reconstructions", "steps", "aligned")
Prepared = tuple[Tensor, list[AlignedFace]]
"""A target (3, h, w), and the face that it was cut out around, if faces are looked for."""


def invert_files(
    inputs: Sequence[Path],
    model_name: str,
    steps: Steps,
    batch_size: int,
    device: str,
    dtype: str,
    out: Path,
    overwrite: bool = False,
    align: bool = False,
    preview: int | None = None,
    compiled: bool = False,
    method: str | None = None,
    features: str | None = None,
) -> Summary:
    """Invert image files; one that cannot be read costs only itself.

    Args:
        inputs: Files, and folders that are searched recursively.
        model_name: What `restyle.load` takes.
        steps: How often each estimate is refined; the model's own number if None.
        batch_size: How many images go through the networks, and are held in memory, at once.
        device: Where to compute.
        dtype: The precision.
        out: The folder of the results. It may lie in a folder that is searched, or be one.
        overwrite: Do again what is done.
        align: Find the largest face of each input and invert its crop.
        preview: Height and width up to which steps before the last one are rendered; all if None.
        compiled: Use `torch.compile`.
        method: As `restyle.inversion.methods.build` takes it, instead of steps and previews.
        features: The network whose distances a method minimises beside the squared error, or
            "none"; the one for the model's images if None.

    Returns:
        The counts.

    Raises:
        ImageError: A folder holds no images.
        ValueError: There is no such model, device or method, or it cannot take so many steps, or
            render such previews, or options exclude one another.
        OSError: A result cannot be written.
    """
    _check_options(steps, preview, method, features)
    files = find_inputs(inputs, out, FOLDERS)
    model = registry.load(model_name, device, dtype).to(compiled=compiled)
    if method is None:
        way = by_steps(model, steps, preview, batch_size)
    else:
        way = by_method(model, method, features)
    settings = {
        **model_facts(model),
        **way.settings,
        "dtype": str(model.dtype).removeprefix("torch."),
        "faces_found_with": FOUND_WITH if align else None,
    }
    return save_inversions(
        files,
        Ledger(out, settings),
        overwrite,
        batch_size,
        prepare=lambda path: prepare(path, model.domain.input_size, align),
        way=way,
    )


def _check_options(
    steps: Steps, preview: int | None, method: str | None, features: str | None
) -> None:
    if method is None and features is not None:
        raise ValueError("expected --features together with --method, got it alone")
    if method is not None and steps is not None:
        raise ValueError(
            f"expected --steps or --method, got both: write --method {method} alone, "
            f"whose numbers are its steps, or --steps {steps} for the encoder"
        )
    if method is not None and preview is not None:
        raise ValueError("expected --preview-resolution without --method, got both")


def model_facts(model: ReStyle) -> dict[str, Any]:
    """What manifests and latents files say about the model that made them."""
    return {"model": model.name, "model_sha256": model.weights_hash()}


def prepare(path: Path, size: tuple[int, int], align: bool) -> Prepared:
    """Read an image as a target, cut out around its largest face if `align` is set.

    Raises:
        ImageError: It cannot be read, or has no face.
    """
    faces = align_file(path) if align else []
    return to_target(faces[0].crop if faces else path, size), faces


def save_inversions(
    files: Sequence[ImageFile],
    ledger: Ledger,
    overwrite: bool,
    batch_size: int,
    prepare: Callable[[Path], Prepared],
    way: Way,
) -> Summary:
    """Go through inputs in batches, and keep what an inversion makes of each.

    Args:
        files: All inputs.
        ledger: Knows what is done, and is told what becomes of each.
        overwrite: Do again what is done.
        batch_size: How many are inverted at once, unless they are inverted alone.
        prepare: Reads an input.
        way: How targets are inverted.

    Returns:
        The counts.

    Raises:
        OSError: A result cannot be written.
    """
    ledger.out.mkdir(parents=True, exist_ok=True)
    summary = Summary()
    with tqdm(total=len(files), unit="image", disable=None) as progress:
        todo = pending(files, ledger, overwrite, summary, progress, prepare)
        while batch := list(islice(todo, 1 if way.alone else batch_size)):
            started = time.perf_counter()
            result = way.invert(torch.stack([target for _, (target, _) in batch]))
            seconds = (time.perf_counter() - started) / len(batch)
            for (item, (_, faces)), one in zip(batch, result.split(), strict=True):
                outputs = save_result(one, item, ledger.out, ledger.settings, way.labels)
                outputs |= save_crops(faces, item, ledger.out)
                further, facts = way.extra(one, item, ledger.out)
                facts = {
                    "sha256": item.sha256,
                    "outputs": outputs | further,
                    "seconds": round(seconds, 4),
                    **facts,
                }
                ledger.add(item.file, item.name, "done", **facts, faces=describe(faces))
                summary.done += 1
                progress.update()
    return summary


def save_result(
    result: InversionResult,
    item: Item,
    out: Path,
    settings: dict[str, Any],
    labels: Sequence[str] = (),
) -> dict[str, str]:
    """Write one image's reconstruction, step strip and latent codes.

    Args:
        result: Of a single image.
        item: The image's file and name.
        out: The output folder.
        settings: Kept beside the codes.
        labels: Of the steps that the strip shows after the target, as `Way` has them.

    Returns:
        Their paths, relative to the output folder.
    """
    outputs = {
        "reconstruction": f"reconstructions/{item.name}.png",
        "strip": f"steps/{item.name}.png",
        "latents": f"latents/{item.name}.safetensors",
    }
    save_image(result.image[0], out / outputs["reconstruction"])
    height, width = result.image.shape[-2:]
    labels = labels or ["average", *(f"step {t}" for t in range(1, len(result.steps)))]
    shown = [result.target, *(step.image for step in result.steps[-len(labels) :])]
    pictures = [resized(image, (height, width))[0].cpu() for image in shown]
    save_image(strip(pictures, ["target", *labels]), out / outputs["strip"])
    ws = torch.cat([step.ws for step in result.steps])  # (steps + 1, num_ws, D)
    source = {"target": os.path.abspath(item.file), "target_sha256": item.sha256}
    save_latents(ws, {**settings, **source}, out / outputs["latents"])
    return outputs
