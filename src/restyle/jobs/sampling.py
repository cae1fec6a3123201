"""`restyle sample`: a generator in, its own pictures and their latent codes out."""

import math
from collections.abc import Sequence

from PIL import Image
from tqdm import tqdm

from restyle.editing.latents import save_latents
from restyle.hub import registry
from restyle.io.images import grid, save_image, to_pil
from restyle.jobs.editing import renders
from restyle.jobs.inversion import model_facts
from restyle.jobs.manifest import Manifest, Summary, find_inputs
from restyle.jobs.settings import Sample

FOLDERS = ("images", "latents", "grids")
_SHOWN, _CELL = 64, 256  # pictures in a grid, and their largest side in pixels


def sample(job: Sample) -> Summary:
    """Write pictures of a generator, their codes, and a grid of the first 64.

    Raises:
        ValueError: There is no such generator or device, or the folder holds files of others.
        OSError: A result cannot be written.
    """
    find_inputs([], job.out, FOLDERS)
    model = registry.load(job.generator, job.device, job.dtype)
    manifest = Manifest(job.out, {**model_facts(model), "truncation": job.truncation})
    shown: list[Image.Image] = []
    with manifest.held():
        ws = model.generator.sample_ws(job.n, job.seed, job.truncation)
        images = tqdm(renders(model, ws), total=job.n, unit="image", disable=None)
        for seed, (code, image) in enumerate(zip(ws, images, strict=True), start=job.seed):
            picture = to_pil(image)
            outputs = {
                "image": f"images/seed{seed}.png",
                "latents": f"latents/seed{seed}.safetensors",
            }
            save_image(picture, job.out / outputs["image"])
            save_latents(code[None], manifest.settings, job.out / outputs["latents"])
            manifest.add_samples([seed], outputs)
            if len(shown) < _SHOWN:
                picture.thumbnail((_CELL, _CELL))
                shown.append(picture)
        seeds = range(job.seed, job.seed + len(shown))
        sheet = {"grid": f"grids/seed{seeds[0]}-{seeds[-1]}.png"}
        save_image(_square(shown), job.out / sheet["grid"])
        manifest.add_samples(seeds, sheet)
    return Summary(done=job.n)


def _square(pictures: Sequence[Image.Image]) -> Image.Image:
    return grid(pictures, columns=math.ceil(math.sqrt(len(pictures))))
