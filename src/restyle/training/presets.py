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

# Larger batches: on a GPU a step costs the same for 32 images and for 128.
for _name, _run in (("train", Path("runs/features-128")), ("judge", Path("runs/judge-128"))):
    _export = _run / "network"
    FEATURES[f"{_name}-128"] = replace(
        FEATURES[_name], out=_run, export=_export, size=128, batch=128, images=320_000
    )

TEXT = {"portraits": TextTraining(export=Path("src/restyle/weights/portraits-text"))}
"""The text-image network that ships."""

MAPPERS = {"mapper": MapperTraining()}
"""The one training of mappers, without its text."""

ONE_PASS = {"portraits": OnePassTraining(export=Path("src/restyle/weights/portraits-one-pass"))}
"""The network of text edits in one pass that ships."""

_PORTRAITS_GENERATOR = GeneratorTraining(
    out=Path("runs/generator-portraits"),
    mapping_layers=4,
    images=118_000,
    # What is in the pictures is learned from their attributes, sharpness from discriminators.
    supervised_images=100_000,
    supervised_weight=10.0,
    lr=1e-3,
    discriminator_lr=2e-3,
    discriminator_warmup=2_000,
    r1_gamma=0.1,
    discriminator_channels=(192, 160, 96, 56, 32),
    detail=16.0,
    feature_network="portraits-features",
)
_PORTRAITS_64 = replace(
    _PORTRAITS_GENERATOR,
    out=Path("runs/generator-64"),
    channels=(192, 192, 160, 128, 80),
    images=480_000,
    supervised_images=480_000,
    supervised_pyramid=1.0,
    batch=64,
    snapshot_images=200_000,
)
_PORTRAITS_128 = replace(
    _PORTRAITS_64,
    out=Path("runs/generator-128"),
    size=128,
    channels=(192, 192, 160, 128, 80, 40),
    discriminator_channels=(192, 160, 128, 96, 56, 32),
    grow_from=Path("runs/generator-64"),
    fresh_discriminator=True,  # that of 64 px has learned nothing under supervision alone
    # What is in the pictures has been learned at 64 px: here the finest octave, then sharpness.
    images=700_000,
    supervised_images=300_000,
    supervised_lr=2e-3,
    batch=32,
    fade_images=10_000,
    ema_images=10_000,
    feature_network="runs/features-128/network",
)
_MAPPING: dict[str, Any] = {
    "freeze_synthesis": True,
    "images": 40_000,
    "supervised_images": 40_000,
    "supervised_lr": 0.3,
    "supervised_features": 1.0,
}
_FURTHER = replace(
    _PORTRAITS_128,
    out=Path("runs/generator-128-further"),
    grow_from=None,
    initial=Path("runs/generator-128-mapping/generator"),
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
    "portraits": _PORTRAITS_GENERATOR,
    "portraits-mapping": replace(
        _PORTRAITS_GENERATOR,
        out=Path("runs/generator-portraits-mapping"),
        initial=Path("runs/generator-portraits/generator"),
        **_MAPPING,
    ),
    "portraits-64": _PORTRAITS_64,
    "portraits-128": _PORTRAITS_128,
    "portraits-128-mapping": replace(
        _PORTRAITS_128,
        out=Path("runs/generator-128-mapping"),
        grow_from=None,
        initial=Path("runs/generator-128/generator"),
        supervised_pyramid=0.0,
        batch=64,
        **_MAPPING,
    ),
    "portraits-128-further": _FURTHER,
    "portraits-128-toon": replace(
        _FURTHER,
        out=Path("runs/generator-128-toon"),
        style="toon",
        initial=_FURTHER.out / "generator",
        rebuild_mapping=False,
        images=50_000,
        supervised_images=50_000,
    ),
    "portraits-toon": replace(
        _PORTRAITS_GENERATOR,
        out=Path("runs/generator-portraits-toon"),
        style="toon",
        initial=Path("portraits"),
        images=24_000,
        supervised_images=24_000,
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
_PORTRAITS = with_options(
    EncoderTraining(),
    # Few steps an update, and small batches: on two cores there is no time for few and large ones.
    batch=8,
    steps=1,
    rollout=0.65,
    validation_steps=5,
    validation_images=128,
    warmup_images=6_000,
    images=56_000,
    decay=1.0,
)
_PORTRAITS_E4E = with_options(_PORTRAITS, **_E4E, progressive_start=750, progressive_interval=100)
_PORTRAITS_TOON = with_options(_PORTRAITS, **_TOON, warmup_images=0, images=8_000)

_NETWORKS_128: dict[str, Any] = {
    "generator": "runs/generator-128-further/generator",
    "encoder": "portraits-128",
    "perceptual_network": "runs/features-128/network",
    "identity_network": "runs/features-128/network",
}
# Encoders that begin as what reads attributes. The codes of drawings are known exactly, and go on
# teaching beside the images.
_AT_128: dict[str, Any] = {
    **_NETWORKS_128,
    "initial": "runs/features-128/network",
    "freeze_norms": True,
    "warmup_drawings": True,
    "warmup_images": 16_000,
    "images": 1_000,
    "distillation": 0.3,
    "optimiser": "muon",
    "lr": 1.5e-4,
    "decay": 0.7,
}
# Drawings have one code for all layers: deltas are for images.
_E4E_AT_128 = {**_AT_128, "progressive_start": 2_000, "progressive_interval": 5}
# As many passes of encoder and generator, where images take one step.
_SINGLE_SHOT_AT_128 = {"single_shot": True, "warmup_images": 30_000, "images": 2_800}

# What a single-shot encoder has learned is most of the first step. What is to be learned are the
# next ones, and that nothing is left to do at the target.
_SECOND: dict[str, Any] = {
    "warmup_images": 0,
    "images": 36_000,
    "steps": 3,
    "rollout": 0.65,
    "fixed_point": 10.0,
}

# One change at a time, from the same weights, with batch norms that use the statistics of use.
_ABLATION = with_options(
    _PORTRAITS,
    initial="portraits-single-shot",
    skip=120_000,
    warmup_images=0,
    images=10_000,
    batch=16,
    steps=3,
    rollout=0.4,
    freeze_norms=True,
    lr=5e-4,
    w_norm=2e-4,
)

_NAMED = {
    "portraits": with_options(_PORTRAITS, initial="portraits-single-shot", w_norm=5e-4, **_SECOND),
    "portraits-e4e": with_options(
        _PORTRAITS_E4E,
        initial="portraits-single-shot-e4e",
        progressive_interval=0,
        **_SECOND,
    ),
    "portraits-single-shot": with_options(_PORTRAITS, single_shot=True),
    "portraits-single-shot-e4e": with_options(_PORTRAITS_E4E, single_shot=True),
    "portraits-128": with_options(_PORTRAITS, **_AT_128),
    "portraits-128-e4e": with_options(_PORTRAITS_E4E, **_E4E_AT_128),
    "portraits-128-single-shot": with_options(_PORTRAITS, **{**_AT_128, **_SINGLE_SHOT_AT_128}),
    "portraits-128-single-shot-e4e": with_options(
        _PORTRAITS_E4E, **{**_E4E_AT_128, **_SINGLE_SHOT_AT_128, "progressive_start": 3_750}
    ),
    # Ablations: equal passes of encoder and generator in training. That of ReStyle's own encoder is
    # "portraits", which begins as they do.
    "portraits-64-single-shot": with_options(_ABLATION, single_shot=True, steps=1, images=30_000),
    "portraits-64-codes": with_options(_ABLATION, encoder="portraits-codes"),
    "portraits-64-shared-trunk": with_options(_ABLATION, encoder="portraits-shared-trunk"),
    "portraits-64-attending": with_options(_ABLATION, encoder="portraits-attending"),
    "portraits-64-recurrent": with_options(_ABLATION, encoder="portraits-recurrent"),
    "portraits-toon": with_options(
        _PORTRAITS_TOON, generator="portraits-toon", initial="portraits"
    ),
    # A photograph and its toon have one code, as the generators have one mapping network.
    "portraits-128-toon": with_options(
        _PORTRAITS,
        **_AT_128
        | {
            "generator": "runs/generator-128-toon/generator",
            "initial": "runs/encoder-portraits-128/model",
            "domain": "toon",
            "images": 8,  # the least: a toon is not to look like its photograph
        },
    ),
    **_PSP,
    **{
        f"{name}-e4e": with_options(preset, **_E4E, progressive_interval=2_000)
        for name, preset in _PSP.items()
    },
    "toon": with_options(_FACES, **_TOON, generator="stylegan2-toonify"),
}
_STUDENT = with_options(
    _PORTRAITS,
    single_shot=True,
    initial="portraits-single-shot",
    warmup_images=0,
    distillation=1.0,
)
_FAST = with_options(
    _STUDENT,
    out=Path("runs/student-portraits-fast"),
    teacher="restyle:2+newton:1",
    taught_images=2_048,
    untaught_images=10_240,
    images=12_288,
    batch=16,
    freeze_norms=True,
    lr=2e-4,
    w_norm=2e-4,
)
STUDENTS = {
    "portraits-fast": _FAST,
    "portraits-64-two-pass": with_options(
        _FAST,
        out=Path("runs/student-portraits-64-two-pass"),
        encoder="portraits-recurrent",
        single_shot=False,
        initial="portraits-fast",
        skip=150_000,
        taught_images=1_024,
        untaught_images=8_976,
        images=10_000,
        steps=2,
        rollout=0.0,
        validation_steps=2,
        lr=3e-4,
    ),
    "portraits-128-fast": with_options(
        _STUDENT,
        out=Path("runs/student-portraits-128-fast"),
        **_NETWORKS_128,
        initial="runs/encoder-portraits-128-single-shot/model",
        teacher_model="runs/encoder-portraits-128/model",
    ),
}
"""Encoders that learn from images and from a teacher's codes, the default first."""

ENCODERS = {n: replace(p, out=Path("runs") / f"encoder-{n}") for n, p in _NAMED.items()}
"""Every encoder training that has a name, the default first."""
