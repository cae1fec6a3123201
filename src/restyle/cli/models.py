"""`restyle models`: what there is, what a model is made of, and how it comes here."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from restyle import jobs
from restyle.cli.derive import FAILED, Command, add_command
from restyle.io.claims import check_new
from restyle.io.files import printable

if TYPE_CHECKING:
    from torch import nn

    from restyle.model import ReStyle

_WIDTH, _HEIGHT, _ABOUT = 100, 45, 48

app = App(name="models", help="Show the models that can be used by name.")


Json = Annotated[bool, Parameter(name="--json", negative="")]
Overwrite = Annotated[bool, Parameter(negative="")]


@app.command(name="list")
def list_models(as_json: Json = False) -> None:
    """List the models that come with the package, and those that can be downloaded.

    Args:
        as_json: Print all that is known as JSON.
    """
    from restyle.hub import registry
    from restyle.hub.catalogue import PUBLIC
    from restyle.hub.downloads import pulled
    from restyle.io.checkpoints import WEIGHTS, load_config
    from restyle.io.tables import Table

    bundled = []
    for name in registry.bundled():
        folder = registry.folder_of(name)
        size = (folder / WEIGHTS).stat().st_size
        bundled.append({**load_config(folder), "bytes": size, "name": name})
    here = {model.name: pulled(model.name) is not None for model in PUBLIC}
    if as_json:
        public = [{**vars(model), "pulled": here[model.name]} for model in PUBLIC]
        print_json({"bundled": bundled, "public": public})
        return
    rows = [_row(config) for config in bundled]
    heads = ["name", "domain", "image", "encoder input", "weights"]
    print("Bundled\n\n" + Table(heads, rows).text())
    licences = list(dict.fromkeys(model.licence for model in PUBLIC))
    needs = list(dict.fromkeys(model.needs for model in PUBLIC if model.needs))
    marks = dict(zip(needs, "abcdefghijklm", strict=False))
    rows = [
        (
            m.name,
            textwrap.shorten(m.about, _ABOUT, placeholder=" ..."),
            _bytes(m.size) if m.size else "",
            f"{licences.index(m.licence) + 1}{marks.get(m.needs, '')}",
            "yes" if here[m.name] else "",
        )
        for m in PUBLIC
    ]
    heads = ["name", "what", "size", "terms", "pulled"]
    print("\nPublic (restyle models pull NAME)\n\n" + Table(heads, rows).text())
    print("\nTerms")
    for number, licence in enumerate(licences, start=1):
        print(f"  {number}  {licence}")
    for need, mark in marks.items():
        print(f"  {mark}  needs {need}")


def _row(config: Mapping[str, Any]) -> tuple[str, ...]:
    size, domain = config["generator"]["size"], config["domain"]
    seen = "{} x {}".format(*domain["input_size"])
    return config["name"], domain["name"], f"{size} x {size}", seen, _bytes(config["bytes"])


@app.command
def info(model: str, *, history: bool = False, as_json: Json = False) -> None:
    """Say what a model is: networks, domain, sizes, training.

    Args:
        model: A bundled model's name, a checkpoint folder, or another project's file, of a model or
            of a generator alone.
        history: Show what the card tells of the training at full length.
        as_json: Print all that is known as JSON.
    """
    from restyle.hub import registry

    found = registry.load(model, device="cpu")
    generator = found.generator
    facts = {
        "name": found.name,
        "domain": vars(found.domain),
        "generator": {"parameters": _parameters(generator), **vars(generator.config)},
        **_encoder(found),
        "sha256": found.weights_hash(),
        "card": found.card,
    }
    if as_json:
        print_json(facts)
    elif history:
        print("\n".join(lines(facts)))
    else:
        print("\n".join(_in_short(facts)))


@app.command
def pull(name: str) -> int:
    """Download a public model, check it and import it; it can then be used by its name.

    An interrupted download goes on where it stopped. Needs the extra `restyle[hub]`.

    Args:
        name: As `restyle models list` shows it.
    """
    from restyle.hub.catalogue import find
    from restyle.hub.downloads import DownloadError, by_hand
    from restyle.hub.downloads import pull as pull_model

    model = find(name)
    print(f"{name}: licence {model.licence}")
    try:
        print(f"{name} is in {pull_model(name)}")
    except DownloadError as error:
        addresses, path = by_hand(model)
        told = [
            f"restyle: {' '.join(str(error).split())}",
            f"from: {' or '.join(addresses)}",
            f"by hand: save it as {path}, then repeat restyle models pull {name}",
        ]
        print(printable("\n".join(told), keep="\n"), file=sys.stderr)
        return FAILED
    return 0


@app.command
def push(folder: Path, repository: str, *, private: bool = False) -> None:
    """Publish a checkpoint on the Hugging Face Hub, with its card and its licence.

    Needs the extra `restyle[hub]`, and a token of the Hub (`hf auth login`).

    Args:
        folder: The checkpoint's.
        repository: The name there, such as user/model; made where missing.
        private: Let nobody else see a new one.
    """
    from restyle.hub import huggingface

    print(f"{folder} is at {huggingface.push(folder, repository, private)}")


@app.command(name="import")
def import_model(file: Path, *, out: Path, overwrite: Overwrite = False) -> None:
    """Turn another project's checkpoint into a native one. No code in it is run.

    Networks of losses and scores, and backbones, are used as the files they are: of these it says
    what they are, and which option takes them.

    Args:
        file: A model of ReStyle, pSp or e4e, or a StyleGAN2 generator.
        out: The folder of the native checkpoint.
        overwrite: Replace the checkpoint that is there.
    """
    from restyle.importers import convert
    from restyle.io.checkpoints import CONFIG, WEIGHTS

    for name in (CONFIG, WEIGHTS):
        check_new(out / name, [file], overwrite)
    print(f"{file} holds a {type(convert(file, out)).__name__}, which is now in {out}")


def _curvature(job: jobs.EstimateCurvature) -> None:
    print(printable(f"the curvature of {job.model} is in {jobs.estimate_curvature(job)}"))


def _styles(job: jobs.MeasureStyles) -> None:
    print(printable(f"the statistics of {job.model}'s styles are in {jobs.measure_styles(job)}"))


def _relevance(job: jobs.MeasureRelevance) -> None:
    print(printable(f"the relevance of {job.model}'s channels is in {jobs.measure_relevance(job)}"))


add_command(app, "curvature", jobs.EstimateCurvature, _curvature, Command(positional="model"))
add_command(app, "styles", jobs.MeasureStyles, _styles, Command(positional="model"))
add_command(app, "relevance", jobs.MeasureRelevance, _relevance, Command(positional="model"))


def lines(facts: Mapping[str, Any], indent: str = "") -> list[str]:
    """Return facts as text, a line each, those within others indented."""
    found = []
    for key, value in facts.items():
        nested = isinstance(value, Mapping)
        found.append(f"{indent}{key}:" if nested else f"{indent}{key}: {value}")
        found += lines(value, indent + "  ") if nested else []
    return found


def _encoder(model: ReStyle) -> dict[str, Any]:
    if not model.has_encoder:
        return {"encoder": "none: renders, samples and edits"}
    facts = {"parameters": _parameters(model.encoder), **vars(model.encoder.config)}
    return {"encoder": facts, "single shot": model.single_shot}


def print_json(value: Any) -> None:
    """Print a value as JSON; what JSON has no form for, as text."""
    print(json.dumps(value, indent=2, default=str))


def _in_short(facts: Mapping[str, Any]) -> list[str]:
    """Return facts in one screen: long values cut, and lists of facts within facts counted."""
    shown = lines({**facts, "card": _flat(facts["card"])})[:_HEIGHT]
    shown = [line if len(line) <= _WIDTH else line[: _WIDTH - 4] + " ..." for line in shown]
    return [*shown, "(--history shows all of the card)"] if facts["card"] else shown


def _flat(card: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: f"{len(value)} entries" if isinstance(value, Mapping) else value
        for key, value in card.items()
    }


def _bytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def _parameters(network: nn.Module) -> str:
    return f"{sum(parameter.numel() for parameter in network.parameters()):,}"
