"""Portraits in words: English sentences from the attributes, plain ones or ever different ones."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from restyle.portraits.attributes import Attributes
from restyle.portraits.visibility import visible
from restyle.portraits.wording import FURTHER, OPENINGS, PERSONS, PLURALS, SCALES, WORDS

SHORTEST, SHORT = 1, 4
"""Facts in half of the captions that leave something out; the others have any number of them."""

COMPLETE = 0.25
"""Share of the random captions that leave nothing out."""

_ADJECTIVE = re.compile(r"\{(.+)\} (\w+)")
_GENERAL = {"glasses": "any_glasses", "hat": "any_hat"}


def facts(a: Attributes) -> dict[str, str]:
    """Return what can be said of a portrait: the level of each fact, named as in `wording.WORDS`.

    What the picture does not show, and what is neither one thing nor the other, is left out.
    """
    shown = visible(a)
    told = {}
    for name in WORDS:
        if name in SCALES:
            level = next(level for limit, level in SCALES[name] if getattr(a, name) <= limit)
        elif name.startswith("any_"):
            level = "none" if getattr(a, name.removeprefix("any_")) == "none" else "some"
        elif name in ("clothes", "background"):
            level = _colour(*(getattr(a, f"{name}_{part}") for part in ("red", "green", "blue")))
        else:
            level = getattr(a, name)
        if level and shown.get(name, True):
            told[name] = level
    return told


def caption(a: Attributes, rng: np.random.Generator | None = None) -> str:
    """Describe a portrait in one sentence, left and right being those of the picture.

    Args:
        a: What it shows.
        rng: Chooses what is said, in which order and in which words; all that can be said, in the
            plainest words, without it.
    """
    told = facts(a)
    return compose(complete(told) if rng is None else choose(told, rng), rng)


def complete(told: Mapping[str, str]) -> dict[str, str]:
    """Return all facts but those that others already say."""
    general = {_GENERAL[name] for name in told if name in _GENERAL}
    return {name: level for name, level in told.items() if name not in general}


def choose(told: Mapping[str, str], rng: np.random.Generator) -> dict[str, str]:
    """Return some of the facts, at random, in a random order."""
    if rng.random() < COMPLETE:
        count = len(told)
    else:
        most = SHORT if rng.random() < 0.5 else len(told)
        count = int(rng.integers(SHORTEST, most + 1))
    names = [list(told)[i] for i in rng.permutation(len(told))[:count]]
    return complete({name: told[name] for name in names})


def compose(told: Mapping[str, str], rng: np.random.Generator | None = None) -> str:
    """Say facts in one sentence, as in `caption`.

    Args:
        told: Levels by fact, as in `wording.WORDS`.
        rng: Chooses the words; the plainest ones without it.
    """
    phrases = [_pick(WORDS[name][level], rng) for name, level in told.items()]
    adjectives: dict[str, list[str]] = {}
    groups: dict[str, list[str]] = {}
    for phrase in phrases:
        if found := _ADJECTIVE.fullmatch(phrase):
            adjectives.setdefault(found[2], []).append(found[1])
        else:
            head, _, rest = phrase.partition(" ")
            groups.setdefault(head, []).append(rest)
    own = adjectives.pop("person", [])
    for noun, words in adjectives.items():
        apart = rng is not None and rng.random() < 0.3
        things = [[word] for word in words] if apart else [words]
        groups.setdefault("with", []).extend(_thing(noun, thing) for thing in things)
    return _sentence(own, groups, rng)


def vocabulary() -> list[str]:
    """Return every word that captions can have, sorted."""
    texts = [text for levels in WORDS.values() for texts in levels.values() for text in texts]
    return sorted(
        {word for text in (*texts, *OPENINGS, *PERSONS, *FURTHER) for word in split(text)}
    )


def split(text: str) -> list[str]:
    """Split a text into its words, in lower case; `close-set` is two."""
    return re.findall(r"[^\W\d_]+", text.lower())


def _sentence(
    own: Sequence[str], groups: Mapping[str, list[str]], rng: np.random.Generator | None
) -> str:
    said = [f"{head} {_listed(rest)}".strip() for head, rest in groups.items()]
    noun = _pick(PERSONS[: len(PERSONS) - bool(own)], rng)
    who = noun if noun == PERSONS[-1] else _thing(noun, own)
    if rng is not None:
        said = [said[i] for i in rng.permutation(len(said))]
        if said and rng.random() < 0.15:
            said[0] = _clause(said[0])
    sentence = f"{_pick(OPENINGS, rng).format(who)} {', '.join(said)}".strip()
    return f"{sentence[0].upper()}{sentence[1:]}."


def _clause(phrase: str) -> str:
    """`with a smile` becomes `who has a smile`, and `smiling` becomes `who is smiling`."""
    head, _, rest = phrase.partition(" ")
    return f"who has {rest}" if head == "with" else f"who is {phrase}"


def _pick(options: Sequence[str], rng: np.random.Generator | None) -> str:
    return options[0] if rng is None else options[int(rng.integers(len(options)))]


def _thing(noun: str, adjectives: Sequence[str]) -> str:
    words = " ".join([*adjectives, noun])
    if noun in PLURALS:
        return words
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _colour(red: float, green: float, blue: float) -> str:
    """Name a colour; the names are those of `wording`."""
    least, most = min(red, green, blue), max(red, green, blue)
    if most - least < 0.25:
        mean = (red + green + blue) / 3
        return "black" if mean < 0.3 else "grey" if mean < 0.7 else "white"
    low = (least + most) / 2  # a part above it belongs to the hue
    parts = (red > low, green > low, blue > low)
    return {
        (True, False, False): "red",
        (True, True, False): "yellow",
        (False, True, False): "green",
        (False, True, True): "turquoise",
        (False, False, True): "blue",
        (True, False, True): "purple",
    }[parts]
