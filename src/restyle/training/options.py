"""Options of trainings, whatever is trained: flat names, ranges, and names of older versions."""

import json
from dataclasses import fields, is_dataclass, replace
from math import inf, isinf
from typing import Any, TypeVar

T = TypeVar("T")

RENAMED = {
    "continuation": "rollout",
    "head_start": "discriminator_warmup",
}
"""Options of older trainings, and what they are called now."""

_NUMBERS = {
    (1, inf): "batch accumulate steps processes images size z_dim w_dim mapping_layers r1_interval "
    "hidden embedding width pictures snapshot_images progressive_start taught_images",
    (0, inf): "workers skip warmup_images supervised_images supervised_weight supervised_lr "
    "supervised_pyramid discriminator_warmup lr discriminator_lr adversarial_lr r1 r1_gamma "
    "path_length_weight ema_images detail feature_weight keep_coarse fade_images pool "
    "validation_steps validation_images progressive_interval l2 perceptual identity moco w_norm "
    "delta_norm adversarial distillation seed checkpoint_minutes blur untaught_images",
    (0, 1): "decay fresh",
    (0, 0.99): "rollout",
}
RANGES = {name: limits for limits, names in _NUMBERS.items() for name in names.split()}
"""The least and the greatest value of every option that is a number."""

CHOICES = {
    "optimiser": ("ranger", "adam", "adamw", "muon"),
    "precision": ("auto", "float32", "bf16", "fp16"),
    "head": ("psp", "e4e"),
    "style": ("photo", "toon"),
    "device": ("auto", "cpu", "cuda"),
}
"""The values of every option that has a few."""


def flat(config: Any) -> dict[str, Any]:
    """Return the options of a configuration by name, those of its groups among them."""
    options: dict[str, Any] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        options |= flat(value) if is_dataclass(value) else {field.name: value}
    return options


def with_options(config: T, **options: Any) -> T:
    """Return a configuration with other options, named as `flat` names them.

    Raises:
        TypeError: There is no such option.
    """
    changes: dict[str, Any] = {}
    for field in fields(config):  # pyright: ignore[reportArgumentType]
        value = getattr(config, field.name)
        if is_dataclass(value):
            own = {name: options.pop(name) for name in flat(value) if name in options}
            changes[field.name] = with_options(value, **own)
    return replace(config, **changes, **options)  # pyright: ignore[reportArgumentType, reportCallIssue]


def as_record(config: Any) -> dict[str, Any]:
    """Return the options of a configuration as JSON keeps them: paths as text, tuples as lists."""
    return json.loads(json.dumps(flat(config), default=str))


def renamed(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a training, perhaps of an older version, with today's names."""
    return {RENAMED.get(name, name): value for name, value in record.items()}


def check(config: Any) -> None:
    """Refuse options out of `RANGES` or not among `CHOICES`.

    Raises:
        ValueError: Such an option, with what was expected and what was got.
    """
    for name, value in flat(config).items():
        if name in RANGES:
            least, most = RANGES[name]
            if not least <= value <= most or isinf(value):  # NaN is in no range
                upper = "or more" if isinf(most) else f"to {most:g}"
                raise ValueError(f"{name}: expected a number of {least:g} {upper}, got {value}")
        elif name in CHOICES and value not in CHOICES[name]:
            raise ValueError(f"{name}: expected one of {', '.join(CHOICES[name])}, got {value!r}")


def check_shares(batch: int, processes: int, parts: int = 1) -> None:
    """Refuse a batch that cannot be divided by processes, and by the parts of their shares.

    Raises:
        ValueError: Such a batch.
    """
    if batch % (processes * parts):
        raise ValueError(
            f"batch: expected a multiple of {processes * parts} "
            f"({processes} processes, {parts} parts each), got {batch}"
        )
