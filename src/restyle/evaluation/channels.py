"""Channels of style space that move one attribute: found by one network, checked by another one.

Source: Wu, Lischinski and Shechtman, "StyleSpace Analysis: Disentangled Controls for StyleGAN Image
Generation" (CVPR 2021), which ranks channels by what gradients or a classifier say of them.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from restyle.editing.directions import SUFFIX, Direction, directions_in, save_direction
from restyle.editing.editor import Editor
from restyle.editing.effects import effects_at, sampled_styles
from restyle.editing.styles import statistics_of
from restyle.evaluation.attributes import ACCESSORIES, NAMES, Reader, accessory_margins
from restyle.evaluation.direction_search import bench, selection
from restyle.evaluation.directions import renderer
from restyle.evaluation.edit_sweep import Sweep, matched_drift
from restyle.evaluation.records import claim_folder, kept_arrays
from restyle.evaluation.report import Report, Section, tabulate
from restyle.evaluation.settings import ChannelSearch, determining
from restyle.generators.styles import channel_name
from restyle.hub.registry import load_features, load_generator
from restyle.io.checkpoints import weights_hash
from restyle.io.files import append_jsonl, read_jsonl
from restyle.io.tables import Column
from restyle.portraits.features import FeatureNetwork
from restyle.runtime.devices import resolve_device

STRENGTHS = (-4.0, -2.0, 0.0, 2.0, 4.0)
"""Of directions in W, in deviations of the codes."""

REACH = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Of channels, in strengths that are expected to change the attribute by one deviation."""

STRONG, CANDIDATES = 48, 3
"""So many channels that change an attribute most; so many of them, the purest, are tried."""

HALF = 0.5
"""Of the drift of the direction in W: what a channel's is to be at most."""


@dataclass(frozen=True)
class Channel:
    """A channel of style space and what it does to an attribute.

    Attributes:
        attribute: What it changes.
        number: Of the channel.
        effect: How many deviations of the attribute one deviation of the channel changes.
        purity: That effect over the root mean square of those on the other attributes.
    """

    attribute: str
    number: int
    effect: float
    purity: float


def find_channels(config: ChannelSearch) -> Report:
    """Find a channel for every attribute, and measure it beside the direction in W.

    Raises:
        ValueError: There is no such generator, device or attribute, or the folder holds another
            search.
        CheckpointError: Weights cannot be used.
    """
    names = config.attributes or NAMES
    if unknown := sorted(set(names) - set(NAMES)):
        raise ValueError(f"expected attributes of {', '.join(NAMES)}, got {unknown}")
    generator = load_generator(config.generator)
    networks = [load_features(name) for name in (config.labeller, config.judge)]
    hashes = [weights_hash(network.state_dict()) for network in (generator, *networks)]
    settings = determining(config, "attributes") | {"hashes": hashes}
    rows = claim_folder(config.out, json.loads(json.dumps(settings)))
    place = resolve_device(config.device)
    editor = Editor(generator.to(place), hashes[0])
    search = _Search(config, editor, *(network.to(place) for network in networks))
    done = {record["name"] for record in read_jsonl(rows)}
    for name in tqdm([name for name in names if name not in done], unit="channel", disable=None):
        direction, record = search.found(name)
        save_direction(direction, config.out / f"{name}{SUFFIX}")
        append_jsonl(rows, record)
    return report_on([record for record in read_jsonl(rows) if record["name"] in names])


