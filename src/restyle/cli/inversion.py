"""`restyle invert`: images in, reconstructions, step strips and latent codes out.

The results of an input lie in folders below the output folder, under one name: `reconstructions`,
`steps`, `latents`, and `aligned` where faces were cut out first. `manifest.jsonl` says what became
of each input.
"""

import os
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor
from tqdm import tqdm

from restyle import registry
from restyle.cli.align import FOUND_WITH, align_file, describe, save_crops
from restyle.cli.ledger import Item, Ledger, Summary, find_inputs, pending
from restyle.faces import AlignedFace
from restyle.files import atomic_write
from restyle.images import save_image, strip
from restyle.model import InversionResult
from restyle.targets import resized, to_target

FOLDERS = ("reconstructions", "steps", "aligned")


def invert_files(
    inputs: Sequence[Path],
    model_name: str,
    steps: int | None,
    batch_size: int,
    device: str,
    dtype: str,
    out: Path,
    overwrite: bool = False,
    align: bool = False,
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

    Returns:
        The counts.

    Raises:
        ImageError: A folder holds no images.
        ValueError: There is no such model or device, or it cannot take so many steps.
        OSError: A result cannot be written.
    """
    files = find_inputs(inputs, out, FOLDERS)
    model = registry.load(model_name, device, dtype)
    steps = model.checked_steps(steps)
    settings = {
        "model": model.name,
        "model_sha256": model.weights_hash(),
        "steps": steps,
        "dtype": str(model.dtype).removeprefix("torch."),
        "faces_found_with": FOUND_WITH if align else None,
    }
    out.mkdir(parents=True, exist_ok=True)
    ledger, summary = Ledger(out, settings), Summary()

    def prepare(path: Path) -> tuple[Tensor, list[AlignedFace]]:
        faces = align_file(path) if align else []
        return to_target(faces[0].crop if faces else path, model.domain.input_size), faces

    with tqdm(total=len(files), unit="image", disable=None) as progress:
        todo = pending(files, ledger, overwrite, summary, progress, prepare)
        while batch := list(islice(todo, batch_size)):
            started = time.perf_counter()
            targets = torch.stack([target for _, (target, _) in batch])
            result = model.invert(targets, steps, batch_size)
            seconds = (time.perf_counter() - started) / len(batch)
            for (item, (_, faces)), one in zip(batch, result.split(), strict=True):
                outputs = save_result(one, item, out, settings) | save_crops(faces, item, out)
                facts = {"sha256": item.sha256, "outputs": outputs, "seconds": round(seconds, 4)}
                ledger.add(item.file, item.name, "done", **facts, faces=describe(faces))
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
