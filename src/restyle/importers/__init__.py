"""Foreign files: checkpoints of other projects, read without running any code in them."""

from restyle.importers.convert import convert
from restyle.importers.directions import read_direction
from restyle.importers.files import read
from restyle.importers.kinds import describe

__all__ = ["convert", "describe", "read", "read_direction"]
