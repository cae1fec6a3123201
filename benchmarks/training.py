"""What the trainer of encoders costs beside the bare passes through the networks.

A training step is timed against its passes alone, on a batch that is already in memory: encoder,
synthesis and losses forward, and backward through all of them. Both are measured in turn, so that a
machine that gets busy slows both down, with as many steps of every image; the sums over all rounds
are compared, as rounds differ in those.

    python benchmarks/training.py --preset portraits
    python benchmarks/training.py --preset portraits-e4e --batch 16 --rounds 20

The trainer's own share holds whatever is not a pass: reading or drawing images, averaging
gradients, the optimiser, counting and writing. The optimiser's part of
it is printed by itself.
"""

import argparse
import time
from functools import partial

import torch

from restyle.io.images import from_uint8
from restyle.training.data import draw, open_source
from restyle.training.encoder import build_trainer
from restyle.training.options import with_options
from restyle.training.presets import ENCODERS


def seconds(work) -> float:
    """How long it takes."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    begun = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--preset", default="portraits", choices=list(ENCODERS))
    parser.add_argument("--generator", help="the preset's, if not given")
    parser.add_argument("--batch", type=int, help="the preset's, if not given")
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    changes = {"generator": given.generator, "batch": given.batch, "processes": 1}
    preset = ENCODERS[given.preset]
    config = with_options(preset, **{k: v for k, v in changes.items() if v is not None})
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trainer = build_trainer(config, device)
    source = open_source(
        config.data.data, trainer.encoder.config.input_size, config.data.style, "train"
    )
    position = 0

    def step(depths: list[int]) -> None:
        nonlocal position
        positions = range(position, position + config.loop.batch)
        images = from_uint8(draw(source, positions, config.seed, config.data.flip)).to(device)
        trainer.train_batch(images[:, :3], images[:, -3:], depths)
        position += config.loop.batch

    images = from_uint8(draw(source, range(config.loop.batch))).to(device)[:, :3]

    def passes(depths: list[int]) -> None:
        for _ in trainer.learn(images, images, depths):
            pass

    step([trainer.steps] * config.loop.batch)
    passes([trainer.steps] * config.loop.batch)
    whole, bare, updates, learned = [], [], [], 0
    for _ in range(given.rounds):
        # As after the warm-up: images go on as often as they ever do.
        depths = trainer.depths_of(config.data.warmup_images + position, config.loop.batch)
        whole.append(seconds(partial(step, depths)))
        bare.append(seconds(partial(passes, depths)))
        updates.append(seconds(trainer.optimiser.step))
        trainer.optimiser.zero_grad()
        learned += sum(depths)
    print(f"{given.preset}, batch {config.loop.batch}, {config.precision}, {device.type}:")
    print(f"  training step   {learned / sum(whole):8.1f} images x steps a second")
    print(f"  bare passes     {learned / sum(bare):8.1f}")
    print(f"  trainer adds    {100 * (sum(whole) / sum(bare) - 1):8.1f} %")
    print(f"    optimiser     {100 * sum(updates) / sum(bare):8.1f} %")


if __name__ == "__main__":
    main()
