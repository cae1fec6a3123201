"""`restyle edit`, `mix` and `animate`: codes from anywhere in, pictures and films out."""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from restyle import importers
from restyle.editing.directions import Direction
from restyle.editing.edits import GROUPS, layer_numbers, parse_strengths
from restyle.editing.edits import mix as mix_layers
from restyle.editing.latents import SUFFIX as LATENTS
from restyle.editing.latents import read_latents, save_latents, save_styles
from restyle.editing.relevance import network_hash
from restyle.editing.text_editor import TextEdit
from restyle.editing.video import between, check_video, save_video, there_and_back
from restyle.faces import AlignedFace
from restyle.hub import registry
from restyle.inversion.domain_check import DomainCheck, errors
from restyle.inversion.targets import resized
from restyle.io.checkpoints import weights_hash
from restyle.io.claims import check_new
from restyle.io.files import remove_temporaries
from restyle.io.images import SUFFIXES, save_image, strip
from restyle.jobs.alignment import PASTED, paste, save_crops
from restyle.jobs.checks import STRETCHED
from restyle.jobs.drag_settings import Drag
from restyle.jobs.inversion import Prepared, model_facts, oddities, photo_settings, prepare
from restyle.jobs.manifest import Manifest, Summary, find_inputs, pending
from restyle.jobs.settings import Animate, Edit, Mix
from restyle.model import ReStyle, Steps

FOLDERS = ("strips", "images", "aligned", "latents", "styles", "videos", PASTED)
PUBLISHED = (".pt", ".npy")
_BATCH = 8
_LABEL = 20  # characters of what changes, below a picture

Found = Prepared | Tensor
"""A photograph that is to be inverted, or codes (N, num_ws, D)."""


@dataclass(frozen=True)
class Plan:
    """The edits that are asked for, checked against the model.

    Attributes:
        direction: What changes; None where a text says it, until the subject is known.
        text: What changes, in words.
        strengths: How much, a picture each.
        also: Other edits of every picture.
        layers: The layers that change; those of each direction if None.
        video: `mp4` or `gif`; None for no film.
    """

    direction: Direction | None
    text: TextEdit | None
    strengths: list[float]
    also: dict[Direction, float]
    layers: list[int] | None
    video: str | None

    @property
    def name(self) -> str:
        """What changes, as part of a file's name."""
        return self.direction.name if self.text is None else self.text.name  # pyright: ignore

    def record(self) -> dict[str, Any]:
        """Return what manifests and latents files say about it."""
        about: dict[str, Any] = {"direction": self.name}
        if self.text is not None:
            about |= vars(self.text)
        elif self.direction is not None:
            about["direction_sha256"] = weights_hash({"": self.direction.vector})
            about["direction_scale"] = self.direction.scale
        return {
            **about,
            "strengths": self.strengths,
            "also": {direction.name: strength for direction, strength in self.also.items()},
            "layers": self.layers,
            "video": self.video,
        }

    def label(self, strength: float) -> str:
        """Return the caption of a picture."""
        name = self.name if self.text is None else self.text.news
        return f"{shorten(name, _LABEL, placeholder='...')} {strength:+.3g}"

    def moves(self, model: ReStyle, ws: Tensor) -> Direction:
        """Return where the codes (1, num_ws, D) of a subject go."""
        if self.text is not None:
            return model.text_editor.direction(ws, self.text)
        assert self.direction is not None
        return self.direction


@dataclass(frozen=True)
class Subject:
    """Who is edited.

    Attributes:
        codes: (N, num_ws, D), the last ones of which are edited; those before are the way there.
        photo: The photograph, if there is one.
        error: Of its inversion, the mean squared one.
    """

    codes: Tensor
    photo: Prepared | None = None
    error: float | None = None

    @property
    def faces(self) -> Sequence[AlignedFace]:
        """The face that the photograph was cut out around, if faces are looked for."""
        return self.photo.faces if self.photo else ()


