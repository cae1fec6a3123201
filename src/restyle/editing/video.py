"""Moving pictures: MP4 and GIF files of iterations, edits and interpolations."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from restyle.io.files import atomic_write
from restyle.io.images import to_pil
from restyle.io.imports import needed

SUFFIXES = (".mp4", ".gif")
FPS = 25
SMALLEST = 256
"""Smaller pictures are enlarged, by a whole factor, to at least this height."""


def save_video(frames: Iterable[Tensor], path: str | Path, fps: int = FPS) -> None:
    """Write a film, atomically: H.264 in an MP4 file, or a GIF that repeats for ever.

    Args:
        frames: Images (3, H, W) of one size, RGB in [-1, 1]. They may be made while it is written.
        path: A name that ends in `.mp4` or `.gif`.
        fps: Frames a second.

    Raises:
        ValueError: Another ending, no frames, or frames of different sizes.
        ImportError: imageio is missing for an MP4 file (`pip install 'restyle[video]'`).
        OSError: The file cannot be written.
    """
    path = Path(path)
    check_video(path)
    pictures = (_enlarged(frame) for frame in frames)
    first = next(pictures, None)
    if first is None:
        raise ValueError(f"{path}: expected at least one frame, got none")
    write = _write_film if path.suffix == ".mp4" else _write_gif
    with atomic_write(path) as temporary:
        write(temporary, first, _alike(path, first, pictures), fps)


def _alike(path: Path, first: np.ndarray, pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for picture in pictures:
        if picture.shape != first.shape:
            raise ValueError(
                f"{path}: expected frames of {first.shape[:2]}, got {picture.shape[:2]}"
            )
        yield picture


def _write_gif(path: Path, first: np.ndarray, others: Iterable[np.ndarray], fps: int) -> None:
    # Not by imageio, which writes a file that failed again, and fails again, when it goes.
    more, loop = map(Image.fromarray, others), {"duration": 1000 / fps, "loop": 0}
    Image.fromarray(first).save(path, "GIF", save_all=True, append_images=more, **loop)


def _write_film(path: Path, first: np.ndarray, others: Iterable[np.ndarray], fps: int) -> None:
    import imageio.v2 as imageio

    writer: Any
    options: Any = {"fps": fps, "macro_block_size": 2, "ffmpeg_log_level": "quiet"}
    with imageio.get_writer(path, **options) as writer:
        for picture in chain([first], others):
            writer.append_data(picture)
    if not _is_film(path):  # nobody tells that ffmpeg failed
        raise OSError(f"{path}: expected to write a film, got a file that cannot be read")


def _is_film(path: Path) -> bool:
    import imageio_ffmpeg

    try:
        return bool(imageio_ffmpeg.count_frames_and_secs(path)[0])
    except RuntimeError:
        return False


def check_video(path: str | Path) -> None:
    """Check that a film can be written, before its frames are made.

    Raises:
        ValueError: The name does not end in `.mp4` or `.gif`.
        ImportError: imageio is missing for an MP4 file (`pip install 'restyle[video]'`).
    """
    if Path(path).suffix not in SUFFIXES:
        raise ValueError(f"{path}: expected a name ending in {' or '.join(SUFFIXES)}")
    if Path(path).suffix == ".mp4":
        with needed("video", "MP4 files need imageio"):
            import imageio.v2  # noqa: F401 - is it there?
            import imageio_ffmpeg  # noqa: F401


def there_and_back(first: float, last: float, frames: int = 2 * FPS) -> list[float]:
    """Return strengths of a film that can repeat: from first to last and back, slower at the ends.

    There are so many `frames` in each direction.
    """
    share = 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, frames))
    path = first + (last - first) * share
    return [*path.tolist(), *path[-2:0:-1].tolist()]


def between(stops: Sequence[Tensor], frames: int = FPS) -> Tensor:
    """Return codes of a film that goes from stop to stop in straight lines, slower near each.

    Stops are two or more codes (num_ws, D), `frames` apart; the result is (N, num_ws, D).

    Raises:
        ValueError: Fewer than two stops, or stops of different shapes.
    """
    shapes = {tuple(stop.shape) for stop in stops}
    if len(stops) < 2 or len(shapes) != 1:
        raise ValueError(f"expected two or more codes of one shape, got {len(stops)}: {shapes}")
    share = 0.5 - 0.5 * torch.cos(torch.linspace(0, torch.pi, frames + 1)[:-1])
    share = share.to(stops[0]).reshape(-1, 1, 1)
    lines = [torch.lerp(a, b, share) for a, b in zip(stops, stops[1:], strict=False)]
    return torch.cat([*lines, stops[-1][None]])


def _enlarged(frame: Tensor) -> np.ndarray:
    """Return pixels with even sides, as H.264 needs them, and large enough to look at."""
    picture = to_pil(frame)
    factor = -(-SMALLEST // picture.height) if picture.height < SMALLEST else 1
    width, height = (side * factor // 2 * 2 for side in picture.size)
    if factor > 1:
        picture = picture.resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(picture)[:height, :width]
