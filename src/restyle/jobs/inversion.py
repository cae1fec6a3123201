"""`restyle invert`: images in, reconstructions, step strips and latent codes out.

The results of an input lie in folders below the output folder, under one name: `reconstructions`,
`steps`, `latents`, `aligned` where faces were cut out first, and `generators` where the generator
was tuned. `manifest.jsonl` says what became of each input.
"""

import os
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from restyle.domains import Domain
from restyle.editing.latents import save_latents
from restyle.faces import AlignedFace
from restyle.hub import registry
from restyle.inversion.methods import stopping
from restyle.inversion.results import InversionResult
from restyle.inversion.targets import resized, to_target
from restyle.io.images import ImageFile, save_image, strip
from restyle.jobs.alignment import PASTED, align_file, face_settings, paste, places, save_crops
from restyle.jobs.inverters import Inverter, by_method, by_steps
from restyle.jobs.manifest import Item, Manifest, Summary, find_inputs, pending
from restyle.jobs.settings import Bootstrap, Invert
from restyle.model import ReStyle

FOLDERS = ("reconstructions", "steps", "aligned", "latents", "generators", PASTED)
Prepared = tuple[Tensor, list[AlignedFace]]
"""A target (3, h, w), and the face that it was cut out around, if faces are looked for."""


def invert(job: Invert) -> Summary:
    """Invert image files; one that cannot be read costs only itself.

    Raises:
        ImageError: A folder holds no images.
        ValueError: There is no such model, device or method, or it cannot take so many steps, or
            render such previews.
        OSError: A result cannot be written.
    """
    files, summary = find_inputs(job.inputs, job.out, FOLDERS)
    model = registry.load(job.model, job.device, job.dtype).to(compiled=job.compile)
    if job.method is None:
        inverter = by_steps(model, job.steps, job.preview_resolution, job.batch_size)
    else:
        method = stopping(job.method) if job.steps == "auto" else job.method
        inverter = by_method(model, method, job.features)
    settings = {
        **model_facts(model),
        **inverter.settings,
        "dtype": str(model.dtype).removeprefix("torch."),
        **face_settings(job),
    }
    manifest = Manifest(job.out, settings)
    return save_inversions(job, files, summary, manifest, model.domain, inverter)


def model_facts(model: ReStyle) -> dict[str, Any]:
    """Return what manifests and latents files say about the model that made them."""
    return {"model": model.name, "model_sha256": model.weights_hash()}


def prepare(path: Path, size: tuple[int, int], align: bool) -> Prepared:
    """Read an image as a target, cut out around its largest face if `align` is set.

    Raises:
        ImageError: It cannot be read, or has no face.
    """
    faces = align_file(path) if align else []
    return to_target(faces[0].crop if faces else path, size), faces


def save_inversions(
    job: Invert | Bootstrap,
    files: Sequence[ImageFile],
    summary: Summary,
    manifest: Manifest,
    domain: Domain,
    inverter: Inverter,
) -> Summary:
    """Go through inputs in batches, and keep what an inversion makes of each.

    Args:
        job: Says how many are inverted at once, unless they are inverted alone.
        files: All inputs.
        summary: Of `find_inputs`; the counts are added.
        manifest: Knows what is done, and is told what becomes of each.
        domain: Of the encoder that sees the targets.
        inverter: How targets are inverted.

    Returns:
        The counts.

    Raises:
        OSError: A result cannot be written.
    """

    def read(path: Path) -> Prepared:
        return prepare(path, domain.input_size, job.align)

    with manifest.held(), tqdm(total=len(files), unit="image", disable=None) as progress:
        todo = pending(files, manifest, job.overwrite, summary, progress, read)
        while batch := list(islice(todo, 1 if inverter.alone else job.batch_size)):
            started = time.perf_counter()
            result = inverter.invert(torch.stack([target for _, (target, _) in batch]))
            seconds = round((time.perf_counter() - started) / len(batch), 4)
            for (item, (_, faces)), one in zip(batch, result.split(), strict=True):
                outputs = save_result(one, item, manifest, inverter.labels)
                outputs |= save_crops(faces, item, manifest.out)
                further, facts = inverter.extra(one, item, manifest.out)
                if job.paste_back:
                    made = {"reconstruction": outputs["reconstruction"]}
                    outputs |= paste(made, faces[0], item, manifest.out)
                facts = {"seconds": seconds, **facts, "faces": places(faces)}
                manifest.add_done(item, outputs | further, **facts)
                summary.done += 1
                progress.update()
    return summary


def save_result(
    result: InversionResult, item: Item, manifest: Manifest, labels: Sequence[str] = ()
) -> dict[str, str]:
    """Write one image's reconstruction, step strip and latent codes.

    Args:
        result: Of a single image.
        item: The image's file and name.
        manifest: Of the output folder; its settings are kept beside the codes.
        labels: Of the steps that the strip shows after the target, as `Inverter` has them.

    Returns:
        Their paths, relative to the output folder.
    """
    out = manifest.out
    outputs = {
        "reconstruction": f"reconstructions/{item.name}.png",
        "strip": f"steps/{item.name}.png",
        "latents": f"latents/{item.name}.safetensors",
    }
    save_image(result.image[0], out / outputs["reconstruction"])
    height, width = result.image.shape[-2:]
    labels = labels or ["average", *(f"step {t}" for t in range(1, len(result.steps)))]
    pictures = [result.target, *(step.image for step in result.steps[-len(labels) :])]
    pictures = [resized(image, (height, width))[0].cpu() for image in pictures]
    save_image(strip(pictures, ["target", *labels]), out / outputs["strip"])
    ws = torch.cat([step.ws for step in result.steps])  # (steps + 1, num_ws, D)
    source = {"target": os.path.abspath(item.file), "target_sha256": item.sha256}
    save_latents(ws, {**manifest.settings, **source}, out / outputs["latents"])
    return outputs
