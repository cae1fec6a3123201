"""`restyle models`: what there is, and what a model is made of."""

from collections.abc import Mapping, Sequence
from typing import Any

from restyle.hub import registry
from restyle.hub.catalogue import PUBLIC
from restyle.hub.downloads import pulled
from restyle.io.checkpoints import WEIGHTS, load_config


def table() -> str:
    """The bundled models, a line each: name, domain, size of the images and of the file."""
    rows = [("name", "domain", "image", "encoder input", "weights")]
    for name in registry.bundled():
        folder = registry.folder_of(name)
        config = load_config(folder)
        size = config["generator"]["size"]
        height, width = config["domain"]["input_size"]
        image, seen = f"{size} x {size}", f"{height} x {width}"
        weights = _bytes((folder / WEIGHTS).stat().st_size)
        rows.append((name, config["domain"]["name"], image, seen, weights))
    return columns(rows)


def public_table() -> str:
    """The known public models, a line each: what, size, licence, needs, whether it is here."""
    rows = [("name", "what", "size", "licence", "needs", "pulled")]
    for model in PUBLIC:
        size = _bytes(model.size) if model.size else "?"
        here = "yes" if pulled(model.name) else ""
        rows.append((model.name, model.about, size, model.licence, model.needs, here))
    return columns(rows)


def description(name: str) -> str:
    """All that is known about a model, a line for each fact."""
    model = registry.load(name, device="cpu")
    generator, encoder = model.generator, model.encoder
    facts = {
        "name": model.name,
        "domain": vars(model.domain),
        "generator": {"parameters": _parameters(generator), **vars(generator.config)},
        "encoder": {"parameters": _parameters(encoder), **vars(encoder.config)},
        "single shot": model.single_shot,
        "sha256": model.weights_hash(),
        "card": model.card,
    }
    return "\n".join(lines(facts))


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text whose columns line up; the first row is the heading."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    texts = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(text.rstrip() for text in texts)


def _bytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def _parameters(network: Any) -> str:
    return f"{sum(parameter.numel() for parameter in network.parameters()):,}"


def lines(facts: Mapping[str, Any], indent: str = "") -> list[str]:
    """Facts as text, a line each, those within others indented."""
    found = []
    for key, value in facts.items():
        nested = isinstance(value, Mapping)
        found.append(f"{indent}{key}:" if nested else f"{indent}{key}: {value}")
        found += lines(value, indent + "  ") if nested else []
    return found
