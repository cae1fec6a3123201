"""Put a trained model into the package, in half precision and with its card.

    python tools/bundle.py portraits runs/encoder-portraits --generator-run runs/generator
    python tools/bundle.py portraits-e4e runs/encoder-portraits-e4e --generator-of portraits

With `--generator-of` the generator stays in the bundled model of that name, whose it must be. A
mapping network that was trained afterwards, alone, goes into all models that have the one it began
as:

    python tools/bundle.py mapping runs/generator-portraits-mapping
"""

import json
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from cyclopts import App

from restyle.hub.registry import bundled, load_generator
from restyle.io.bundled import WEIGHTS
from restyle.io.checkpoints import load_config, share, weights_hash
from restyle.io.files import atomic_write
from restyle.model import ReStyle
from restyle.training.options import as_record, renamed
from restyle.training.presets import ENCODERS, GENERATORS, STUDENTS

UNSAID = ("out", "device", "checkpoint_minutes", "snapshot_images", "validation_images")
"""Options that change nothing about the weights."""

app = App(help=__doc__)


@app.default
def bundle(
    name: str, folder: Path, generator_run: Path | None = None, generator_of: str = ""
) -> None:
    """Put a trained model into the package.

    Args:
        name: What it is called there.
        folder: The run folder of its encoder.
        generator_run: The run folder of its generator.
        generator_of: The bundled model that keeps the generator.
    """
    model = ReStyle.from_pretrained(folder / "model")
    model.name = name
    model.card = {"licence": "MIT", **model.card}
    if generator_run is not None:
        model.card["generator"] = _made(generator_run)
    elif not generator_of:
        model.card |= _known(model)
    _write(model, generator_of)


@app.command
def mapping(run: Path) -> None:
    """Give bundled models the mapping network that was trained after them.

    Args:
        run: Its run folder (`restyle train generator --freeze-synthesis`).
    """
    made = _made(run)
    before = weights_hash(load_generator(made["training"]["initial"]).mapping.state_dict())
    after = load_generator(run / "generator").mapping.state_dict()
    owners = {name: _owner(name) for name in bundled()}
    # All are read before the first is written: some share what others keep.
    models = [
        ReStyle.from_pretrained(WEIGHTS / name) for name in sorted(owners, key=owners.__getitem__)
    ]
    for model in models:
        if weights_hash(model.generator.mapping.state_dict()) != before:
            continue
        model.generator.mapping.load_state_dict(after)
        if "generator" in model.card:
            model.card["generator"] = {**model.card["generator"], "mapping": made}
        _write(model, owners[model.name])


def _made(run: Path) -> dict[str, Any]:
    """What a card says of a generator's run."""
    return {
        "images_seen": load_config(run / "generator")["images_seen"],
        "training": json.loads((run / "config.json").read_text()),
    }


def _known(model: ReStyle) -> dict[str, Any]:
    """What the bundled model of that name says of its generator, if that is the same one."""
    if not (WEIGHTS / model.name).is_dir():
        return {}
    before = ReStyle.from_pretrained(WEIGHTS / model.name)
    first, second = (weights_hash(one.generator.state_dict()) for one in (before, model))
    return {k: v for k, v in before.card.items() if k == "generator" and first == second}


def _owner(name: str) -> str:
    return load_config(WEIGHTS / name).get("shared", {}).get("generator", {}).get("folder", "")


def _write(model: ReStyle, generator_of: str) -> None:
    folder = WEIGHTS / model.name
    model.save_pretrained(folder, half=True)
    if generator_of:
        share(folder, "generator", generator_of)
    with atomic_write(folder / "card.md") as temporary:
        temporary.write_text(text(model, generator_of), encoding="utf-8")


