"""`restyle invert`: images in, reconstructions, step strips and latent codes out.

The results of an input lie in folders below the output folder, under one name: `reconstructions`,
`steps`, `latents`, `aligned` where faces were cut out first, and `generators` where the generator
was tuned. `manifest.jsonl` says what became of each input.
"""

import os
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from restyle.domains import FACES
from restyle.editing.latents import save_latents
from restyle.faces import AlignedFace
from restyle.hub import registry
from restyle.hub.catalogue import photograph_models
from restyle.inversion.domain_check import DomainCheck, errors
from restyle.inversion.methods import stopping
from restyle.inversion.results import InversionResult
from restyle.inversion.targets import is_stretched, resized, to_target
from restyle.io.files import printable
from restyle.io.images import ImageFile, read_image, save_image, strip
from restyle.io.pipeline import Behind
from restyle.jobs.alignment import PASTED, align_file, face_settings, paste, places, save_crops
from restyle.jobs.drag_settings import Drag
from restyle.jobs.inverters import Inverter, by_method, by_steps
from restyle.jobs.manifest import Item, Manifest, Summary, find_inputs, pending
from restyle.jobs.settings import Bootstrap, Edit, Invert
from restyle.model import ReStyle
from restyle.runtime.options import Fit

FOLDERS = ("reconstructions", "steps", "aligned", "latents", "generators", PASTED)


class Prepared(NamedTuple):
    """A photograph that is to be inverted.

    Attributes:
        target: (3, h, w).
        faces: The face that it was cut out around, if faces are looked for.
        stretched: Whether it has another shape than the photograph, or the crop.
    """

    target: Tensor
    faces: list[AlignedFace]
    stretched: bool


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
        **photo_settings(job),
    }
    manifest = Manifest(job.out, settings)
    return save_inversions(job, files, summary, manifest, model, inverter)


def model_facts(model: ReStyle) -> dict[str, Any]:
    """Return what manifests and latents files say about the model that made them."""
    return {"model": model.name, "model_sha256": model.weights_hash()}


def photo_settings(job: Invert | Bootstrap | Edit | Drag) -> dict[str, Any]:
    """Return what manifests say about how a job makes photographs targets."""
    fit = {} if job.fit == "stretch" else {"fit": job.fit}
    return {**fit, **face_settings(job)}


def prepare(path: Path, size: tuple[int, int], align: bool, fit: Fit) -> Prepared:
    """Read an image as a target, cut out around its largest face if `align` is set.

    Raises:
        ImageError: It cannot be read, or has no face.
    """
    faces = align_file(path) if align else []
    picture = faces[0].crop if faces else read_image(path)
    stretched = fit == "stretch" and is_stretched(picture, size)
    return Prepared(to_target(picture, size, fit), faces, stretched)


def _advice(domain: str, face: bool) -> str:
    """Say what may help where a picture, or a face in one, is unlike a model's domain."""
    others = photograph_models()
    others.pop(domain, None)
    if face:
        others = {of: name for of, name in others.items() if of == FACES.name}
    align = "cut faces out first (--align); " if domain == FACES.name and not face else ""
    named = ", ".join(f"{name} ({of})" for of, name in others.items())
    return f"; {align}for photographs: restyle models pull {named}" if named else ""


def oddities(
    path: Path, photo: Prepared, check: DomainCheck, error: float | None, summary: Summary
) -> dict[str, Any]:
    """Count and tell what is odd about a photograph; return what the manifest says about it.

    Its squared error is the encoder's, None if there is no encoder.
    """
    summary.stretched += photo.stretched
    facts = {"faces": places(photo.faces), "stretched": photo.stretched}
    if error is None:
        return facts
    if unlike := check.is_unlike(error):
        model, domain = check.model.name, check.model.domain.name
        told = (
            f"{path}: unlike the {domain} that '{model}' knows (error {error:.3f}, "
            f"theirs are below {check.limit:.3f})"
        )
        advice = "" if summary.unlike else _advice(domain, bool(photo.faces))  # once is enough
        tqdm.write(f"restyle: {printable(told + advice)}", file=sys.stderr)
        summary.unlike += 1
    return {**facts, "unlike_domain": unlike}


def save_inversions(
    job: Invert | Bootstrap,
    files: Sequence[ImageFile],
    summary: Summary,
    manifest: Manifest,
    model: ReStyle,
    inverter: Inverter,
) -> Summary:
    """Go through inputs in batches, and keep what an inversion makes of each.

    Args:
        job: Says how many are inverted at once, unless they are inverted alone.
        files: All inputs.
        summary: Of `find_inputs`; the counts are added.
        manifest: Knows what is done, and is told what becomes of each.
        model: Whose encoder sees the targets.
        inverter: How targets are inverted.

    Returns:
        The counts.

    Raises:
        OSError: A result cannot be written.
    """

    def read(path: Path) -> Prepared:
        return prepare(path, model.domain.input_size, job.align, job.fit)

    def keep(item: Item, photo: Prepared, result: InversionResult, facts: dict[str, Any]) -> None:
        outputs = save_result(result, item, manifest, inverter.labels)
        outputs |= save_crops(photo.faces, item, manifest.out)
        further, more = inverter.extra(result, item, manifest.out)
        if job.paste_back:
            made = {"reconstruction": outputs["reconstruction"]}
            outputs |= paste(made, photo.faces[0], item, manifest.out)
        manifest.add_done(item, outputs | further, **facts, **more)
        summary.done += 1
        progress.update()

    check, size = DomainCheck(model), 1 if inverter.alone else job.batch_size
    with manifest.held(), tqdm(total=len(files), unit="image", disable=None) as progress:
        todo = pending(files, manifest, job.overwrite, summary, progress, read, count=2 * size)
        with Behind(size) as behind:
            while batch := list(islice(todo, size)):
                if inverter.alone:  # what is kept is the inverter's until it inverts the next
                    behind.wait()
                started = time.perf_counter()
                result = inverter.invert(torch.stack([photo.target for _, photo in batch]))
                seconds = round((time.perf_counter() - started) / len(batch), 4)
                found: Sequence[float | None] = [None] * len(batch)
                if inverter.encoded:
                    found = errors(result.target, inverter.encoded(result))
                for (item, photo), one, error in zip(batch, result.split(), found, strict=True):
                    facts = oddities(item.file, photo, check, error, summary)
                    behind(keep, item, photo, one, {"seconds": seconds, **facts})
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
