"""`restyle align`: photographs in, crops of their faces out.

The crops lie in the folder `aligned` below the output folder. `manifest.jsonl` says where each face
was found, so that an edited crop can be put back, and with which models.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from restyle.faces import LICENCES, AlignedFace, NoFaceError, align_faces
from restyle.io.images import ImageError, read_image, save_image
from restyle.jobs.manifest import Item, Ledger, Summary, find_inputs, pending

FOLDER = "aligned"
FOUND_WITH = LICENCES
"""What results with faces in them depend on, and its licences, for manifests and metadata."""


def align_files(
    inputs: Sequence[Path], out: Path, size: int, which: int | None, overwrite: bool = False
) -> Summary:
    """Cut faces out of image files; one without a face costs only itself.

    Args:
        inputs: Files, and folders that are searched recursively.
        out: The folder of the results. It may lie in a folder that is searched, or be one.
        size: Height and width of the crops in pixels.
        which: 1 for the largest face, 2 for the second largest; None for all of them.
        overwrite: Do again what is done.

    Returns:
        The counts.

    Raises:
        ImageError: A folder holds no images.
        ImportError: The extra `restyle[faces]` is not installed.
        OSError: A result cannot be written.
    """
    files = find_inputs(inputs, out, [FOLDER])
    settings = {"size": size, "face": which or "all", "faces_found_with": FOUND_WITH}
    ledger, summary = Ledger(out, settings), Summary()
    with tqdm(total=len(files), unit="image", disable=None) as progress:
        todo = pending(
            files, ledger, overwrite, summary, progress, lambda path: align_file(path, size, which)
        )
        for item, faces in todo:
            facts = {"sha256": item.sha256, "outputs": save_crops(faces, item, out)}
            ledger.add(item.file, item.name, "done", **facts, faces=describe(faces))
            summary.done += 1
            progress.update()
    return summary


def align_file(path: Path, size: int = 256, which: int | None = 1) -> list[AlignedFace]:
    """Cut faces out of an image file, as `align_faces` does.

    Raises:
        ImageError: It cannot be read, or has no such face.
    """
    try:
        return align_faces(read_image(path), size, which)
    except NoFaceError as error:
        raise ImageError(path, error.expected, error.found) from error


def show_licences() -> None:
    """Say which models find faces, and under which licences they may be used."""
    for name, licence in LICENCES.items():
        print(f"using {name}: {licence}", file=sys.stderr)


def save_crops(faces: Sequence[AlignedFace], item: Item, out: Path) -> dict[str, str]:
    """Write the crops of one input.

    Returns:
        Their paths, relative to the output folder.
    """
    outputs = {}
    for number, face in enumerate(faces, start=1):
        ending = f".face{number}" if number > 1 else ""
        outputs[f"{FOLDER}{ending}"] = f"{FOLDER}/{item.name}{ending}.png"
        save_image(face.crop, out / outputs[f"{FOLDER}{ending}"])
    return outputs


def describe(faces: Sequence[AlignedFace]) -> list[dict[str, Any]]:
    """Where faces were found, as the manifest keeps it; coordinates are x, y in pixels."""
    return [
        {
            "box": list(aligned.face.box),
            "quad": aligned.quad.round(3).tolist(),
            "score": round(aligned.face.score, 3),
        }
        for aligned in faces
    ]
