"""`restyle train`: a command for each network, whose options are its configuration's fields."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, make_dataclass
from importlib import import_module
from typing import Annotated, Any, Literal, get_type_hints

from cyclopts import App, Parameter

from restyle.training import config as presets_of
from restyle.training.presets import ENCODERS, GENERATORS

app = App(
    name="train",
    help="Train networks. A run is resumed by repeating its command.",
    default_parameter=Parameter(consume_multiple=True, negative_iterable=""),
)


def add_command(
    name: str, about: str, presets: Mapping[str, Any], trainer: str, describer: str = ""
) -> None:
    """Add a command that trains from a preset, changed by the options that are given.

    Args:
        name: Of the command.
        about: Its help.
        presets: Configurations of one kind by name; the first one is the default.
        trainer: What takes the configuration, as `module:function`, imported when the command runs.
        describer: What describes the training of a configuration; gives the option `--dry-run`.
    """
    options = _options(presets, dry_run=bool(describer))

    def train(*, given: Annotated[options, Parameter(name="*")] = options()) -> int | None:  # type: ignore[valid-type]  # noqa: B008
        changes = {key: value for key, value in vars(given).items() if value is not None}
        preset = changes.pop("preset") if len(presets) > 1 else next(iter(presets))
        dry_run = changes.pop("dry_run", False)
        config = presets_of.with_options(presets[preset], **changes)
        if dry_run:
            print(_function(describer)(config))
            return None
        from restyle.training.parallel import launch

        code = launch(presets_of.flat(config)["processes"], sys.argv[1:])
        if code is None:  # one process was asked for, or this is one of several
            _function(trainer)(config)
        return code

    app.command(train, name=name, help=about)


def _function(place: str) -> Callable[[Any], Any]:
    module, name = place.split(":")
    return getattr(import_module(module), name)


def _options(presets: Mapping[str, Any], dry_run: bool = False) -> type:
    """A record of the presets' fields with none of them set: what is not given is the preset's."""
    kind = type(next(iter(presets.values())))
    hints, about = _flat_hints(kind)
    choice = Annotated[Literal[tuple(presets)], Parameter(help="What the other options change.")]
    dry = Annotated[bool, Parameter(help="Describe the training, and do nothing.", negative="")]
    return make_dataclass(
        f"{kind.__name__}Options",
        [
            *([("preset", choice, next(iter(presets)))] if len(presets) > 1 else []),
            *([("dry_run", dry, False)] if dry_run else []),
            *((name, _option(name, hint, presets), None) for name, hint in hints.items()),
        ],
        # Without a module of its own, cyclopts would take the record for a built-in type.
        namespace={"__doc__": about, "__module__": __name__},
        frozen=True,
    )


def _flat_hints(kind: type) -> tuple[dict[str, Any], str]:
    """Collect the types and the help of a configuration's options, those of groups included."""
    hints, about = {}, kind.__doc__ or ""
    for field in fields(kind):
        hint = get_type_hints(kind)[field.name]
        if isinstance(hint, type) and is_dataclass(hint):
            inner, more = _flat_hints(hint)
            hints |= inner
            about += more.partition("Attributes:\n")[2]
        else:
            hints[field.name] = hint
    return hints, about


def _option(name: str, hint: Any, presets: Mapping[str, Any]) -> Any:
    defaults = {_shown(presets_of.flat(preset)[name]) for preset in presets.values()}
    shown = defaults.pop() if len(defaults) == 1 else "the preset's"
    return Annotated[hint | None, Parameter(show_default=lambda _: shown)]


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


add_command(
    "features",
    "Train a network that recognises people and attributes in portraits.",
    presets_of.FEATURES,
    "restyle.training.features:train_features",
)
add_command(
    "generator",
    "Train a StyleGAN2 generator for portraits or for any folder of images.",
    GENERATORS,
    "restyle.training.generator:train_generator",
)
add_command(
    "encoder",
    "Train an encoder to invert a generator, step by step.",
    ENCODERS,
    "restyle.training.encoder:train_encoder",
    describer="restyle.training.dry_run:dry_run",
)
