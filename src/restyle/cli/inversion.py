"""`restyle invert`: images in, reconstructions, step strips and latent codes out.

The results of an input lie in three folders below the output folder, under one name:
`reconstructions`, `steps` and `latents`. `manifest.jsonl` says what became of each input; of
several lines about one input the last one holds.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor
from tqdm import tqdm

from restyle import registry
from restyle.files import append_jsonl, atomic_write, read_jsonl, sha256
from restyle.images import ImageError, ImageFile, list_images, save_image, strip
from restyle.model import InversionResult, ReStyle
from restyle.targets import resized, to_target

MANIFEST = "manifest.jsonl"


def invert_files(
    inputs: Sequence[Path],
    model_name: str,
    steps: int | None,
    batch_size: int,
    device: str,
    dtype: str,
    out: Path,
    overwrite: bool = False,
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

    Returns:
        The counts.

    Raises:
        ImageError: A folder holds no images.
        ValueError: There is no such model or device, or it cannot take so many steps.
        OSError: A result cannot be written.
    """
    files = _inputs(inputs, out)
    model = registry.load(model_name, device, dtype)
    steps = model.checked_steps(steps)
    settings = {
        "model": model.name,
        "model_sha256": model.weights_hash(),
        "steps": steps,
        "dtype": str(model.dtype).removeprefix("torch."),
    }
    out.mkdir(parents=True, exist_ok=True)
    ledger, summary = Ledger(out, settings), Summary()
    with tqdm(total=len(files), unit="image", disable=None) as progress:
        readable = _readable(files, model, ledger, overwrite, summary, progress)
        while batch := list(islice(readable, batch_size)):
            items, targets = zip(*batch, strict=True)
            started = time.perf_counter()
            result = model.invert(torch.stack(targets), steps, batch_size)
            seconds = (time.perf_counter() - started) / len(batch)
            for item, one in zip(items, result.split(), strict=True):
                outputs = save_result(one, item, out, settings)
                facts = {"sha256": item.sha256, "outputs": outputs, "seconds": round(seconds, 4)}
                ledger.add(item.file, item.name, "done", **facts)
                summary.done += 1
                progress.update()
    return summary


def save_result(
    result: InversionResult, item: Item, out: Path, settings: dict[str, Any]
) -> dict[str, str]:
    """Write one image's reconstruction, step strip and latent codes.

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
    target = resized(result.target, (height, width))
    pictures = [target[0].cpu(), *(step.image[0].cpu() for step in result.steps)]
    numbers = [f"step {t}" for t in range(1, len(result.steps))]
    save_image(strip(pictures, ["target", "average", *numbers]), out / outputs["strip"])
    ws = torch.cat([step.ws for step in result.steps]).cpu()  # (steps + 1, num_ws, D)
    metadata = {key: str(value) for key, value in settings.items()}
    metadata |= {"target": os.path.abspath(item.file), "target_sha256": item.sha256}
    with atomic_write(out / outputs["latents"]) as temporary:
        temporary.write_bytes(save({"ws": ws}, metadata))
    return outputs


def _inputs(paths: Sequence[Path], out: Path) -> list[ImageFile]:
    """The images to invert: no results of an earlier call, unless they are named themselves."""
    named = {os.path.abspath(path) for path in paths}
    results = [Path(os.path.abspath(out / folder)) for folder in ("reconstructions", "steps")]
    files = []
    for file in list_images(paths):
        path = Path(os.path.abspath(file.path))
        if str(path) in named or not any(path.is_relative_to(folder) for folder in results):
            files.append(file)
    if not files:
        raise ImageError(paths[0], "images", "only the results of an earlier inversion")
    return files


def _readable(
    files: Sequence[ImageFile],
    model: ReStyle,
    ledger: Ledger,
    overwrite: bool,
    summary: Summary,
    progress: tqdm,
) -> Iterator[tuple[Item, Tensor]]:
    """The inputs that are still to be done, with their targets; failures are told and recorded."""
    for file in files:
        name = ledger.name(file)
        try:
            item = Item(file.path, name, _hash(file.path))
            if overwrite or not ledger.is_done(item):
                yield item, to_target(file.path, model.domain.input_size)
                continue
            summary.skipped += 1
        except ImageError as error:
            tqdm.write(f"restyle: {error}", file=sys.stderr)
            ledger.add(file.path, name, "failed", error=str(error))
            summary.failed += 1
        progress.update()
