"""Pictures in and out: reading files safely, tensors, grids and labelled step strips.

Inside the package an image is a tensor (3, H, W), RGB, float32 in [-1, 1]; outside it is a file or
a Pillow image. Reading trusts no file: the format is told by content and limited to JPEG, PNG,
WebP, BMP, TIFF and AVIF, the size is checked before any pixel is decoded, and whatever is wrong
becomes one `ImageError`. Embedded colour profiles are not applied.
"""

import math
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError
from torch import Tensor

from restyle.io.files import atomic_write

MAX_PIXELS = 50_000_000
"""Largest picture that is read by default: decoding takes 400 MB, or 1 GB for WebP."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif")
"""File names that count as images when a folder is listed."""

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF")
_KNOWN = "a JPEG, PNG or WebP image (or BMP, TIFF, AVIF)"
_SAVED_AS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
_READABLE_SIDE = 128  # smaller pictures are enlarged in grids and strips
_GAP = 4
_STRIP = 1_000_000  # pixels that are converted at once


class ImageError(ValueError):
    """A file that cannot be used as an image: which one, what was expected, what was found."""

    def __init__(self, path: str | Path, expected: str, found: str) -> None:
        super().__init__(path, expected, found)
        self.path, self.expected, self.found = Path(path), expected, found

    def __str__(self) -> str:
        """Return one line: file, expected, found."""
        return f"{self.args[0]}: expected {self.expected}, got {self.found}"


class ImageFile(NamedTuple):
    """An image file and the name that tells it apart from the others of one listing."""

    path: Path
    name: Path
    """Path relative to the folder that it was found in; where two are alike, from farther up."""


def list_images(
    paths: str | Path | Iterable[str | Path],
    recursive: bool = True,
    suffixes: Sequence[str] = SUFFIXES,
    passed_over: Counter[str] | None = None,
) -> list[ImageFile]:
    """List image files, in natural order (`2.png` before `10.png`), each one once.

    Folders give the files in them, and in their subfolders if `recursive`, that have one of
    `suffixes` (lower case), hidden ones excepted; `passed_over` is told how many others there are,
    by kind. A file that is named itself is always listed, so that reading it can say what is wrong
    with it. Names are relative to each folder; equal ones are told apart from farther up.

    Raises:
        ImageError: A folder holds no images.
    """
    given = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    others: Counter[str] = Counter() if passed_over is None else passed_over
    found: dict[str, tuple[Path, str]] = {}  # by whole path: the file, the folder it is named from
    for path in given:
        folder = path if path.is_dir() else path.parent
        files = _images_in(path, recursive, suffixes, others) if path.is_dir() else [path]
        for file in files:
            found.setdefault(os.path.abspath(file), (file, os.path.abspath(folder)))
    return sorted(_named(found), key=lambda file: _natural_key(file.name))


def _named(found: Mapping[str, tuple[Path, str]]) -> list[ImageFile]:
    """Name files from their folders; as far up as it takes to tell those apart that are alike."""
    names = {whole: Path(os.path.relpath(whole, folder)) for whole, (_, folder) in found.items()}
    while clashes := [name for name, count in Counter(names.values()).items() if count > 1]:
        for whole, name in names.items():
            if name in clashes:
                drive, *parts = Path(whole).parts
                parts = [drive.strip(":\\/"), *parts]
                names[whole] = Path(*parts[-len(name.parts) - 1 :])
    return [ImageFile(found[whole][0], name) for whole, name in names.items()]


def read_image(path: str | Path, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read a picture of unknown origin as 8-bit RGB.

    EXIF rotation is applied, transparency is composited on white, grey, palette, CMYK and 16-bit
    pictures are converted (16 bits by keeping the upper 8). Of the several pictures in a phone's
    JPEG the main one is read.

    Args:
        path: A JPEG, PNG, WebP, BMP, TIFF or AVIF file.
        max_pixels: Largest width times height that is decoded. Pillow's own limit of twice
            `PIL.Image.MAX_IMAGE_PIXELS` holds as well.

    Returns:
        The picture, mode RGB, fully loaded.

    Raises:
        ImageError: The file is missing, unreadable, empty, no image, damaged, animated or too
            large.
    """
    path = Path(path)
    try:
        _require_file(path)
        with path.open("rb") as stream:
            return decode_image(stream, path, max_pixels)
    except PermissionError as error:
        raise ImageError(path, "a readable file", "permission denied") from error


