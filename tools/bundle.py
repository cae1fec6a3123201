"""Put a trained model into the package, in half precision and with its card.

    python tools/bundle.py portraits runs/encoder-portraits --generator-run runs/generator
    python tools/bundle.py portraits-e4e runs/encoder-portraits-e4e --generator-of portraits

With `--generator-of` the generator stays in the bundled model of that name, whose it must be.
"""

import json
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from cyclopts import App

from restyle.io.bundled import WEIGHTS
from restyle.io.checkpoints import load_config, share, weights_hash
from restyle.io.files import atomic_write
from restyle.model import ReStyle
from restyle.training.encoder_trainer import MOST_STEPS
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
        lines += _generator(model.card["generator"])
    lines += [f"- {name}: {value:.4f}" for name, value in model.card["validation"].items()]
    return "\n".join([*lines, "- Licence: MIT", "", "Measured: docs/results.md", ""])


def _generator(made: dict[str, Any]) -> list[str]:
    """The lines on a generator: its last training, then those before."""
    settings, seen = made["training"], made["images_seen"]
    rest, alone = "", seen
    if seen - settings["supervised_images"] >= settings["batch"]:
        alone = settings["supervised_images"]
        rest = f", then {seen - alone:,} images against discriminators"
    command = shlex.join(options(settings, GENERATORS))
    return [
        f"- Generator: {alone:,} portraits drawn from their attributes{rest}",
        f"- Command: `restyle train generator {command}`",
        *([f"- Took: {made['took']}"] if "took" in made else []),
        *(f"- Before: {one}" for one in made.get("before", ())),
    ]


def _passes(training: dict[str, Any], seen: int) -> str:
    warmed = min(training["warmup_images"], seen)
    known = "portraits" if training.get("warmup_drawings") else "samples of the generator"
    samples = f"{warmed:,} {known}, whose codes are known, then " if warmed else ""
    share = 0.0 if training["single_shot"] else training["rollout"]
    least = 1 if training["single_shot"] else training["steps"]
    # The share of those that go on grows over the warm-up.
    growing = sum(_steps(least, share * (i + 0.5) / 100) for i in range(100)) / 100
    passes = warmed * growing + (seen - warmed) * _steps(least, share)
    return f"{samples}{seen - warmed:,} portraits: {passes:,.0f} passes of encoder and generator"


def _steps(least: int, share: float) -> float:
    """How many steps images take on average, of which a share goes on again and again."""
    return least - 1 + sum(share**further for further in range(MOST_STEPS - least + 1))


def _trained(made: dict[str, Any]) -> list[str]:
    """The lines on the command of an encoder's training and, where it is known, its time."""
    lines = [f"- Command: `restyle {shlex.join(command(made['training']))}`"]
    return [*lines, f"- Took: {made['took']}"] if "took" in made else lines


def _teacher(training: dict[str, Any]) -> str:
    if not _taught(training):
        return ""
    return (
        f"; of {training['taught_images']:,} of them it also learned the codes that "
        f"`{training['teacher']}` of `{training['teacher_model']}` finds"
    )


def _taught(training: dict[str, Any]) -> bool:
    """Whether codes are a teacher's, not the drawings' own."""
    return bool(training.get("distillation")) and not training.get("warmup_drawings")


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
    kind, presets = ("student", STUDENTS) if _taught(training) else ("encoder", ENCODERS)
    return ["train", kind, *options(training, presets)]


if __name__ == "__main__":
    app()
