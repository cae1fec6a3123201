"""Trainings by name: those of the papers, and those of the bundled portraits models.

The papers' runs are counted in steps of eight images. What ReStyle's authors report for pSp:
faces 110,000 steps, cars 75,000, wild animals 40,000, churches 150,000.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from restyle.training.config import (
    EncoderTraining,
    FeatureTraining,
    GeneratorTraining,
)
from restyle.training.options import with_options
from restyle.training.text_config import MapperTraining, OnePassTraining, TextTraining

FEATURES = {
    "train": FeatureTraining(
        export=Path("src/restyle/weights/portraits-features"), size=128, batch=128, images=320_000
    ),
}
FEATURES["judge"] = replace(
    FEATURES["train"],
    out=Path("runs/features-judge"),
    export=Path("src/restyle/weights/portraits-judge"),
    widths=(24, 40, 64, 96, 96),
    hidden=224,
    embedding=128,
    seed=2,
)
# What is said in words is seen in a picture of 64 px.
FEATURES["text"] = FeatureTraining(
    out=Path("runs/features-text"), export=Path("runs/features-text/network")
)
"""What ships: one to train with, one that judges what was so trained, and the text's trunk."""

TEXT = {"portraits": TextTraining(export=Path("src/restyle/weights/portraits-text"))}
"""The text-image network that ships."""

MAPPERS = {"mapper": MapperTraining()}
"""The one training of mappers, without its text."""

ONE_PASS = {"portraits": OnePassTraining(export=Path("src/restyle/weights/portraits-one-pass"))}
"""The network of text edits in one pass that ships."""

# What is in the pictures is learned from their attributes at half the size.
_PORTRAITS_64 = GeneratorTraining(
    out=Path("runs/generator-portraits-64"),
    channels=(192, 192, 160, 128, 80),
    mapping_layers=4,
    images=480_000,
    supervised_images=480_000,
    supervised_weight=10.0,
    supervised_pyramid=1.0,
    batch=64,
    lr=1e-3,
    discriminator_lr=2e-3,
    discriminator_warmup=2_000,
    r1_gamma=0.1,
    discriminator_channels=(192, 160, 96, 56, 32),
    detail=16.0,
    feature_network="portraits-features",
    snapshot_images=200_000,
)
# Here the finest octave, then sharpness, from discriminators.
_PORTRAITS_128 = replace(
    _PORTRAITS_64,
    out=Path("runs/generator-portraits-128"),
    size=128,
    channels=(192, 192, 160, 128, 80, 40),
    discriminator_channels=(192, 160, 128, 96, 56, 32),
    grow_from=_PORTRAITS_64.out,
    fresh_discriminator=True,  # that of 64 px has learned nothing under supervision alone
    images=700_000,
    supervised_images=300_000,
    supervised_lr=2e-3,
    batch=32,
    fade_images=10_000,
    ema_images=10_000,
)
_PORTRAITS_GENERATOR = replace(
    _PORTRAITS_128,
    out=Path("runs/generator-portraits"),
    grow_from=None,
    initial=_PORTRAITS_128.out / "generator",
    images=195_000,
    supervised_images=195_000,
    rebuild_mapping=True,
    optimiser="muon",
    supervised_lr=5e-3,
    lr=1e-4,
    ema_images=2_000,
)
GENERATORS = {
    # The official widths, at any size.
    "stylegan2": GeneratorTraining(channels=(), z_dim=512, w_dim=512, mapping_layers=8, noise=True),
    "portraits-64": _PORTRAITS_64,
    "portraits-128": _PORTRAITS_128,
    "portraits": _PORTRAITS_GENERATOR,
    "portraits-toon": replace(
        _PORTRAITS_GENERATOR,
        out=Path("runs/generator-portraits-toon"),
        style="toon",
        initial=Path("portraits"),
        rebuild_mapping=False,
        images=50_000,
        supervised_images=50_000,
    ),
}
"""Every generator training that has a name, the default first."""

