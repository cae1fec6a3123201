"""Files that are changed in a few places: bytes, lengths, opcodes of pickles, values of JSON."""

import pickletools
import random
import re
import struct

LENGTHS = (0, 1, 2, 255, 256, 65_535, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1)

VALUES = b'null true -1 0.5 1e400 NaN "x" "" [] {} [[1]] {"a":1} 10000000000000000000000'.split()
VALUE = re.compile(rb'"[^"]*"|-?\d+(?:\.\d+)?|true|false|null')


def mutate(content: bytes, name: str, rng: random.Random) -> bytes:
    """Change a file in one to four places."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        changes = [_set, _insert, _remove, _repeat, _length, _cut]
        changes += [_opcode, _opcode, _opcode] if name.endswith(".pkl") else []
        changes += [_value, _value, _value] if name.endswith((".json", ".jsonl")) else []
        content = rng.choice(changes)(content, rng)
    return content


def _place(content: bytes, rng: random.Random) -> int:
    """Anywhere, but for the most part where headers and tables are."""
    end = max(len(content), 1)
    place = rng.choice((rng.randrange(end), rng.randrange(min(end, 300)), -rng.randrange(1, 300)))
    return place if place >= 0 else max(end + place, 0)


def _set(content: bytes, rng: random.Random) -> bytes:
    at = _place(content, rng)
    old = content[at] if at < len(content) else 0
    new = rng.choice((old ^ 1 << rng.randrange(8), rng.randrange(256), 0, 255))
    return content[:at] + bytes([new]) + content[at + 1 :]


def _insert(content: bytes, rng: random.Random) -> bytes:
    at = _place(content, rng)
    return content[:at] + rng.randbytes(rng.choice((1, 1, 2, 8, 100))) + content[at:]


def _remove(content: bytes, rng: random.Random) -> bytes:
    at = _place(content, rng)
    return content[:at] + content[at + rng.choice((1, 1, 2, 8, 100)) :]


def _repeat(content: bytes, rng: random.Random) -> bytes:
    start, at = _place(content, rng), _place(content, rng)
    return content[:at] + content[start : start + rng.choice((1, 8, 64, 1000))] + content[at:]


def _length(content: bytes, rng: random.Random) -> bytes:
    at, size = _place(content, rng), rng.choice((2, 4, 8))
    number = rng.choice((*LENGTHS, len(content), rng.randrange(max(len(content), 1))))
    packed = struct.pack(rng.choice("<>") + "Q", number)
    packed = packed[:size] if packed[0] or not packed[-1] else packed[-size:]
    digits = str(number).encode()
    return content[:at] + rng.choice((packed, packed, digits)) + content[at + size :]


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: _place(content, rng)]


def _value(content: bytes, rng: random.Random) -> bytes:
    """Put another value, or another key, in the place of one of JSON's."""
    found = list(VALUE.finditer(content))
    if not found:
        return content
    place = rng.choice(found)
    return content[: place.start()] + rng.choice(VALUES) + content[place.end() :]


def _opcode(content: bytes, rng: random.Random) -> bytes:
    """Remove, repeat, swap or invent an opcode of a pickle, or change its argument."""
    try:
        starts = [position for _, _, position in pickletools.genops(content[:100_000])]
    except Exception:  # no longer a pickle, or cut off
        starts = _starts(content)
    if len(starts) < 3:
        return content
    i, j = rng.randrange(len(starts) - 1), rng.randrange(len(starts) - 1)
    here, after = starts[i], starts[i + 1]
    there = content[starts[j] : starts[j + 1]]
    invented = rng.choice(pickletools.opcodes).code.encode("latin-1")
    number = struct.pack("<Q", rng.choice((*LENGTHS, rng.randrange(len(content)))))
    put = rng.choice(
        (b"", there, there + content[here:after], invented, invented + number)
        + (content[here : here + 1] + number[: max(after - here - 1, 1)],)
    )
    return content[:here] + put + content[after:]


def _starts(content: bytes) -> list[int]:
    starts = []
    try:
        for _, _, position in pickletools.genops(content[:100_000]):
            starts.append(position)
    except Exception:  # as far as it goes
        pass
    return starts
