"""Options that several commands have, and the exit codes of all of them."""

from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

FAILED, MISUSED, INTERRUPTED = 1, 2, 130

Count = Annotated[int, Parameter(validator=Number(gte=1))]
Flag = Annotated[bool, Parameter(negative="")]
Device = Literal["auto", "cpu", "cuda", "mps"]
Dtype = Literal["float32", "bfloat16", "float16"]
