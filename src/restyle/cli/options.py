"""Options that several commands have, and the exit codes of all of them."""

from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

FAILED, MISUSED, INTERRUPTED = 1, 2, 130


def _counts(type_: Any, value: Any) -> None:
    if isinstance(value, int):
        Number(gte=1)(type_, value)


# A validator inside of a union would not be asked.
Count = Annotated[int, Parameter(validator=Number(gte=1))]
OptionalCount = Annotated[int | None, Parameter(validator=_counts)]
Face = Annotated[int | Literal["largest", "all"], Parameter(validator=_counts)]
Steps = Annotated[int | Literal["auto"] | None, Parameter(validator=_counts)]
Flag = Annotated[bool, Parameter(negative="")]
Device = Literal["auto", "cpu", "cuda", "mps"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]