def edit(job: Edit) -> Summary:
    """Edit photographs, latents files and samples; a file that cannot be used costs only itself.

    Raises:
        ValueError: There is no such model, direction, strength or layer.
        ImportError: A film is asked for, but imageio is missing.
        OSError: A result cannot be written.
    """
    files, summary = find_inputs(job.inputs, job.out, FOLDERS, (*SUFFIXES, LATENTS))
    model = registry.load(job.model, job.device, job.dtype)
    steps = checked_steps(model, job.steps, [file.path for file in files])
    plan = make_plan(model, job)
    settings = {
        **model_facts(model),
        "steps": steps,
        "dtype": str(model.dtype).removeprefix("torch."),
        **photo_settings(job),
        **plan.record(),
    }
    if plan.text is not None:
        settings["text_sha256"] = network_hash(model.text_editor.network)
    manifest = Manifest(job.out, settings)

    def read(path: Path) -> Found:
        return found_in(path, model, job)

    check = DomainCheck(model)
    total = len(files) + len(job.seed)
    with manifest.held(), tqdm(total=total, unit="input", disable=None) as progress:
        for seed in job.seed:  # a photograph of that name is called otherwise
            manifest.names.setdefault(f"seed{seed}", f"--seed {seed}")
        count = 2 * job.batch_size
        todo = pending(files, manifest, job.overwrite, summary, progress, read, count=count)
        while batch := list(islice(todo, job.batch_size)):
            started = time.perf_counter()
            subjects = inverted(model, [found for _, found in batch], steps)
            share = (time.perf_counter() - started) / len(batch)
            for (item, _), subject in zip(batch, subjects, strict=True):
                started = time.perf_counter()
                outputs = save_edits(model, subject, plan, item.name, manifest)
                outputs |= save_crops(subject.faces, item, job.out)
                if job.paste_back and subject.faces:
                    made = {key: path for key, path in outputs.items() if key.startswith("image ")}
                    outputs |= paste(made, subject.faces[0], item, job.out)
                seconds = round(share + time.perf_counter() - started, 4)
                facts = {}
                if subject.photo:
                    facts = oddities(item.file, subject.photo, check, subject.error, summary)
                manifest.add_done(item, outputs, seconds=seconds, **facts)
                summary.done += 1
                progress.update()
        for seed in job.seed:
            subject = Subject(model.sample(1, seed, job.truncation).ws)
            outputs = save_edits(model, subject, plan, f"seed{seed}", manifest)
            manifest.add_samples([seed], outputs)
            summary.done += 1
            progress.update()
    return summary


def checked_steps(model: ReStyle, steps: Steps, files: Sequence[Path]) -> Steps:
    """Return the steps of inversions; None for a generator alone, which has none to do.

    Raises:
        ValueError: The model cannot take so many steps, or photographs need an encoder.
    """
    photographs = any(path.suffix != LATENTS for path in files)
    return model.checked_steps(steps) if model.has_encoder or photographs else None


def found_in(path: Path, model: ReStyle, job: Edit | Mix | Animate | Drag) -> Found:
    """Read a latents file's codes (N, num_ws, D), or a photograph as `prepare` does.

    Raises:
        ImageError: The photograph cannot be used.
        LatentsError: The codes cannot be.
    """
    if path.suffix != LATENTS:
        return prepare(path, model.domain.input_size, job.align, job.fit)
    return read_latents(path, model.weights_hash(), *model.start_ws.shape)


def inverted(model: ReStyle, found: Sequence[Found], steps: Steps) -> list[Subject]:
    """Return who is edited, in order; the photographs among them are inverted together."""
    photographs = [one.target for one in found if not isinstance(one, Tensor)]
    results = iter(())
    if photographs:
        batch = torch.stack(photographs)
        results = iter(model.invert(batch, steps, len(batch)).split())
    subjects = []
    for one in found:
        if isinstance(one, Tensor):
            subjects.append(Subject(one))
        else:
            result = next(results)
            codes = torch.cat([estimate.ws for estimate in result.steps])
            [error] = errors(result.target, result.image)
            subjects.append(Subject(codes.cpu(), one, error))
    return subjects


def make_plan(model: ReStyle, job: Edit) -> Plan:
    """Check what is asked for.

    Raises:
        ValueError: An unknown or unfitting direction, no such layers, or no such strengths.
        ImportError: A film is asked for, but imageio is missing.
    """
    strengths = parse_strengths(str(job.strengths))
    if job.video:
        check_video(f"film.{job.video}")
        if len(strengths) < 2:
            raise ValueError("a film needs two strengths or more, got one")
    also = {}
    for text in job.also:
        name, _, strength = text.partition("=")
        try:
            [amount] = parse_strengths(strength)
        except ValueError:
            raise ValueError(f"also: expected edits such as yaw=-1, got '{text}'") from None
        also[find_direction(model, name)] = amount
    direction, text = None, None
    if job.direction is not None:
        direction = find_direction(model, job.direction)
    elif job.text is not None:
        text = TextEdit(job.text, job.neutral, job.text_method, job.threshold, job.mapper)
        network: Any = registry.load_text(job.text_network)
        model.text_editor.network = network.to(model.device)
        model.text_editor.prepare(text)
    num_ws = len(model.start_ws)
    layers = layer_numbers(job.layers, num_ws) if job.layers else None
    return Plan(direction, text, strengths, also, layers, job.video)


def find_direction(model: ReStyle, which: str) -> Direction:
    """Find a direction by name or file; what is doubtful about it is a warning.

    Raises:
        DirectionError: There is none, or it does not fit the model.
    """
    published = Path(which).suffix in PUBLISHED
    return model.editor.direction(importers.read_direction(which) if published else which)


