"""What a pickle may be: one pass over its opcodes decides, before anything reads it.

A reader honours frames, and a parser of opcodes does not: a length that is changed lets each see
another stream. Here a pickle whose frames do not fit its opcodes is refused, so that the stream
that is checked is the stream that is executed, and lengths and numbers take no more memory than the
file has bytes.
"""

import pickletools
from mmap import mmap
from typing import IO, cast

# What picklers have written since protocol 2, as far as networks need it.
_ALLOWED = frozenset(
    "PROTO FRAME STOP MARK POP POP_MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT"
    " BINSTRING SHORT_BINSTRING BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES"
    " BINBYTES8 EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM"
    " SETITEMS EMPTY_SET ADDITEMS GLOBAL STACK_GLOBAL REDUCE BUILD NEWOBJ NEWOBJ_EX BINPUT"
    " LONG_BINPUT MEMOIZE BINGET LONG_BINGET".split()
)
_FRAME_HEAD = 9  # bytes: the opcode and its length


def check_pickle(pickled: mmap) -> None:
    """Check that a file is one pickle which is read as its opcodes say, in memory of its own size.

    Raises:
        ValueError: An opcode that no network needs, a frame that is not exactly filled, a memo
            number that no pickler writes, a length beyond the file, or anything after the pickle.
    """
    frame_end = position = 0
    opcodes = pickletools.genops(cast(IO[bytes], pickled))
    for count, (opcode, argument, where) in enumerate(opcodes):
        position = where or 0
        if opcode.name not in _ALLOWED:
            raise ValueError(f"the opcode {opcode.name}, which no network needs")
        if position > frame_end > 0:
            raise ValueError(f"an opcode across the end of a frame, at byte {frame_end}")
        frame_end = frame_end if position < frame_end else 0
        if opcode.name == "FRAME":
            if frame_end:
                raise ValueError(f"a frame in a frame, at byte {position}")
            frame_end = position + _FRAME_HEAD + int(str(argument))
        elif opcode.name in ("BINPUT", "LONG_BINPUT") and int(str(argument)) > count:
            raise ValueError(f"memo number {argument} at opcode {count}")
    end = position + 1
    if frame_end not in (0, end) or end != len(pickled):
        raise ValueError(f"a pickle of {end} bytes in a file or frame that has another length")
    pickled.seek(0)
