"""Limits on pickles: one pass over the opcodes decides, before anything reads them.

A reader honours frames, and a parser of opcodes does not: a length that is changed lets each see
another stream. Here a pickle whose frames do not fit its opcodes is refused, so that the stream
that is checked is the stream that is executed. Lengths and numbers take no more memory than the
file has bytes, and what a few bytes name again and again counts as often as it is named: objects
that hold another one twice, which holds another one twice, would take exponential time to hash.
"""

import pickletools
from dataclasses import dataclass
from mmap import mmap
from typing import IO, cast

# What picklers have written since protocol 2, as far as networks need it.
_ALLOWED = frozenset(
    "PROTO FRAME STOP MARK POP POP_MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT"
    " BINSTRING SHORT_BINSTRING BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES"
    " BINBYTES8 EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST APPEND APPENDS EMPTY_DICT SETITEM"
    " SETITEMS EMPTY_SET ADDITEMS GLOBAL STACK_GLOBAL REDUCE BUILD NEWOBJ NEWOBJ_EX BINPUT"
    " LONG_BINPUT MEMOIZE BINGET LONG_BINGET BINPERSID".split()
)
_FILLED = frozenset("APPEND APPENDS SETITEM SETITEMS ADDITEMS BUILD".split())
_FRAME_HEAD = 9  # bytes: the opcode and its length
_SHARED = 10  # how many objects a pickle may name again for each of its bytes
_SLACK = 2**22  # and that many more, for small ones
_TEXT = 8  # characters that count as an object
_DEPTH = 100  # tuples in tuples: hashing them recurses, without a limit of its own


def check_pickle(pickled: IO[bytes] | mmap, whole: bool = True) -> None:
    """Check that a pickle is read as its opcodes say, in time and memory of its own size.

    Args:
        pickled: A stream at the pickle's start. It is left there if the pickle is the `whole` rest
            of it, else at the pickle's end.
        whole: Whether nothing may come after the pickle.

    Raises:
        ValueError: An opcode that no network needs, a frame that is not exactly filled, a memo
            number that no pickler writes, a length beyond the file, operands that are not there,
            objects that are shared far too often, or anything after the pickle.
    """
    start = pickled.tell()
    frame_end = position = 0
    objects = _Objects()
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
        elif opcode.name == "GLOBAL" and str(argument).endswith(" bytearray"):
            # It would be as large as the number it is called with.
            raise ValueError("builtins.bytearray, which is not run")
        try:
            objects.execute(opcode, argument)
        except LookupError:
            raise ValueError(f"{opcode.name} without its operands, at byte {position}") from None
        if objects.named > _SHARED * (position - start) + _SLACK:
            raise ValueError(f"objects that are shared too often, at byte {position}")
    end = position + 1
    if frame_end not in (0, end) or (whole and pickled.read(1)):
        raise ValueError(f"a pickle of {end - start} bytes in a file or frame of another length")
    if whole:
        pickled.seek(start)


@dataclass(slots=True)
class _Object:
    """The size of an object, as if nothing in it were shared.

    Attributes:
        size: How many objects; a long text counts as several.
        depth: How many tuples lie in each other.
    """

    size: int
    depth: int = 0


class _Objects:
    """The stack and the memo of a reader, with sizes in the place of objects.

    Attributes:
        named: The sizes of all objects that were taken from the memo.
    """

    def __init__(self) -> None:
        self.named = 0
        self._stack: list[_Object] = []
        self._below: list[list[_Object]] = []  # what lies under each mark
        self._memo: dict[int, _Object] = {}

    def execute(self, opcode: pickletools.OpcodeInfo, argument: object) -> None:
        """Do what an opcode does.

        Raises:
            LookupError: An operand is not there.
            ValueError: Tuples lie too deep in each other.
        """
        name = opcode.name
        if name == "MARK":
            self._below.append(self._stack)
            self._stack = []
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            number = len(self._memo) if name == "MEMOIZE" else int(str(argument))
            self._memo[number] = self._stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self._stack.append(self._memo[int(str(argument))])
            self.named += self._stack[-1].size
        elif name == "POP" and not self._stack:
            self._stack = self._below.pop()
        else:
            self._make(opcode, argument)

    def _make(self, opcode: pickletools.OpcodeInfo, argument: object) -> None:
        taken = self._operands(opcode)
        size = sum(item.size for item in taken)
        if opcode.name in _FILLED:
            taken[0].size = size
            self._stack.append(taken[0])
        elif opcode.stack_after:
            length = len(argument) if isinstance(argument, str | bytes) else 0
            # What is called may hand on what it is given.
            depth = max((item.depth for item in taken), default=0)
            depth += opcode.name.startswith("TUPLE")
            if depth > _DEPTH:
                raise ValueError(f"more than {_DEPTH} tuples in each other")
            self._stack.append(_Object(1 + size + length // _TEXT, depth))

    def _operands(self, opcode: pickletools.OpcodeInfo) -> list[_Object]:
        before = opcode.stack_before
        marked: list[_Object] = []
        count = len(before)
        if pickletools.markobject in before:
            marked, self._stack = self._stack, self._below.pop()
            count = before.index(pickletools.markobject)
        single = [self._stack.pop() for _ in range(count)]
        return [*reversed(single), *marked]