_PAPER = with_options(
    EncoderTraining(),
    batch=8,
    warmup_images=0,
    rollout=0.0,
    optimiser="ranger",
    lr=1e-4,
    decay=0.0,
    perceptual_network="lpips-alex",
    flip=True,
    validation_images=0,
    precision="float32",
)
_FACES = with_options(
    _PAPER,
    generator="stylegan2-ffhq",
    domain="faces",
    encoder="faces",
    initial="ir-se50",
    identity_network="ir-se50",
    images=8 * 110_000,
)
_OTHERS = with_options(_PAPER, initial="resnet34", identity=0.0, moco=0.5)
_KINDS = {  # generator, domain, encoder, steps
    "cars": ("car", "cars", "cars", 75_000),
    "churches": ("church", "churches", "resnet", 150_000),
    "horses": ("horse", "horses", "resnet", 75_000),
    "wild": ("afhq-wild", "wild animals", "resnet", 40_000),
}
_PSP = {"faces": _FACES} | {
    name: with_options(
        _OTHERS, generator=f"stylegan2-{made}", domain=shown, encoder=size, images=8 * steps
    )
    for name, (made, shown, size, steps) in _KINDS.items()
}
_TOON: dict[str, Any] = {"domain": "toon", "perceptual": 0.8, "identity": 1.0, "w_norm": 0.025}
_E4E = {"head": "e4e", "delta_norm": 2e-4, "adversarial": 0.1}
# They begin as what reads attributes. The codes of drawings are known exactly, and go on teaching
# beside the images.
_PORTRAITS = with_options(
    EncoderTraining(),
    initial="portraits-features",
    batch=8,
    steps=1,
    rollout=0.65,
    validation_steps=5,
    validation_images=128,
    freeze_norms=True,
    warmup_drawings=True,
    warmup_images=16_000,
    images=1_000,
    distillation=0.3,
    optimiser="muon",
    lr=1.5e-4,
    decay=0.7,
)
# Drawings have one code for all layers: deltas are for images.
_PORTRAITS_E4E = with_options(_PORTRAITS, **_E4E, progressive_start=2_000, progressive_interval=5)
# As many passes of encoder and generator, where images take one step.
_SINGLE_SHOT: dict[str, Any] = {"single_shot": True, "warmup_images": 30_000, "images": 2_800}

_NAMED = {
    "portraits": _PORTRAITS,
    "portraits-e4e": _PORTRAITS_E4E,
    "portraits-single-shot": with_options(_PORTRAITS, **_SINGLE_SHOT),
    "portraits-single-shot-e4e": with_options(
        _PORTRAITS_E4E, **_SINGLE_SHOT, progressive_start=3_750
    ),
    # ReStyle's own encoder, of six channels, in as many passes.
    "portraits-plain": with_options(
        _PORTRAITS,
        encoder="portraits-plain",
        initial="",
        freeze_norms=False,
        lr=1.5e-3,
    ),
    # A photograph and its toon have one code, as the generators have one mapping network.
    "portraits-toon": with_options(
        _PORTRAITS,
        generator="portraits-toon",
        initial="portraits",
        domain="toon",
        warmup_images=8_000,
        images=8,  # the least: a toon is not to look like its photograph
    ),
    **_PSP,
    **{
        f"{name}-e4e": with_options(preset, **_E4E, progressive_interval=2_000)
        for name, preset in _PSP.items()
    },
    "toon": with_options(_FACES, **_TOON, generator="stylegan2-toonify"),
}
STUDENTS = {
    "portraits-fast": with_options(
        _PORTRAITS,
        out=Path("runs/student-portraits-fast"),
        single_shot=True,
        initial="portraits-single-shot",
        warmup_images=0,
        warmup_drawings=False,
        distillation=1.0,
        teacher="restyle:2+newton:1",
        taught_images=2_048,
        untaught_images=10_240,
        images=12_288,
        batch=16,
    ),
}
"""Encoders that learn from images and from a teacher's codes, the default first."""

ENCODERS = {n: replace(p, out=Path("runs") / f"encoder-{n}") for n, p in _NAMED.items()}
"""Every encoder training that has a name, the default first."""