class _Search:
    """Looks for channels, and tries them and the directions in W on the same pictures."""

    def __init__(
        self, config: ChannelSearch, editor: Editor, labeller: FeatureNetwork, judge: FeatureNetwork
    ):
        self.config, self.editor = config, editor
        self.render = renderer(editor.generator)
        self.deviation = statistics_of(editor.generator).deviation.to(editor.generator.w_avg)
        path = config.out / "parts" / "effects.npz"
        self.effects = kept_arrays(path, lambda: {"effects": self._effects(labeller)})["effects"]
        folder = config.directions
        known = editor.known if folder is None else directions_in(folder)
        self.in_w = {d.name: d for d in known if d.generator_sha256 == editor.generator_sha256}
        self.trial = self._bench(config.trials, 1, Reader(labeller), REACH)
        self.check = self._bench(config.checks, 2, Reader(judge), REACH)
        self.beside = self._bench(config.checks, 2, Reader(judge), STRENGTHS)

    def found(self, name: str) -> tuple[Direction, dict[str, Any]]:
        """Return the direction of an attribute's channel, and what the judge sees in it."""
        tried = purest(name, self.effects, STRONG)[:CANDIDATES]
        best = min(tried, key=lambda one: selection(self.trial(self._reaching(one))))
        found = self._direction(best)
        record: dict[str, Any] = {
            "name": name,
            "channel": channel_name(self.editor.style_layers, best.number),
            "deviations": 1 / abs(best.effect),
            **measured(self.check(self._reaching(best))),
        }
        if name in self.in_w:
            beside = measured(self.beside(self.editor.direction(self.in_w[name])))
            record |= {f"{key}_w": value for key, value in beside.items()}
        return found, record

    def _bench(
        self, count: int, stream: int, reader: Reader, strengths: tuple[float, ...]
    ) -> Callable[[Direction], Sweep]:
        generator = self.editor.generator
        ws = generator.broadcast(generator.sample_w(count, self.config.seed + stream))

        def move(codes: Tensor, direction: Direction, strength: float) -> Tensor:
            return self.editor.edit(codes, direction, strength).moved

        return bench(self.render, ws, reader, strengths, move=move)

    def _effects(self, labeller: FeatureNetwork) -> np.ndarray:
        """Measure (S, A): deviations of each attribute for one deviation of each channel."""

        def render(styles: Tensor) -> Tensor:
            widths = [layer.stop - layer.start for layer in self.editor.style_layers]
            return self.editor.generator.synthesis.render(styles.split(widths, dim=1))

        def look(images: Tensor) -> Tensor:
            heads = labeller.heads(images)
            return torch.cat([heads["values"], accessory_margins(heads["logits"])], dim=1)

        config, seen, found = self.config, [], []
        batches = sampled_styles(self.editor.generator, config.samples, config.seed)
        for styles in tqdm(batches, unit="batch", desc="effects", disable=None):
            found.append(len(styles) * effects_at(styles, self.deviation, render, look))
            seen.append(look(render(styles)).detach())
        effects = torch.stack(found).sum(dim=0) / config.samples
        odds = torch.cat(seen)[:, -len(ACCESSORIES) :]  # have no deviation that is known
        effects[:, -len(ACCESSORIES) :] /= odds.std(dim=0).clamp_min(1e-6)
        return effects.cpu().numpy()

    def _direction(self, channel: Channel) -> Direction:
        """Return the direction whose strength 1 is one deviation of the channel."""
        vector = torch.zeros(len(self.deviation))
        vector[channel.number] = 1 if channel.effect > 0 else -1
        return Direction(
            channel.attribute,
            vector,
            scale=float(self.deviation[channel.number]),
            generator_sha256=self.editor.generator_sha256,
            licence=self.config.licence,
            about=f"channel {channel_name(self.editor.style_layers, channel.number)}, "
            f"found by {self.config.labeller}",
            space="S",
        )

    def _reaching(self, channel: Channel) -> Direction:
        """Return the same one, whose strength 1 is expected to change its attribute by one."""
        direction = self._direction(channel)
        assert direction.scale is not None
        return replace(direction, scale=direction.scale / abs(channel.effect))


def purest(name: str, effects: np.ndarray, strong: int) -> list[Channel]:
    """Return the channels that change an attribute most, those first that change little else.

    Args:
        name: The attribute.
        effects: (S, A), of one deviation of each channel on each attribute.
        strong: How many.
    """
    own = NAMES.index(name)
    others = np.sqrt((np.delete(effects, own, axis=1) ** 2).mean(axis=1))
    ratio = np.abs(effects[:, own]) / others.clip(1e-12)
    strongest = np.argsort(-np.abs(effects[:, own]), kind="stable")[:strong]
    ordered = strongest[np.argsort(-ratio[strongest], kind="stable")]
    return [Channel(name, int(c), float(effects[c, own]), float(ratio[c])) for c in ordered]


def measured(found: Sweep) -> dict[str, Any]:
    """Return what the judge sees once the attribute has changed by one deviation."""
    moved, identity, reached = matched_drift(found)
    if not reached.any():
        return {"reached": 0.0}
    return {
        "reached": float(reached.mean()),
        "drift": float(np.nanmean(moved)),
        "identity": float(identity.mean()),
    }


def report_on(records: list[dict[str, Any]]) -> Report:
    """Return the report, the channels that drift least beside W first."""
    columns = {
        "name": "attribute",
        "channel": "channel",
        "deviations": Column("deviations for 1", ".1f"),
        "reached": Column("reached", ".0%"),
        "drift": Column("drift", ".3f"),
        "identity": Column("identity", ".2f"),
        "reached_w": Column("reached in W", ".0%"),
        "drift_w": Column("drift in W", ".3f"),
        "identity_w": Column("identity in W", ".2f"),
        "ratio": Column("ratio", ".2f"),
    }
    records = [{**record, "ratio": _ratio(record)} for record in records]
    ordered = sorted(records, key=lambda r: (r["ratio"] is None, r["ratio"]))
    known = [record["ratio"] for record in records if record["ratio"] is not None]
    said = (
        f"Of {len(records)} attributes {sum(r <= HALF for r in known)} have a channel whose drift "
        f"is at most half that of the direction in W, {sum(r <= 1 for r in known)} one whose drift "
        "is no larger."
    )
    if known:
        middle = float(np.median([record["deviations"] for record in records]))
        said += (
            f" At the median the drift is {np.median(known):.2f} times as large, and a channel "
            f"moves by {middle:.1f} deviations for one of its attribute."
        )
    return Report("Channels", records, [Section(tables=[tabulate(columns, ordered)], prose=[said])])


def _ratio(record: dict[str, Any]) -> float | None:
    both = record.get("drift"), record.get("drift_w")
    return None if None in both else both[0] / both[1]  # pyright: ignore - none is None
