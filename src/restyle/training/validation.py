"""Measuring an encoder in training on images that it is not trained on."""

import torch
import torch.nn.functional as F
from PIL import Image

from restyle.inversion.domain_check import LARGEST, errors
from restyle.io.images import strip
from restyle.losses.pixels import l2
from restyle.model import InversionResult
from restyle.refine import pool_to
from restyle.training.data import Source, load
from restyle.training.encoder_trainer import EncoderTrainer
from restyle.training.parallel import gather

STRIPS = 8


@torch.no_grad()
def validate(
    trainer: EncoderTrainer, source: Source, rank: int = 0, processes: int = 1
) -> tuple[dict[str, float], list[Image.Image]]:
    """Measure an encoder on a source, each image once, whatever the batch size; all processes.

    Args:
        trainer: What is measured; the losses of codes do not count, as they compare with no target.
        source: Images, or pairs.
        rank: Number of this process.
        processes: How many share the images.

    Returns:
        `val_loss`, its parts after the last step, and the squared error after each step, means over
        all images, with the largest squared error of an image after the last one; and strips of
        target and steps of some images.
    """
    config, model = trainer.config, trainer.model()
    count = min(config.data.validation_images or len(source), len(source))
    batch = max(1, config.loop.batch // processes)
    names = ["val_loss", *(f"val_{n}" for n in config.losses.weights if n in IMAGE_LOSSES)]
    names += [f"val_mse_{step + 1}" for step in range(trainer.validation_steps)]
    sums, largest = dict.fromkeys(names, 0.0), 0.0
    strips: list[Image.Image] = []
    for first in range(rank * batch, count, processes * batch):
        images = load(source, range(first, min(count, first + batch))).to(trainer.device)
        result = model.invert(images[:, :3], trainer.validation_steps, batch_size=len(images))
        for name, value in _measured(trainer, result, images[:, -3:]).items():
            sums[name] += value * len(images)
        largest = max(largest, *errors(images[:, -3:], result.image))
        if not strips:
            strips = [_strip(one) for one in result.split()[:STRIPS]]
    shares = gather((sums, largest))
    numbers = {name: sum(share[name] for share, _ in shares) / count for name in names}
    return {**numbers, LARGEST: max(most for _, most in shares)}, strips


IMAGE_LOSSES = ("l2", "perceptual", "identity", "moco")


def _measured(
    trainer: EncoderTrainer, result: InversionResult, target: torch.Tensor
) -> dict[str, float]:
    """Means over a batch."""
    objective, images = trainer.objective, [pool_to(e.image, target) for e in result.steps[1:]]
    with trainer.autocast():
        wanted = objective.extract(target)
        losses = objective.losses(images[-1], result.ws, wanted, trainer.encoder.stage)
    weights = {name: w for name, w in objective.weights.items() if name in IMAGE_LOSSES}
    found = {f"val_{name}": float(losses[name]) for name in weights}
    found["val_loss"] = sum(weight * found[f"val_{name}"] for name, weight in weights.items())
    for step, image in enumerate(images):
        found[f"val_mse_{step + 1}"] = float(l2(image, target).mean())
    return found


def _strip(result: InversionResult) -> Image.Image:
    size = result.steps[0].image.shape[-2:]
    target = F.interpolate(result.target, size, mode="nearest")
    labels = ["target", "average", *(f"step {step + 1}" for step in range(len(result.steps) - 1))]
    return strip([target[0], *(e.image[0] for e in result.steps)], labels)