@torch.no_grad()
def save_edits(
    model: ReStyle, subject: Subject, plan: Plan, name: str, manifest: Manifest
) -> dict[str, str]:
    """Write what the edits of one subject look like.

    Returns:
        The paths, relative to the output folder.
    """
    out, stem = manifest.out, f"{name}.{plan.name}"
    outputs = {"strip": f"strips/{stem}.png", "latents": f"latents/{stem}.safetensors"}
    direction = plan.moves(model, subject.codes[-1:].to(model.device))
    codes = edited(model, subject, plan, direction, plan.strengths)
    images = list(renders(model, codes))
    for strength, image in zip(plan.strengths, images, strict=True):
        outputs[f"image {strength:+g}"] = path = f"images/{stem}{strength:+g}.png"
        save_image(image, out / path)
    pictures, labels = list(images), [plan.label(strength) for strength in plan.strengths]
    if 0 not in plan.strengths or plan.also:
        pictures.insert(0, model.generate(subject.codes[-1:].to(model.device))[0].cpu())
        labels.insert(0, "before")
    if subject.photo:
        height, width = images[0].shape[-2:]
        pictures.insert(0, resized(subject.photo.target[None], (height, width))[0])
        labels.insert(0, "target")
    save_image(strip(pictures, labels), out / outputs["strip"])
    if codes.ndim == 2:  # styles have no codes: what is kept cannot be edited further
        del outputs["latents"]
        outputs["styles"] = f"styles/{stem}.safetensors"
        save_styles(codes, manifest.settings, out / outputs["styles"])
    else:
        save_latents(codes, manifest.settings, out / outputs["latents"])
    if plan.video:
        outputs["video"] = f"videos/{stem}.{plan.video}"
        path = there_and_back(plan.strengths[0], plan.strengths[-1])
        frames = renders(model, edited(model, subject, plan, direction, path))
        save_video(frames, out / outputs["video"])
    return outputs


def edited(
    model: ReStyle,
    subject: Subject,
    plan: Plan,
    direction: Direction,
    strengths: Sequence[float],
) -> Tensor:
    """Return the subject's last codes at several strengths, (N, num_ws, D), or styles (N, S)."""
    ws = subject.codes[-1:].to(model.device).expand(len(strengths), -1, -1)
    moves: dict[Direction, Any] = dict(plan.also)
    amounts = torch.tensor(strengths, device=ws.device)
    moves[direction] = amounts + moves.get(direction, 0)
    return model.editor.edit(ws, moves, layers=plan.layers).moved


def renders(model: ReStyle, codes: Tensor) -> Iterator[Tensor]:
    """Yield pictures (3, H, W) of codes (N, num_ws, D) or styles (N, S), a few in memory."""
    for batch in codes.split(_BATCH):
        batch, in_styles = batch.to(model.device), codes.ndim == 2
        with torch.no_grad():
            images = model.generate(styles=batch) if in_styles else model.generate(batch)
            images = images.cpu()
        yield from images


def mix(job: Mix) -> None:
    """Write a strip of two people and what they give each other.

    Raises:
        ValueError: One of them cannot be used, or the strip is there already.
        OSError: The strip cannot be written.
    """
    check_new(job.out, job.inputs, job.overwrite)
    model = registry.load(job.model, job.device, job.dtype)
    first, second = (person.codes[-1:] for person in people(model, job))
    groups = [name for name, (start, _) in GROUPS.items() if start < first.shape[1]]
    mixtures = [mix_layers(first, second, group) for group in groups]
    labels = ["first", *(f"{group} of second" for group in groups), "second"]
    images = list(renders(model, torch.cat([first, *mixtures, second])))
    save_image(strip(images, labels), job.out)


def animate(job: Animate) -> None:
    """Write a film of an inversion, or of the way between people.

    Raises:
        ValueError: One of them cannot be used, or is a single sample; the film is there already.
        ImportError: imageio is missing.
        OSError: The film cannot be written.
    """
    check_video(job.out)
    check_new(job.out, job.inputs, job.overwrite)
    remove_temporaries(job.out.parent, job.out.name)
    model = registry.load(job.model, job.device, job.dtype)
    found = people(model, job)
    stops = found[0].codes if len(found) == 1 else torch.cat([p.codes[-1:] for p in found])
    if len(stops) < 2:
        raise ValueError("expected a photograph or several inputs, got one sample")
    ws = between(list(stops), job.frames)
    save_video(tqdm(renders(model, ws), total=len(ws), unit="frame", disable=None), job.out)


def people(model: ReStyle, job: Mix | Animate) -> list[Subject]:
    """Return the codes of photographs (inverted), latents files and samples, in this order.

    Raises:
        ValueError: One of them cannot be used.
    """
    files = [Path(path) for path in job.inputs]
    steps = checked_steps(model, job.steps, files)
    subjects = inverted(model, [found_in(path, model, job) for path in files], steps)
    check, summary = DomainCheck(model), Summary()
    for path, subject in zip(files, subjects, strict=True):
        if subject.photo:
            oddities(path, subject.photo, check, subject.error, summary)
    if summary.stretched:
        print(f"restyle: {STRETCHED.format(summary.stretched)}", file=sys.stderr)
    samples = [Subject(model.sample(1, seed, job.truncation).ws.cpu()) for seed in job.seed]
    return subjects + samples
