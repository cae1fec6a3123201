"""What is trained, and how: frozen records, free of torch, that the command line derives from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


def as_record(config: Any) -> dict[str, Any]:
    """The fields of a configuration as JSON keeps them: paths as text, tuples as lists."""
    return json.loads(json.dumps(asdict(config), default=str))


@dataclass(frozen=True)
class GeneratorTraining:
    """How a StyleGAN2 generator is trained.

    Attributes:
        out: The run folder; repeating the command resumes it.
        data: "portraits", or a folder of images.
        size: Height and width of the images in pixels.
        style: How portraits are drawn: photo or toon.
        images: Images of the data to train on, over all processes.
        batch: Images in a step, over all processes.
        channels: Feature maps at 4, 8, 16, ... pixels, of both networks; empty: the official ones.
        z_dim: Width of the mapping network's input.
        w_dim: Width of a latent code.
        mapping_layers: Depth of the mapping network.
        lr: Adam's learning rate.
        r1_gamma: Weight of the R1 penalty.
        r1_interval: Steps from one R1 penalty to the next.
        path_length_weight: Weight of the path length regularisation; 0 switches it off.
        noise: Give the layers noise inputs. Drawings have no random detail for them to explain.
        flip: Mirror half of the images of a folder.
        ema_images: Half-life of the averaged generator, in images.
        grow_from: Run folder of a generator of half the size to grow from.
        fade_images: Images over which a grown network's new resolution is faded in.
        precision: bf16 (autocast) or float32.
        snapshot_images: Images from one kept half-precision snapshot of the generator to the next.
        processes: Processes on this machine, data parallel.
        device: auto, cpu or cuda.
        seed: Seed of everything random.
        checkpoint_minutes: Minutes from one checkpoint to the next.
    """

    out: Path = Path("runs/generator")
    data: str = "portraits"
    size: int = 64
    style: str = "photo"
    images: int = 500_000
    batch: int = 16
    channels: tuple[int, ...] = (192, 192, 160, 112, 64)
    z_dim: int = 128
    w_dim: int = 128
    mapping_layers: int = 6
    lr: float = 2e-3
    r1_gamma: float = 1.0
    r1_interval: int = 16
    path_length_weight: float = 0.0
    noise: bool = False
    flip: bool = False
    ema_images: float = 5_000
    grow_from: Path | None = None
    fade_images: int = 20_000
    precision: str = "bf16"
    snapshot_images: int = 18_000
    processes: int = 1
    device: str = "auto"
    seed: int = 0
    checkpoint_minutes: float = 5.0


@dataclass(frozen=True)
class FeatureTraining:
    """How a feature network for portraits is trained.

    Attributes:
        out: The run folder; repeating the command resumes it.
        export: Folder for the finished network and its card; None for no export.
        images: Images to train on, over all processes.
        batch: Images in a step, over all processes: two views of half as many persons.
        fresh: Share of a batch that is drawn anew; the rest was drawn some steps before.
        pool: Persons that are kept for that in memory, per process.
        size: Height and width of the images in pixels.
        widths: Channels from full resolution down to a sixteenth.
        hidden: Width of the layer behind the convolutions.
        embedding: Length of the identity embedding.
        lr: AdamW's largest learning rate.
        processes: Processes on this machine, data parallel.
        device: auto, cpu or cuda.
        seed: Seed of everything random.
        checkpoint_minutes: Minutes from one checkpoint to the next.
    """

    out: Path = Path("runs/features-train")
    export: Path | None = None
    images: int = 200_000
    batch: int = 32
    fresh: float = 0.25
    pool: int = 16_384
    size: int = 64
    widths: tuple[int, int, int, int, int] = (16, 32, 64, 96, 96)
    hidden: int = 192
    embedding: int = 96
    lr: float = 2e-3
    processes: int = 1
    device: str = "auto"
    seed: int = 1
    checkpoint_minutes: float = 5.0


FEATURES = {
    "train": FeatureTraining(export=Path("src/restyle/weights/portraits-features")),
    "judge": FeatureTraining(
        out=Path("runs/features-judge"),
        export=Path("src/restyle/weights/portraits-judge"),
        widths=(24, 40, 64, 96, 96),
        hidden=224,
        embedding=128,
        seed=2,
    ),
}
"""The two networks that ship: one to train with, and one that judges what was trained with it."""


@dataclass(frozen=True)
class EncoderTraining:
    """How an encoder is trained to invert a generator.

    Attributes:
        generator: Folder, bundled name or checkpoint file of the generator to invert.
        out: The run folder; repeating the command resumes it.
        data: "portraits", or a folder of images.
        preset: The encoder's size: portraits or portraits-128.
        domain: What the images show: portraits, toon, faces, cars, churches, horses, wild animals.
        style: How portraits are drawn: photo or toon.
        images: Images of the data to train on, over all processes.
        warmup_images: Samples of the generator, with known codes, to train on before.
        batch: Images in a step, over all processes.
        steps: Refinement steps on each batch.
        continuation: Share of the batches that go on where the last one stopped, with the same
            targets, so that more steps than `steps` are seen.
        lr: Adam's learning rate.
        decay: Share of the images, at the end, over which the learning rate falls to zero.
        l2: Weight of the mean squared error.
        perceptual: Weight of the perceptual distance.
        identity: Weight of the identity distance.
        features: Network for the perceptual and the identity distance, a bundled name or a folder.
        single_shot: Train an encoder that sees the target alone and takes one step.
        head: psp (each code on its own) or e4e (one code and deltas).
        flip: Mirror half of the images of a folder.
        validation_images: Images that the encoder is validated on.
        precision: bf16 (autocast) or float32.
        processes: Processes on this machine, data parallel.
        device: auto, cpu or cuda.
        seed: Seed of everything random.
        checkpoint_minutes: Minutes from one checkpoint to the next.
    """

    generator: str = "portraits"
    out: Path = Path("runs/encoder")
    data: str = "portraits"
    preset: str = "portraits"
    domain: str = "portraits"
    style: str = "photo"
    images: int = 60_000
    warmup_images: int = 60_000
    batch: int = 16
    steps: int = 5
    continuation: float = 0.3
    lr: float = 1e-3
    decay: float = 0.4
    l2: float = 1.0
    perceptual: float = 0.8
    identity: float = 0.1
    features: str = "portraits-features"
    single_shot: bool = False
    head: str = "psp"
    flip: bool = False
    validation_images: int = 512
    precision: str = "bf16"
    processes: int = 1
    device: str = "auto"
    seed: int = 0
    checkpoint_minutes: float = 5.0
