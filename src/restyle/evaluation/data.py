"""The images that models are measured on: test portraits, or those of a folder."""

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from restyle.inversion.targets import to_target
from restyle.io.files import sha256
from restyle.io.images import ImageError, from_uint8, list_images
from restyle.portraits.dataset import Portraits

STYLES = {"portraits": "photo", "toon": "toon"}
"""The drawn data by name, and the style they are drawn in; any other name is a folder."""


class Targets:
    """Named images of one size, read or drawn when they are needed.

    Attributes:
        names: What the images are called: a number of the test split, or a path in the folder.
        left_out: The images that cannot be used and why; broken ones are found when they are read.
        size: Their height and width, which they are resized to; the aspect is not kept.
    """

    def __init__(self, data: str, size: tuple[int, int], count: int | None = None):
        """List the images.

        Args:
            data: "portraits" or "toon" (test split), or a folder. Files of equal content count
                once.
            size: (height, width) that they shall have.
            count: The first so many of them; all of a folder, and 512 portraits, if None.

        Raises:
            ValueError: There are not so many portraits, they shall not be square, or there is no
                such data.
            ImageError: The folder holds no images.
        """
        self.size = size
        self.left_out: dict[str, str] = {}
        self._files: dict[str, Path] = {}
        self._digests: dict[str, str] = {}
        self._portraits = None
        if data in STYLES:
            self._portraits = unseen_portraits(data, size)
            count = 512 if count is None else count
            if count > len(self._portraits):
                raise ValueError(
                    f"expected at most {len(self._portraits):,} portraits, got {count:,}"
                )
            self.names = [f"{index:06d}" for index in range(count)]
            return
        if not Path(data).exists():
            known = ", ".join(STYLES)
            raise ValueError(f"expected {known} or a folder of images, got nothing at {data!r}")
        seen: dict[str, str] = {}
        for file in list_images(data):
            name = file.name.as_posix()
            try:
                digest = sha256(file.path)
            except OSError as error:
                self.left_out[name] = f"expected a readable file, got: {error.strerror}"
                continue
            if (first := seen.setdefault(digest, name)) != name:
                self.left_out[name] = f"the same file as {first}"
            else:
                self._files[name], self._digests[name] = file.path, digest
        self.names = list(self._files)[:count]

    def batches(self, size: int, done: Collection[str] = ()) -> Iterator[tuple[list[str], Tensor]]:
        """Go through the images that are not done yet.

        Args:
            size: How many at once, at most.
            done: Names to pass over.

        Yields:
            Names, and images (B, 3, h, w), RGB in [-1, 1].
        """
        todo = [name for name in self.names if name not in done]
        for first in range(0, len(todo), size):
            images = {name: self._read(name) for name in todo[first : first + size]}
            usable = {name: image for name, image in images.items() if image is not None}
            if usable:
                yield list(usable), torch.stack(list(usable.values()))

    def none_usable(self) -> ValueError:
        """Return what to raise where nothing could be measured, with the first few reasons."""
        reasons = [f"{name}: {why}" for name, why in list(self.left_out.items())[:3]]
        found = "; ".join([f"none of {len(self.names)}", *reasons])
        return ValueError(f"expected at least one usable image, got {found}")

    def fingerprint(self, names: Sequence[str]) -> str:
        """Return what changes with the names and files of images, to keep figures under."""
        told = [[name, self._digests.get(name)] for name in names]
        return hashlib.sha256(json.dumps(told).encode("utf-8")).hexdigest()[:12]

    def _read(self, name: str) -> Tensor | None:
        if self._portraits is not None:
            return from_uint8(self._portraits.images([int(name)]))[0]
        try:
            return to_target(self._files[name], self.size)
        except ImageError as error:
            self.left_out[name] = f"expected {error.expected}, got {error.found}"
            return None


def unseen_portraits(data: str, size: tuple[int, int]):
    """Return the drawn portraits that nothing was trained on.

    Raises:
        ValueError: They shall not be square.
    """
    if size[0] != size[1]:
        raise ValueError(f"portraits are square, got height and width {size}")
    return Portraits("test", size=size[0], style=STYLES[data])
