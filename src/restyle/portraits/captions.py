"""Portraits in words: one plain English sentence from the attributes."""

from restyle.portraits.attributes import Attributes

_TONES = ("very light", "light", "tan", "brown", "dark brown")
_STYLES = {
    "short": "short {} hair",
    "long": "long {} hair",
    "cropped": "closely cropped {} hair",
    "curly": "curly {} hair",
    "bald": "a bald head",
}
_BEARDS = {"moustache": "a moustache", "stubble": "stubble", "full": "a full beard"}
_GLASSES = {"thin": "thin round glasses", "thick": "thick black glasses"}
_HATS = {"brimmed": "a brimmed hat", "beanie": "a beanie"}


def caption(a: Attributes) -> str:
    """Describe a portrait, left and right being those of the picture."""
    hair = _STYLES[a.hair_style].format(_hair_colour(a))
    features = [f"{_skin(a)} skin", hair, f"{a.eye_colour} eyes"]
    features += [_BEARDS[a.beard]] if a.beard != "none" else []
    worn = [_GLASSES[a.glasses]] if a.glasses != "none" else []
    worn += [_HATS[a.hat]] if a.hat != "none" else []
    sentence = f"A portrait of {_age(a.age)} person with {_listed(features)}"
    doing = [phrase for phrase in (_expression(a), _direction(a)) if phrase]
    sentence += f", wearing {_listed(worn)}" if worn else ""
    return sentence + (f", {_listed(doing)}." if doing else ".")


def _age(age: float) -> str:
    return "a young" if age < 35 else "a middle-aged" if age < 58 else "an old"


def _skin(a: Attributes) -> str:
    return _TONES[min(int(a.skin_tone * len(_TONES)), len(_TONES) - 1)]


def _hair_colour(a: Attributes) -> str:
    return f"greying {a.hair_colour}" if a.age > 62 and a.hair_colour != "grey" else a.hair_colour


def _expression(a: Attributes) -> str:
    mouth = "smiling" if a.smile > 0.3 else "frowning" if a.smile < -0.3 else ""
    if a.mouth_open > 0.45:
        return f"{mouth} with an open mouth" if mouth else "the mouth open"
    return mouth


def _direction(a: Attributes) -> str:
    sideways = "" if abs(a.yaw) < 9 else "to the left" if a.yaw < 0 else "to the right"
    upright = "" if abs(a.pitch) < 6 else "down" if a.pitch < 0 else "up"
    where = " and ".join(word for word in (upright, sideways) if word)
    return f"looking {where}" if where else ""


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
