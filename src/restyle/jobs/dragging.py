"""`restyle drag`: pictures and points in, pictures in which the points are elsewhere out."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from tqdm import tqdm

from restyle.editing.drag import Dragged, DragOptions, checked_points
from restyle.editing.edits import layer_numbers
from restyle.editing.latents import SUFFIX as LATENTS
from restyle.editing.latents import save_latents
from restyle.editing.video import FPS, check_video, save_video
from restyle.faces import AlignedFace
from restyle.faces.alignment import crop_face, into_square
from restyle.hub import registry
from restyle.inversion.domain_check import DomainCheck
from restyle.inversion.targets import fitted, framed, resized
from restyle.io.files import printable, sha256
from restyle.io.images import SUFFIXES, ImageError, read_image, save_image, strip, to_pil, to_tensor
from restyle.jobs.alignment import PASTED, paste, save_crops
from restyle.jobs.drag_settings import Drag
from restyle.jobs.editing import Found, Subject, checked_steps, found_in, inverted
from restyle.jobs.inversion import model_facts, oddities, photo_settings
from restyle.jobs.manifest import Manifest, Summary, find_inputs, pending
from restyle.model import ReStyle

FOLDERS = ("images", "strips", "aligned", "latents", "videos", PASTED)
SHOWN_SIDE = 256
"""Pictures with points in strips and films have about this height."""
_SHOWN, _RESTING = 5, FPS  # steps in a strip; frames of the result at the end of a film


@dataclass(frozen=True)
class Pull:
    """The request, in pixels of the model's picture.

    Attributes:
        handles: (N, 2), the points that are dragged, x and y.
        targets: (N, 2), where they shall be.
        mask: (h, w), 1 where the picture may change; None for all of it.
    """

    handles: Tensor
    targets: Tensor
    mask: Tensor | None


def drag(job: Drag) -> Summary:
    """Drag points of photographs, latents files and samples.

    Raises:
        ValueError: There is no such model, layer or mask.
        ImportError: A film is asked for, but imageio is missing.
        OSError: A result cannot be written.
    """
    files, summary = find_inputs(job.inputs, job.out, FOLDERS, (*SUFFIXES, LATENTS))
    if job.video:
        check_video(f"film.{job.video}")
    mask = None if job.mask is None else read_image(job.mask)
    model = registry.load(job.model, job.device, job.dtype)
    inversion_steps = checked_steps(model, job.inversion_steps, [file.path for file in files])
    settings = {
        **model_facts(model),
        "from": list(job.from_),
        "to": list(job.to),
        "mask_sha256": None if job.mask is None else sha256(job.mask),
        "steps": job.steps,
        "inversion_steps": inversion_steps,
        "layers": layer_numbers(job.layers, len(model.start_ws)),
        "video": job.video,
        "dtype": str(model.dtype).removeprefix("torch."),
        **photo_settings(job),
    }
    manifest = Manifest(job.out, settings)
    of_seeds = [pull_of(job, model, Path(f"--seed {n}"), None, None, mask) for n in job.seed]

    def read(path: Path) -> tuple[Found, Pull]:
        found = found_in(path, model, job)
        photo = None if isinstance(found, Tensor) else read_image(path)
        face = None if isinstance(found, Tensor) or not found.faces else found.faces[0]
        return found, pull_of(job, model, path, photo, face, mask)

    check = DomainCheck(model)
    total = len(files) + len(job.seed)
    with manifest.held(), tqdm(total=total, unit="input", disable=None) as progress:
        for seed in job.seed:  # a photograph of that name is called otherwise
            manifest.names.setdefault(f"seed{seed}", f"--seed {seed}")
        for item, (found, pull) in pending(files, manifest, job.overwrite, summary, progress, read):
            started = time.perf_counter()
            [subject] = inverted(model, [found], inversion_steps)
            outputs, facts = save_drag(model, job, subject, pull, item.name, manifest)
            outputs |= save_crops(subject.faces, item, job.out)
            if job.paste_back:
                made = {"image": outputs["image"]}
                outputs |= paste(made, subject.faces[0], item, job.out)
            facts |= {"seconds": round(time.perf_counter() - started, 4)}
            if subject.photo:
                facts |= oddities(item.file, subject.photo, check, subject.error, summary)
            manifest.add_done(item, outputs, **facts)
            summary.done += 1
            progress.update()
        for seed, pull in zip(job.seed, of_seeds, strict=True):
            subject = Subject(model.sample(1, seed, job.truncation).ws)
            outputs, _ = save_drag(model, job, subject, pull, f"seed{seed}", manifest)
            manifest.add_samples([seed], outputs)
            summary.done += 1
            progress.update()
    return summary


def pull_of(
    job: Drag,
    model: ReStyle,
    path: Path,
    photo: Image.Image | None,
    face: AlignedFace | None,
    mask: Image.Image | None,
) -> Pull:
    """Take points and mask from the picture that a user sees to the one that a model renders.

    Args:
        job: Says where the points are.
        model: Whose picture it is.
        path: Of the input, for errors.
        photo: What the user sees; None where it is the render itself.
        face: Where the model's picture was cut out of it, if it was.
        mask: Of the size of what the user sees.

    Raises:
        ImageError: A point is not in the picture or the face, or the mask has another size.
    """
    width = model.generator.config.size
    top, bottom = model.domain.rows(width)
    size = (width, bottom - top)
    seen = size if photo is None else photo.size
    if mask is not None and mask.size != seen:
        expected = "{} x {} pixels, the size of the picture".format(*seen)
        raise ImageError(job.mask or path, expected, "{} x {}".format(*mask.size))
    if face is None:
        fit = "stretch" if photo is None else job.fit
        used = framed(seen, model.domain.input_size, fit)
        mask = None if mask is None else fitted(mask.convert("L"), model.domain.input_size, fit)
        (w, h), (x, y) = used, ((1 - a / b) / 2 for a, b in zip(seen, used, strict=True))
        to_unit = np.array([[1 / w, 0, x], [0, 1 / h, y]])
    else:
        to_unit = into_square(face.quad, 1)
        mask = None if mask is None else crop_face(mask, face.quad, width)
    pulled = []
    for points in job.points():
        try:
            checked_points(points, seen)
            corner = np.array(points) + 0.5
            inside = (corner @ to_unit[:, :2].T + to_unit[:, 2]) * size - 0.5
            pulled.append(checked_points(torch.from_numpy(inside), size))
        except ValueError as error:
            where = "in the picture" if face is None else "in the largest face's square"
            where += ", as --fit crop leaves it" if job.fit == "crop" else ""
            told = " ".join(f"{x:g},{y:g}" for x, y in points)
            found = f"{told} (of {seen[0]} x {seen[1]} pixels)"
            raise ImageError(path, f"points {where}", found) from error
    may_change = None
    if mask is not None:
        may_change = torch.from_numpy(np.asarray(mask.convert("L").resize(size)) / 255).float()
        if not bool(may_change.any()):
            raise ImageError(job.mask or path, "a mask with something white", "a black one")
    return Pull(pulled[0], pulled[1], may_change)


def save_drag(
    model: ReStyle, job: Drag, subject: Subject, pull: Pull, name: str, manifest: Manifest
) -> tuple[dict[str, str], dict[str, Any]]:
    """Drag one subject, and write what comes of it.

    Returns:
        The paths, relative to the output folder, and facts for the manifest.
    """
    outputs = {
        "image": f"images/{name}.png",
        "strip": f"strips/{name}.png",
        "latents": f"latents/{name}.safetensors",
    }
    pull_to = (pull.handles, pull.targets, pull.mask)
    options = DragOptions(layers=job.layers)
    ws = subject.codes[-1:]
    found, frames = None, []
    with tqdm(total=job.steps, unit="step", desc=name, leave=False, disable=None) as progress:
        for found in model.drag(ws, *pull_to, steps=job.steps, options=options):
            frames.append(marked(found.image[0], found.points, pull.targets))
            progress.update(len(frames) > 1)
    assert found is not None  # the start is always yielded
    target = None
    if subject.photo:
        height, width = found.image.shape[-2:]
        target = resized(subject.photo.target[None], (height, width))[0]
        target = marked(target, pull.handles, pull.targets)
    save_image(found.image[0], manifest.out / outputs["image"])
    save_image(strip_of(frames, target), manifest.out / outputs["strip"])
    codes = torch.cat([ws.cpu(), found.ws.cpu()])
    save_latents(codes, manifest.settings, manifest.out / outputs["latents"])
    if job.video:
        outputs["video"] = f"videos/{name}.{job.video}"
        film = [*frames, *[frames[-1]] * _RESTING]
        save_video(map(to_tensor, film), manifest.out / outputs["video"])
    return outputs, _told(found, len(frames) - 1, name)


def strip_of(frames: Sequence[Image.Image], target: Image.Image | None = None) -> Image.Image:
    """Lay the way of a drag out in a row: the photograph, the start, a few steps and the end."""
    shown = sorted({round((len(frames) - 1) * part / _SHOWN) for part in range(_SHOWN + 1)})
    pictures, labels = [frames[step] for step in shown], [f"step {step}" for step in shown]
    before = [] if target is None else [target]
    return strip([*before, *pictures], [*["target"] * len(before), *labels])


def marked(
    image: Tensor, points: Tensor, targets: Tensor, side: int = SHOWN_SIDE, smooth: bool = False
) -> Image.Image:
    """Draw points (N, 2) in red, and the way to their targets in blue, on a picture.

    Args:
        image: (3, H, W), RGB in [-1, 1].
        points: x and y in its pixels.
        targets: The same.
        side: The picture's longer side, about, in pixels.
        smooth: As `enlarged` takes it.
    """
    picture, factor = enlarged(image, side, smooth)
    draw = ImageDraw.Draw(picture)
    places = ((torch.stack([points.cpu(), targets.cpu()], 1) + 0.5) * factor - 0.5).tolist()
    for point, target in places:
        draw.line([*point, *target], fill="white", width=2)
    radius = side // 64
    for point, target in places:
        draw.circle(target, radius, fill="blue", outline="white")
        draw.circle(point, radius, fill="red", outline="white")
    return picture


def enlarged(
    image: Tensor, side: int = SHOWN_SIDE, smooth: bool = False
) -> tuple[Image.Image, float]:
    """Make a picture of about a size.

    Args:
        image: (3, H, W), RGB in [-1, 1].
        side: Its longer side, about, in pixels.
        smooth: Enlarge small ones smoothly, where else each pixel becomes a square.

    Returns:
        The picture, and how many times it is enlarged.
    """
    picture = to_pil(image)
    longest = max(picture.size)
    factor = side / longest if longest > side else -(-side // longest)
    width, height = (round(length * factor) for length in picture.size)
    how = Image.Resampling.LANCZOS if factor < 1 or smooth else Image.Resampling.NEAREST
    return picture.resize((width, height), how), factor


def _told(found: Dragged, steps: int, name: str) -> dict[str, Any]:
    """Return what the manifest says of a drag, and say so where points have not arrived."""
    left = int((~found.arrived).sum())
    if left:
        farthest = found.distances.max().item()
        told = f"{left} of {len(found.arrived)} points have not arrived after {steps} steps"
        told = f"restyle: {name}: {told}, the farthest is {farthest:.1f} pixels away"
        tqdm.write(printable(told), file=sys.stderr)
    return {"steps_used": steps, "distances": [round(d, 3) for d in found.distances.tolist()]}
