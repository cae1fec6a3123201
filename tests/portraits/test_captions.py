import pytest

from restyle.portraits.attributes import Attributes
from restyle.portraits.captions import caption


def test_a_whole_sentence():
    person = Attributes(
        age=70, skin_tone=0.95, hair_style="curly", hair_colour="black", eye_colour="brown"
    )
    worn = person.with_(beard="full", glasses="thin", hat="beanie", smile=0.8, yaw=-15, pitch=8)
    worn = worn.with_(mouth_open=0)
    assert caption(worn) == (
        "A portrait of an old person with dark brown skin, curly greying black hair, brown eyes "
        "and a full beard, wearing thin round glasses and a beanie, smiling and looking up and "
        "to the left."
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"age": 20}, "a young person"),
        ({"age": 50}, "a middle-aged person"),
        ({"hair_style": "bald"}, "a bald head"),
        ({"beard": "moustache"}, "and a moustache"),
        ({"smile": -0.8}, ", frowning."),
        ({"mouth_open": 0.9}, ", the mouth open."),
        ({"mouth_open": 0.9, "smile": 0.9}, ", smiling with an open mouth."),
        ({"yaw": 15}, ", looking to the right."),
        ({"pitch": -8}, ", looking down."),
        ({"glasses": "thick"}, ", wearing thick black glasses."),
        ({"hat": "brimmed"}, ", wearing a brimmed hat."),
    ],
)
def test_what_is_seen_is_said(changes, words):
    still = Attributes(age=70, hair_style="short", mouth_open=0)
    assert words in caption(still.with_(**changes)) and words not in caption(still)
