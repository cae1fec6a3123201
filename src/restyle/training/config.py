"""What is trained, and how: frozen records, free of torch, that the command line derives from."""

from __future__ import annotations