def text(model: ReStyle, generator_of: str) -> str:
    """The card of a model for people, in Markdown."""
    training, seen = model.card["training"], model.card["images_seen"]
    drawn = "toons" if model.domain.name == "toon" else "drawn portraits"
    size = f"{_millions(model.generator)}, {model.generator.config.size} px"
    lines = [
        f"# {model.name}",
        "",
        f"{'A single-shot' if model.single_shot else 'A ReStyle'} encoder with {training['head']} "
        f"heads ({_millions(model.encoder)}) for a StyleGAN2 generator of {drawn} ({size}"
        + (f"; kept in `{generator_of}`)," if generator_of else "),"),
        "stored in half precision.",
        "",
        "- Trained on: portraits drawn by `restyle.portraits` (train split)",
        f"- Encoder: {_passes(training, seen)}{_teacher(training)}",
        *_trained(model.card),
    ]
    for later, made in pairwise(told(model.card)):
        began, its = later["training"]["initial"], made["training"]
        lines += [
            f"- It began as the encoder of `{began}`, after {_passes(its, made['images_seen'])}",
            *_trained(made),
        ]
    if "generator" in model.card:
        made, settings = model.card["generator"]["images_seen"], model.card["generator"]["training"]
        alone = min(made, settings["supervised_images"])
        lines += [
            f"- Generator: {alone:,} portraits drawn from their attributes, then {made - alone:,} "
            "images against discriminators",
            f"- Command: `restyle train generator {_command(settings, GENERATORS)}`",
        ]
        if later := model.card["generator"].get("mapping"):
            lines += [
                f"- Then its mapping network, alone: {later['images_seen']:,} portraits drawn from "
                "their attributes",
                f"- Command: `restyle train generator {_command(later['training'], GENERATORS)}`",
            ]
    lines += [f"- {name}: {value:.4f}" for name, value in model.card["validation"].items()]
    return "\n".join([*lines, "- Licence: MIT", "", "Measured: docs/results.md", ""])


def _passes(training: dict[str, Any], seen: int) -> str:
    warmed = min(training["warmup_images"], seen)
    samples = f"{warmed:,} samples of the generator, whose codes are known, then " if warmed else ""
    steps = 1 if training["single_shot"] else training["steps"]
    return f"{samples}{(seen - warmed) * steps:,} passes over {seen - warmed:,} portraits"


def _trained(made: dict[str, Any]) -> list[str]:
    """The lines on the command of an encoder's training and, where it is known, its time."""
    lines = [f"- Command: `restyle {shlex.join(command(made['training']))}`"]
    return [*lines, f"- Took: {made['took']}"] if "took" in made else lines


def _teacher(training: dict[str, Any]) -> str:
    if not training.get("distillation"):
        return ""
    return (
        f"; of {training['taught_images']:,} of them it also learned the codes that "
        f"`{training['teacher']}` of `{training['teacher_model']}` finds"
    )


def _millions(network: Any) -> str:
    return f"{sum(p.numel() for p in network.parameters()) / 1e6:.1f} M parameters"


def told(card: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a card tells of every training of its encoder, the last one first."""
    made: dict[str, Any] | None = card
    while made:
        yield made
        made = made.get("initial")


def options(training: dict[str, Any], presets: dict[str, Any]) -> list[str]:
    """The options that make this training of a preset, the first one with the fewest of them."""
    settings = {name: as_record(preset) for name, preset in presets.items()}
    # What an older training did not know yet, it did not do.
    training = as_record(type(next(iter(presets.values())))()) | renamed(training)
    differing = {
        name: {k: v for k, v in training.items() if preset.get(k, v) != v and k not in UNSAID}
        for name, preset in settings.items()
    }
    name = min(differing, key=lambda preset: len(differing[preset]))
    words = ["--preset", name]
    for key, value in differing[name].items():
        option = key.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", *map(str, value if isinstance(value, list) else [value])]
    return words


def command(training: dict[str, Any]) -> list[str]:
    """The arguments of `restyle` for an encoder's training."""
    student = training.get("distillation")
    kind, presets = ("student", STUDENTS) if student else ("encoder", ENCODERS)
    return ["train", kind, *options(training, presets)]


def _command(training: dict[str, Any], presets: dict[str, Any]) -> str:
    return shlex.join(options(training, presets))


if __name__ == "__main__":
    app()
