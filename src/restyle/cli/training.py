"""`restyle train`: a command for each network, whose options change a preset."""

import sys
from collections.abc import Mapping
from typing import Any

from cyclopts import App

from restyle.cli.derive import Command, Run, add_command, function
from restyle.training.options import flat
from restyle.training.presets import (
    ENCODERS,
    FEATURES,
    GENERATORS,
    MAPPERS,
    ONE_PASS,
    STUDENTS,
    TEXT,
)

app = App(name="train", help="Train networks. A run is resumed by repeating its command.")


def training(place: str, description: str = "") -> Run:
    """Return what trains from a configuration, in as many processes as it says.

    Args:
        place: Of the trainer, as `module:function`.
        description: Of the function that describes a training instead.
    """

    def run(config: Any, dry_run: bool = False) -> int | None:
        if dry_run:
            print(function(description)(config))
            return None
        from restyle.training.parallel import launch

        code = launch(flat(config)["processes"], sys.argv[1:])
        if code is None:  # one process was asked for, or this is one of several
            function(place)(config)
        return code

    return run


def add_training(
    name: str, about: str, presets: Mapping[str, Any], place: str, description: str = ""
) -> None:
    """Add a command that trains from a preset, changed by the options that are given.

    Args:
        name: Of the command.
        about: Its help.
        presets: Configurations by name; the first one is the default.
        place: Of the trainer, as `module:function`.
        description: Of what describes a training; gives the option `--dry-run`.
    """
    flags = {"dry_run": "Describe the training, and do nothing."} if description else {}
    command = Command(presets=presets, flags=flags, help=about)
    kind = type(next(iter(presets.values())))
    add_command(app, name, kind, training(place, description), command)


add_training(
    "features",
    "Train a network that recognises people and attributes in portraits.",
    FEATURES,
    "restyle.training.features:train_features",
)
add_training(
    "generator",
    "Train a StyleGAN2 generator for portraits or for any folder of images.",
    GENERATORS,
    "restyle.training.generator:train_generator",
    description="restyle.training.dry_run:dry_run",
)
add_training(
    "encoder",
    "Train an encoder to invert a generator, step by step.",
    ENCODERS,
    "restyle.training.encoder:train_encoder",
    description="restyle.training.dry_run:dry_run",
)
add_training(
    "student",
    "Train an encoder of one or two steps on images and a teacher's codes.",
    STUDENTS,
    "restyle.training.encoder:train_encoder",
    description="restyle.training.dry_run:dry_run",
)
add_training(
    "text",
    "Train a network that knows which words fit a portrait.",
    TEXT,
    "restyle.training.text:train_text",
)
add_training(
    "mapper",
    "Train a network that changes pictures by one text, in one pass (StyleCLIP's mapper).",
    MAPPERS,
    "restyle.training.mapper:train_mapper",
)
add_training(
    "one-pass",
    "Train a network that edits a generator's pictures by any text in one pass.",
    ONE_PASS,
    "restyle.training.one_pass:train_one_pass",
)