def decode_image(stream: BinaryIO, path: str | Path, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode a picture from an open file or from memory, called `path`, as `read_image` does.

    Raises:
        ImageError: It is empty, no image, damaged, animated or too large.
    """
    try:
        with warnings.catch_warnings():
            # Of sizes, which are checked below, and of damage beside the pixels.
            warnings.simplefilter("ignore")
            with Image.open(stream, formats=_FORMATS) as image:
                _require_single(path, image, max_pixels)
                picture = _to_rgb(image)
            ImageOps.exif_transpose(picture, in_place=True)
            return picture
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        stream.seek(0)
        start = stream.read(12)
        found = f"a file that begins with {start!r}" if start else "an empty file"
        raise ImageError(path, _KNOWN, found) from error
    except Image.DecompressionBombError as error:
        pixels = re.search(r"\d+", str(error))
        found = f"{int(pixels[0]):,} pixels" if pixels else "far more"
        raise ImageError(path, f"at most {max_pixels:,} pixels", found) from error
    except Exception as error:  # decoders raise many types for damaged files
        raise ImageError(path, "an intact image", f"a damaged one ({error})") from error


def to_tensor(image: Image.Image, size: tuple[int, int] | None = None) -> Tensor:
    """Turn a picture into a tensor (3, H, W), RGB, float32 in [-1, 1], as the official code does.

    The resize to `size` (height, width) is Pillow's bilinear filter, antialiased, on 8-bit values;
    it does not keep the aspect ratio.

    Raises:
        ValueError: The picture is not RGB.
    """
    if image.mode != "RGB":
        raise ValueError(f"expected a picture in mode RGB, got mode {image.mode}")
    if size is not None:
        height, width = size
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    values = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
    return (values.float() / 255 - 0.5) / 0.5


def to_uint8(image: Tensor) -> np.ndarray:
    """Turn tensors (..., 3, H, W), RGB, into pixels (..., H, W, 3), uint8, rounding to the nearest.

    Values outside [-1, 1] are clipped. The official code truncates instead of rounding, which
    darkens by half a level on average.

    Raises:
        ValueError: The shape is another, or a value is not finite.
    """
    if image.ndim < 3 or image.shape[-3] != 3:
        raise ValueError(f"expected an image of shape (..., 3, H, W), got {tuple(image.shape)}")
    image = image.detach().float()
    if not torch.isfinite(image).all():
        raise ValueError("expected finite pixel values, got NaN or infinity")
    levels = ((image.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return levels.movedim(-3, -1).cpu().numpy()


def from_uint8(pixels: np.ndarray | Tensor) -> Tensor:
    """Turn 8-bit pixels (..., H, W, C) into (..., C, H, W), float32 in [-1, 1]."""
    return torch.as_tensor(pixels).movedim(-1, -3).float() / 127.5 - 1


def to_pil(image: Tensor) -> Image.Image:
    """Turn one tensor (3, H, W), RGB in [-1, 1], into a picture of mode RGB.

    Raises:
        ValueError: The shape is another, or a value is not finite.
    """
    if image.ndim != 3:
        raise ValueError(f"expected one image of shape (3, H, W), got {tuple(image.shape)}")
    return Image.fromarray(np.ascontiguousarray(to_uint8(image)))


def save_image(image: Tensor | Image.Image, path: str | Path) -> None:
    """Save a picture, or a tensor (3, H, W), RGB in [-1, 1], atomically, as the file name says.

    WebP is saved without loss, JPEG at quality 95.

    Raises:
        ValueError: The suffix is none of `SUFFIXES`, or the tensor is no image.
        OSError: The file cannot be written.
    """
    path = Path(path)
    name = _SAVED_AS.get(path.suffix.lower())
    if name is None:
        raise ValueError(f"{path}: expected a name ending in {', '.join(_SAVED_AS)}")
    picture = to_pil(image) if isinstance(image, Tensor) else image
    options = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(name, {})
    with atomic_write(path) as temporary:
        picture.save(temporary, format=name, **options)


def grid(images: Sequence[Tensor | Image.Image] | Tensor, columns: int) -> Image.Image:
    """Lay pictures or tensors (3, H, W) in [-1, 1] of one size out in rows, on white.

    Pictures below 128 pixels are enlarged by a whole factor, without smoothing; the last row may be
    shorter than `columns`.

    Raises:
        ValueError: There are no images, their sizes differ, or `columns` is below 1.
    """
    if columns < 1:
        raise ValueError(f"expected at least one column, got {columns}")
    cells = _cells(images)
    columns = min(columns, len(cells))
    width, height = cells[0].width + _GAP, cells[0].height + _GAP
    rows = math.ceil(len(cells) / columns)
    sheet = Image.new("RGB", (columns * width + _GAP, rows * height + _GAP), "white")
    for index, cell in enumerate(cells):
        row, column = divmod(index, columns)
        sheet.paste(cell, (_GAP + column * width, _GAP + row * height))
    return sheet


def strip(images: Sequence[Tensor | Image.Image] | Tensor, labels: Sequence[str]) -> Image.Image:
    """Lay pictures or tensors (3, H, W) in [-1, 1] of one size out in a row, each under its label.

    Columns grow with labels that are wider than the pictures; strips with equal labels and picture
    sizes are equal in size, so that `grid(strips, columns=1)` stacks them.

    Raises:
        ValueError: There are no images, their sizes differ, or labels are missing.
    """
    cells = _cells(images)
    if len(labels) != len(cells):
        raise ValueError(f"expected {len(cells)} labels, one for each image, got {len(labels)}")
    font = ImageFont.load_default(size=max(13, cells[0].height // 14))
    text_width = max(math.ceil(font.getlength(label)) for label in labels)
    top = math.ceil(sum(abs(v) for v in font.getbbox("Ag")[1::2])) + _GAP
    width = max(cells[0].width, text_width + _GAP) + _GAP
    sheet = Image.new("RGB", (len(cells) * width + _GAP, top + cells[0].height + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (cell, label) in enumerate(zip(cells, labels, strict=True)):
        centre = _GAP / 2 + index * width + width / 2
        draw.text((centre, top / 2), label, fill="black", font=font, anchor="mm")
        sheet.paste(cell, (round(centre - cell.width / 2), top))
    return sheet


def _images_in(
    folder: Path, recursive: bool, suffixes: Sequence[str], passed_over: Counter[str]
) -> list[Path]:
    files = []
    for file in folder.rglob("*") if recursive else folder.glob("*"):
        # Path's own tests fail where a link leads to what nobody may see.
        if file.name.startswith(".") or os.path.isdir(file):
            continue
        if not os.path.exists(file):
            passed_over["broken link"] += 1
        elif file.suffix.lower() in suffixes and os.path.isfile(file):
            files.append(file)
        else:
            passed_over[file.suffix.lower() or "file without an ending"] += 1
    if not files:
        raise ImageError(folder, f"images ({', '.join(suffixes)})", "a folder without any")
    return files


def _natural_key(name: Path) -> tuple[list[list[str | int]], str]:
    parts = [
        # Splitting by a group alternates text and digits, so that like compares with like.
        [int(piece) if at % 2 else piece for at, piece in enumerate(re.split(r"(\d+)", part))]
        for part in name.as_posix().casefold().split("/")
    ]
    return parts, name.as_posix()


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise ImageError(path, "an image file", "a folder")
    if not path.exists():
        raise ImageError(path, "an image file", "nothing of that name")
    if not path.is_file():  # opening a pipe would wait for ever
        raise ImageError(path, "an image file", "something that is no file")


def _require_single(path: str | Path, image: Image.Image, max_pixels: int) -> None:
    """Check what the header says, before any pixel is decoded."""
    if image.width * image.height > max_pixels:
        raise ImageError(path, f"at most {max_pixels:,} pixels", f"{image.width} x {image.height}")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # MPO: a phone's JPEG with a preview or depth map
        raise ImageError(path, "a still image", f"an animation of {frames} frames")


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert a picture strip by strip, so that only the result is as large as it."""
    image.load()
    picture = Image.new("RGB", image.size)
    picture.info = image.info.copy()
    rows = max(_STRIP // max(image.width, 1), 1)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        picture.paste(_strip_to_rgb(image.crop(box)), box)
    return picture


def _strip_to_rgb(strip: Image.Image) -> Image.Image:
    if strip.mode.startswith("I"):  # 16-bit grey, which Pillow clips instead of scaling
        strip = Image.fromarray((np.asarray(strip) >> 8).clip(0, 255).astype(np.uint8))
    if strip.has_transparency_data:
        white = Image.new("RGBA", strip.size, "white")
        strip = Image.alpha_composite(white, strip.convert("RGBA"))
    return strip.convert("RGB")


def _cells(images: Sequence[Tensor | Image.Image] | Tensor) -> list[Image.Image]:
    """Return pictures of one size, enlarged where they are too small to look at."""
    pictures = [to_pil(image) if isinstance(image, Tensor) else image for image in images]
    sizes = sorted({picture.size for picture in pictures})
    if len(sizes) != 1:
        raise ValueError(f"expected images of one size, got {sizes or 'no images'}")
    width, height = sizes[0]
    factor = math.ceil(_READABLE_SIDE / max(width, height))
    if factor == 1:
        return pictures
    size = (width * factor, height * factor)
    return [picture.resize(size, Image.Resampling.NEAREST) for picture in pictures]
