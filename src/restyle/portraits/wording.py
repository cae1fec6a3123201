"""What is said of portraits, and in which words: the levels of every fact, each with its wordings.

A wording is an adjective in braces before its noun, `{curly} hair`, which goes into one phrase with
other adjectives of that noun; or a phrase whose first word, such as *with*, it shares with others.
"""

from math import inf

Levels = tuple[tuple[float, str], ...]
"""The upper limit of each level, ascending, and its name; nothing is said of the level ""."""


def _two(low: str, high: str, limit: float = 0.35) -> Levels:
    return (-limit, low), (limit, ""), (inf, high)


SCALES: dict[str, Levels] = {
    "age": ((35, "young"), (58, "middle-aged"), (inf, "old")),
    "skin_tone": ((0.2, "very light"), (0.4, "light"), (0.6, "tan"), (0.8, "brown"), (inf, "dark")),
    "skin_warmth": _two("rosy", "golden", 0.4),
    "face_width": _two("narrow", "wide"),
    "face_length": _two("short", "long"),
    "jaw_width": _two("narrow", "wide"),
    "chin_width": _two("narrow", "wide"),
    "eye_size": _two("small", "big"),
    "eye_spacing": _two("close", "wide"),
    "eye_tilt": _two("down", "up"),
    "nose_width": _two("narrow", "wide"),
    "nose_length": _two("short", "long"),
    "mouth_width": _two("narrow", "wide"),
    "lip_fullness": _two("thin", "full", 0.45),
    "lip_redness": ((0.3, "pale"), (0.7, ""), (inf, "red")),
    "brow_thickness": _two("thin", "thick"),
    "brow_angle": _two("down", "up"),
    "brow_raise": _two("low", "high"),
    "yaw": ((-9, "left"), (-4, ""), (4, "straight"), (9, ""), (inf, "right")),
    "pitch": ((-6, "down"), (6, ""), (inf, "up")),
    "roll": ((-4, "left"), (4, ""), (inf, "right")),
    "smile": ((-0.3, "frown"), (-0.12, ""), (0.12, "neutral"), (0.3, ""), (inf, "smile")),
    "mouth_open": ((0.12, "closed"), (0.4, ""), (inf, "open")),
    "eye_opening": ((0.36, "narrow"), (0.64, ""), (inf, "wide")),
    "gaze": ((-0.3, "left"), (0.3, ""), (inf, "right")),
    "light_direction": _two("left", "right"),
    "hair_length": ((0.3, "little"), (0.7, ""), (inf, "much")),
    "hair_part": ((-0.4, "left"), (-0.15, ""), (0.15, "middle"), (0.4, ""), (inf, "right")),
}
"""How the continuous attributes are divided into levels, in their own units."""

_COLOURS = {
    "black": "black",
    "grey": "grey",
    "white": "white",
    "red": "red",
    "yellow": "yellow",
    "green": "green",
    "turquoise": "turquoise",
    "blue": "blue",
    "purple": "purple",
}

WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "age": {
        "young": ("{young} person", "{youthful} person"),
        "middle-aged": ("{middle-aged} person", "{adult} person"),
        "old": ("{old} person", "{elderly} person", "{aged} person"),
    },
    "skin_tone": {
        "very light": ("{very light} skin", "{very pale} skin"),
        "light": ("{light} skin", "{fair} skin"),
        "tan": ("{tan} skin", "{tanned} skin"),
        "brown": ("{brown} skin",),
        "dark": ("{dark brown} skin", "{dark} skin"),
    },
    "skin_warmth": {
        "rosy": ("{rosy} skin", "{pink} skin"),
        "golden": ("{golden} skin", "{warm} skin"),
    },
    "face_width": {
        "narrow": ("{narrow} face", "{slim} face", "{thin} face"),
        "wide": ("{wide} face", "{broad} face"),
    },
    "face_length": {"short": ("{short} face",), "long": ("{long} face",)},
    "jaw_width": {"narrow": ("{narrow} jaw",), "wide": ("{wide} jaw", "{strong} jaw")},
    "chin_width": {
        "narrow": ("{pointed} chin", "{narrow} chin"),
        "wide": ("{broad} chin", "{wide} chin"),
    },
    "eye_size": {"small": ("{small} eyes",), "big": ("{big} eyes", "{large} eyes")},
    "eye_spacing": {"close": ("{close-set} eyes",), "wide": ("{wide-set} eyes",)},
    "eye_tilt": {
        "down": ("{downturned} eyes", "{drooping} eyes"),
        "up": ("{upturned} eyes", "{slanted} eyes"),
    },
    "eye_opening": {
        "narrow": ("{narrowed} eyes", "{half-closed} eyes", "squinting"),
        "wide": ("{wide open} eyes", "{wide} eyes"),
    },
    "eye_colour": {
        "brown": ("{brown} eyes",),
        "blue": ("{blue} eyes",),
        "green": ("{green} eyes",),
    },
    "nose_width": {
        "narrow": ("{narrow} nose", "{thin} nose"),
        "wide": ("{wide} nose", "{broad} nose"),
    },
    "nose_length": {"short": ("{short} nose",), "long": ("{long} nose",)},
    "mouth_width": {
        "narrow": ("{small} mouth", "{narrow} mouth"),
        "wide": ("{wide} mouth", "{big} mouth"),
    },
    "lip_fullness": {"thin": ("{thin} lips",), "full": ("{full} lips", "{thick} lips")},
    "lip_redness": {"pale": ("{pale} lips",), "red": ("{red} lips", "wearing lipstick")},
    "brow_thickness": {
        "thin": ("{thin} eyebrows", "{thin} brows"),
        "thick": ("{thick} eyebrows", "{bushy} eyebrows", "{thick} brows"),
    },
    "brow_angle": {
        "down": ("{drooping} eyebrows", "{downturned} brows"),
        "up": ("{slanted} eyebrows", "{upturned} brows"),
    },
    "brow_raise": {
        "low": ("{lowered} eyebrows", "{low} brows"),
        "high": ("{raised} eyebrows", "{high} brows"),
    },
    "hair_length": {
        "little": ("{flat} hair", "with little hair"),
        "much": ("{voluminous} hair", "with much hair"),
    },
    "hair_style": {
        "short": ("{short} hair",),
        "long": ("{long} hair",),
        "cropped": ("{closely cropped} hair", "{very short} hair", "{cropped} hair"),
        "curly": ("{curly} hair", "with curls"),
        "bald": ("{bald} person", "{bald} head", "without hair", "with no hair"),
    },
    "hair_colour": {
        "brown": ("{brown} hair",),
        "black": ("{black} hair",),
        "blond": ("{blond} hair", "{blonde} hair"),
        "red": ("{red} hair", "{ginger} hair"),
        "grey": ("{grey} hair", "{gray} hair"),
    },
    "hair_part": {
        "left": ("with a parting on the left",),
        "middle": ("with a parting in the middle",),
        "right": ("with a parting on the right",),
    },
    "beard": {
        "none": ("without a beard", "with no beard", "{clean-shaven} person"),
        "moustache": ("with a moustache", "wearing a moustache", "with a mustache"),
        "stubble": ("with stubble", "{unshaven} person"),
        "full": ("with a full beard", "with a beard", "{bearded} person"),
    },
    "any_glasses": {
        "none": ("without glasses", "with no glasses", "not wearing glasses"),
        "some": ("wearing glasses", "with glasses", "wearing spectacles"),
    },
    "glasses": {
        "none": ("without glasses", "with no glasses", "not wearing glasses"),
        "thin": ("wearing thin round glasses", "with thin glasses", "with round glasses"),
        "thick": ("wearing thick black glasses", "with thick glasses", "with black glasses"),
    },
    "any_hat": {
        "none": ("without a hat", "with no hat", "not wearing a hat", "{bareheaded} person"),
        "some": ("wearing a hat", "with a hat"),
    },
    "hat": {
        "none": ("without a hat", "with no hat", "not wearing a hat", "{bareheaded} person"),
        "brimmed": ("wearing a brimmed hat", "with a brimmed hat", "with a hat with a brim"),
        "beanie": ("wearing a beanie", "with a beanie", "wearing a knitted cap"),
    },
    "neckline": {
        "round": ("wearing a round neckline", "wearing a crew neck"),
        "collar": ("wearing a collar", "with a collar"),
        "open": ("wearing an open neckline", "wearing an open collar"),
    },
    "clothes": {
        name: (f"wearing {colour} clothes", f"dressed in {colour}", f"wearing a {colour} shirt")
        for name, colour in _COLOURS.items()
    },
    "background": {
        name: (
            f"before a {colour} background",
            f"against a {colour} background",
            f"on a {colour} background",
        )
        for name, colour in _COLOURS.items()
    },
    "yaw": {
        "left": ("looking to the left", "turned to the left", "facing left"),
        "straight": ("facing forward", "looking straight ahead"),
        "right": ("looking to the right", "turned to the right", "facing right"),
    },
    "pitch": {
        "down": ("looking down", "looking downwards"),
        "up": ("looking up", "looking upwards"),
    },
    "roll": {
        "left": ("leaning to the left", "with a head tilted to the left"),
        "right": ("leaning to the right", "with a head tilted to the right"),
    },
    "smile": {
        "frown": ("frowning", "with a frown", "{sad} person", "{unhappy} person"),
        "neutral": ("with a neutral expression", "not smiling", "{serious} person"),
        "smile": ("smiling", "with a smile", "{smiling} person", "{happy} person"),
    },
    "mouth_open": {
        "closed": ("{closed} mouth",),
        "open": ("{open} mouth",),
    },
    "gaze": {
        "left": ("glancing to the left", "with eyes to the left"),
        "right": ("glancing to the right", "with eyes to the right"),
    },
    "light_direction": {
        "left": ("lit from the left", "with light from the left"),
        "right": ("lit from the right", "with light from the right"),
    },
}
"""The facts of a portrait: the wordings of each level, the plainest first."""

OPENINGS = (
    "a portrait of {}",
    "{}",
    "a photo of {}",
    "a picture of {}",
    "an image of {}",
    "a drawing of {}",
    "this is {}",
    "the face of {}",
)
PERSONS = ("person", "person", "person", "human", "somebody")
"""What stands for *person*; the last one takes no adjectives before it."""

PLURALS = {"eyes", "lips", "eyebrows", "brows", "skin", "hair"}
"""Nouns without an article."""

FURTHER = "the a an and of who is has with wearing not without no very in on to".split()
"""Words that are known beside those of the wordings."""
