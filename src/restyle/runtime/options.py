"""The names that options take; free of torch."""

from typing import Literal

Device = Literal["auto", "cpu", "cuda", "mps"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]

Fit = Literal["stretch", "crop", "pad"]
"""Ways to the aspect of the encoder's input: stretched, cropped, or with white bars."""

TextMethod = Literal["one-pass", "global", "mapper", "optimiser", "direct"]
"""How a text is made an edit; see `restyle.editing.text_editor`."""
