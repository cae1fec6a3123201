"""Foreign files: checkpoints of other projects, read without running any code in them."""

from restyle.importers.files import read

__all__ = ["read"]
