"""Attributes of portraits as a feature network reads them, in each one's own deviations."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from restyle.portraits.attributes import SCHEMA, Attributes, Classes, class_names, continuous_names
from restyle.portraits.features import FeatureNetwork
from restyle.portraits.visibility import visible

ACCESSORIES = ("glasses", "beard", "hat")
"""Attributes with classes that are read as there or not there."""

NAMES = (*continuous_names, *ACCESSORIES)
"""The A attributes that are read, in the order of the readings' columns."""


class Reading(NamedTuple):
    """The readings of N pictures.

    Attributes:
        values: (N, A), in deviations.
        embeddings: (N, E) identity embeddings, of unit length.
        shown: (N, A), whether the picture shows the attribute at all.
    """

    values: np.ndarray
    embeddings: np.ndarray
    shown: np.ndarray


class Reader:
    """Reads the attributes of images as numbers that can be compared with one another.

    A continuous attribute is read in standard deviations over the portraits. An accessory is read
    as the probability that it is there, in standard deviations of its being there.
    """

    def __init__(self, network: FeatureNetwork):
        self.network = network

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Reading:
        """Read images (N, 3, h, w) in [-1, 1]."""
        heads = self.network.heads(images)
        margins = accessory_margins(heads["logits"])
        present = margins.sigmoid() / torch.tensor([deviation(n) for n in ACCESSORIES]).to(margins)
        readings = torch.cat([heads["values"], present], dim=1)
        embeddings = heads["embedding"].cpu().numpy()
        return Reading(readings.cpu().numpy(), embeddings, self._shown(heads))

    @torch.no_grad()
    def labels(self, images: Tensor) -> np.ndarray:
        """Return scores (N, A) to find directions by: as readings, but accessories as log-odds.

        What a picture does not show, such as a bald person's hair length, is NaN.
        """
        heads = self.network.heads(images)
        margins = accessory_margins(heads["logits"])
        scores = torch.cat([heads["values"], margins], dim=1).cpu().numpy()
        return np.where(self._shown(heads), scores, np.nan)

    def _shown(self, heads: dict[str, Tensor]) -> np.ndarray:
        return np.array([shown(person) for person in people_in(self.network, heads)])


def people_in(network: FeatureNetwork, heads: dict[str, Tensor]) -> list[Attributes]:
    """Return the people that a network's `heads` see, their attributes within the ranges."""
    vectors = (heads["values"] * network.scale + network.mean).cpu().numpy()
    classes = [part.argmax(dim=1) for part in _by_class(heads["logits"]).values()]
    return list(map(Attributes.from_vectors, vectors, torch.stack(classes, dim=1).cpu().numpy()))


def accessory_margins(logits: Tensor) -> Tensor:
    """Return log-odds (N, len(ACCESSORIES)) that each is there, from all logits (N, K)."""
    parts, found = _by_class(logits), []
    for name in ACCESSORIES:
        absent = class_names[name].index("none")
        others = [i for i in range(len(class_names[name])) if i != absent]
        found.append(parts[name][:, others].logsumexp(dim=1) - parts[name][:, absent])
    return torch.stack(found, dim=1)


def _by_class(logits: Tensor) -> dict[str, Tensor]:
    parts = logits.split([len(names) for names in class_names.values()], dim=1)
    return dict(zip(class_names, parts, strict=True))


def deviation(accessory: str) -> float:
    """Return an accessory's standard deviation of being there (0 or 1), over the portraits."""
    spec = SCHEMA[accessory]
    assert isinstance(spec, Classes)
    there = 1 - spec.shares[spec.names.index("none")]
    return float(np.sqrt(there * (1 - there)))


def shown(person: Attributes) -> list[bool]:
    """Tell which of the A attributes a picture of this person shows."""
    seen = visible(person)
    return [seen[name] for name in NAMES]


def changed(person: Attributes, name: str, network: FeatureNetwork) -> Attributes:
    """Return the same person with one attribute truly changed, to be drawn.

    A continuous attribute changes by one standard deviation, upwards where there is room for it,
    else downwards; an accessory is taken off, or the most common one is put on.
    """
    spec = SCHEMA[name]
    if isinstance(spec, Classes):
        absent = getattr(person, name) == "none"
        shares = dict(zip(spec.names, spec.shares, strict=True))
        del shares["none"]
        return person.with_(**{name: max(shares, key=shares.__getitem__) if absent else "none"})
    step = float(network.scale[continuous_names.index(name)]) * (spec.high - spec.low) / 2
    value = getattr(person, name)
    moved = value + step if value + step <= spec.high else value - step
    return person.with_(**{name: float(np.clip(moved, spec.low, spec.high))})
