import numpy as np
import pytest

from restyle.portraits.attributes import SCHEMA, Attributes, class_names, sample
from restyle.portraits.captions import (
    caption,
    choose,
    complete,
    compose,
    facts,
    split,
    vocabulary,
)
from restyle.portraits.wording import SCALES, WORDS

PLAIN = Attributes(age=70, hair_style="short", mouth_open=0.2)


def test_a_whole_sentence():
    person = Attributes(
        age=66, skin_tone=0.95, hair_style="curly", hair_colour="black", eye_colour="brown"
    )
    worn = person.with_(beard="full", glasses="thin", hat="beanie", smile=0.8, yaw=-15, pitch=8)
    worn = worn.with_(mouth_open=0, clothes_red=1, clothes_green=0, clothes_blue=0)
    assert caption(worn) == (
        "A portrait of an old person with a full beard, dark brown skin, brown eyes, curly black "
        "hair and a closed mouth, wearing thin round glasses, a beanie, a round neckline and red "
        "clothes, before a grey background, looking to the left and up, smiling."
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"age": 20}, "young person"),
        ({"age": 50}, "middle-aged person"),
        ({"hair_style": "bald"}, "bald person"),
        ({"beard": "moustache"}, "a moustache"),
        ({"beard": "none"}, "without a beard"),
        ({"smile": -0.8}, "frowning"),
        ({"mouth_open": 0.9}, "an open mouth"),
        ({"yaw": 15}, "looking to the right"),
        ({"pitch": -8}, "looking down"),
        ({"glasses": "thick"}, "thick black glasses"),
        ({"hat": "brimmed"}, "a brimmed hat"),
        ({"background_red": 0.9, "background_green": 0.9, "background_blue": 0.1}, "yellow back"),
        ({"clothes_red": 0.1, "clothes_green": 0.1, "clothes_blue": 0.1}, "black clothes"),
    ],
)
def test_what_is_seen_is_said(changes, words):
    still = PLAIN.with_(beard="stubble")
    assert words in caption(still.with_(**changes)) and words not in caption(still)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"hair_style": "bald"}, "hair_colour"),
        ({"hair_style": "bald"}, "hair_length"),
        ({"age": 79}, "hair_colour"),
        ({"hat": "beanie", "hair_part": 0.9}, "hair_part"),
        ({"face_width": 0.1}, "face_width"),
    ],
)
def test_what_is_not_seen_or_is_average_is_not_said(changes, name):
    person = Attributes(age=30, hair_length=0.9, hair_part=0.9, face_width=0.8)
    assert name in facts(person)
    assert name not in facts(person.with_(**changes))


def test_every_class_and_every_level_has_words_of_its_own():
    for name, names in class_names.items():
        assert set(WORDS[name]) == set(names)
    for name, levels in SCALES.items():
        assert set(WORDS[name]) == {level for _, level in levels if level}
        assert [limit for limit, _ in levels] == sorted(limit for limit, _ in levels)
    for name, levels in WORDS.items():
        said = [compose({name: level}) for level in levels]
        assert len(set(said)) == len(said), name
        parts = (f"{name}_red", name.removeprefix("any_"))
        assert any(part in SCHEMA for part in parts), name


def test_captions_vary_in_words_order_and_length_and_are_seeded():
    def captions(seed):
        rng = np.random.default_rng(seed)
        return [caption(sample(7), rng) for _ in range(50)]

    first = captions(0)
    assert first == captions(0) != captions(1)
    assert len(set(first)) == 50
    lengths = [len(split(text)) for text in first]
    assert min(lengths) < 10 and max(lengths) > 50


def test_the_words_of_captions_are_known():
    known = set(vocabulary())
    rng = np.random.default_rng(3)
    for person in range(200):
        words = split(caption(sample(person), rng))
        assert words and set(words) <= known
    assert {"with", "without", "glasses", "no", "person"} <= known


def test_what_is_left_out_is_left_out_and_nothing_is_said_twice():
    rng = np.random.default_rng(1)
    told = facts(PLAIN.with_(glasses="thin"))
    for _ in range(100):
        chosen = choose(told, rng)
        assert chosen and chosen.items() <= told.items()
        assert not {"glasses", "any_glasses"} <= set(chosen)
    assert "any_glasses" not in complete(told)
    assert set(told) - set(complete(told)) == {"any_glasses", "any_hat"}


def test_adjectives_of_one_noun_are_one_phrase():
    told = {"eye_size": "big", "eye_colour": "blue", "any_glasses": "some"}
    assert compose(told) == "A portrait of a person wearing glasses, with big blue eyes."
    assert compose({"age": "old"}) == "A portrait of an old person."
