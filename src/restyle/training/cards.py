"""Finished networks in folders of their own, in half precision and with a card."""

import platform
from pathlib import Path
from typing import Any

import torch
from torch import nn

from restyle.io.checkpoints import CONFIG, WEIGHTS, load_config
from restyle.io.claims import check_own
from restyle.io.files import atomic_write
from restyle.io.pretrained import Pretrained
from restyle.training.options import flat
from restyle.training.run import Run

CARD = "card.md"
NO_SETTINGS = ("out", "export", "device", "checkpoint_minutes", "precision", "workers")
"""Options that say nothing about the network that is made."""


def check_export(folder: Path, kind: str) -> None:
    """Refuse a folder with files of somebody else, before days of training.

    Raises:
        ValueError: It holds what is no checkpoint of this kind with its card.
    """
    if not (folder / CONFIG).exists():
        check_own(folder, [WEIGHTS, CARD])
    elif (found := load_config(folder)["kind"]) != kind:
        raise ValueError(f"export: expected a folder for '{kind}', got one of '{found}'")


def drawn(images: int) -> str:
    """Return what a network was trained on that has seen so many portraits."""
    return f"portraits drawn by `restyle.portraits` (train split), {images:,} images seen"


def took(run: Run) -> str:
    """Return how long a run has trained over all its starts, and on what."""
    if run.device.type == "cuda":
        place = torch.cuda.get_device_name(run.device)
    else:
        threads = torch.get_num_threads() * run.processes
        can = torch.backends.cpu.get_cpu_capability()
        place = f"{threads} thread(s) of {platform.machine()} with {can}"
    return f"{run.elapsed() / 3600:.1f} hours, {place}"


def export(
    network: Pretrained, run: Run, about: str, command: str, figures: str, trained_on: str
) -> None:
    """Write a trained network and its card where its training's `export` says.

    Args:
        network: What was trained.
        run: Its training.
        about: What it is, in a sentence that the card begins with.
        command: What trains it, behind `restyle train`.
        figures: What was measured, in Markdown.
        trained_on: What it was trained on.
    """
    assert isinstance(network, nn.Module)
    config: Any = run.config
    folder = Path(config.export)
    network.save_pretrained(folder, half=True)
    parameters = sum(p.numel() for p in network.parameters())
    settings = ", ".join(f"{k}={v}" for k, v in flat(config).items() if k not in NO_SETTINGS)
    card = f"""# {folder.name}

{about} {parameters / 1e6:.2f} M parameters, stored in half precision.

- Trained on: {trained_on}
- Command: `restyle train {command}`
- Took: {took(run)}
- Settings: {settings}
- Licence: MIT

{figures}
"""
    with atomic_write(folder / CARD) as temporary:
        temporary.write_text(card, encoding="utf-8")
