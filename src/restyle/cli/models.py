"""`restyle models`: what there is, what a model is made of, and how it comes here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App

if TYPE_CHECKING:
    from torch import nn

    from restyle.model import ReStyle

app = App(name="models", help="Show the models that can be used by name.")


@app.command(name="list")
def list_models() -> None:
    """List the models that come with the package, and those that can be downloaded."""
    from restyle.hub import registry
    from restyle.hub.catalogue import PUBLIC
    from restyle.hub.downloads import pulled
    from restyle.io.checkpoints import WEIGHTS, load_config
    from restyle.io.tables import Table

    bundled = []
    for name in registry.bundled():
        folder = registry.folder_of(name)
        config = load_config(folder)
        size, (height, width) = config["generator"]["size"], config["domain"]["input_size"]
        weights = _bytes((folder / WEIGHTS).stat().st_size)
        domain = config["domain"]["name"]
        bundled.append((name, domain, f"{size} x {size}", f"{height} x {width}", weights))
    public = [
        (m.name, m.about, _bytes(m.size) if m.size else "?", m.licence, m.needs, here)
        for m in PUBLIC
        for here in ["yes" if pulled(m.name) else ""]
    ]
    heads = ["name", "domain", "image", "encoder input", "weights"]
    print(Table(heads, bundled, "Bundled").text())
    heads = ["name", "what", "size", "licence", "needs", "pulled"]
    print("\n" + Table(heads, public, "Public (restyle models pull NAME)").text())


@app.command
def info(model: str) -> None:
    """Say what a model is: networks, domain, sizes, training.

    Args:
        model: A bundled model's name, a checkpoint folder, or another project's checkpoint file.
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
    print("\n".join(lines(facts)))


@app.command
def pull(name: str) -> None:
    """Download a public model, check it and import it; it can then be used by its name.

    An interrupted download goes on where it stopped. Needs the extra `restyle[hub]`.

    Args:
        name: As `restyle models list` shows it.
    """
    from restyle.hub.catalogue import find
    from restyle.hub.downloads import pull as pull_model

    print(f"{name}: licence {find(name).licence}")
    print(f"{name} is in {pull_model(name)}")


@app.command(name="import")
def import_model(file: Path, *, out: Path) -> None:
    """Turn another project's checkpoint into a native one. No code in it is run.

    Networks of losses and scores, and backbones, are used as the files they are: of these it says
    what they are, and which option takes them.

    Args:
        file: A model of ReStyle, pSp or e4e, or a StyleGAN2 generator.
        out: The folder of the native checkpoint.
    """
    from restyle.importers import convert

    print(f"{file} holds a {type(convert(file, out)).__name__}, which is now in {out}")


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


def _bytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def _parameters(network: nn.Module) -> str:
    return f"{sum(parameter.numel() for parameter in network.parameters()):,}"
