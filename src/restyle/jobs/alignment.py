"""`restyle align`: photographs in, crops of their faces out.

The crops lie in the folder `aligned` below the output folder. `manifest.jsonl` says where each face
was found, so that an edited crop can be put back, and with which models.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from restyle.faces import LICENCES, AlignedFace, NoFaceError, align_faces, paste_back
from restyle.io.images import ImageError, read_image, save_image
from restyle.jobs.manifest import Item, Manifest, Summary, find_inputs, pending
from restyle.jobs.settings import Align

FOLDER = "aligned"
PASTED = "pasted"
FOUND_WITH = LICENCES
"""The models that results with faces depend on, and their licences, for manifests."""


def align(job: Align) -> Summary:
    """Cut faces out of image files; one without a face costs only itself.

    Raises:
        ImageError: A folder holds no images.
        ImportError: The extra `restyle[faces]` is not installed.
        OSError: A result cannot be written.
    """
    which = {"largest": 1, "all": None}.get(job.face, 1) if isinstance(job.face, str) else job.face
    files, summary = find_inputs(job.inputs, job.out, [FOLDER])
    settings = {"size": job.size, "face": which or "all", "faces_found_with": FOUND_WITH}
    manifest = Manifest(job.out, settings)

    def read(path: Path) -> list[AlignedFace]:
        return align_file(path, job.size, which)

    with manifest.held(), tqdm(total=len(files), unit="image", disable=None) as progress:
        for item, faces in pending(files, manifest, job.overwrite, summary, progress, read):
            outputs = save_crops(faces, item, job.out)
            manifest.add_done(item, outputs, faces=places(faces))
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


def paste(pictures: Mapping[str, str], face: AlignedFace, item: Item, out: Path) -> dict[str, str]:
    """Put pictures of a face back into the photograph, with a border that fades.

    Args:
        pictures: Their paths, relative to the output folder, by what they are.
        face: Where the face was cut out.
        item: The photograph.
        out: The output folder.

    Returns:
        The paths of the photographs, relative to the output folder.
    """
    photo, outputs = read_image(item.file), {}
    for what, path in pictures.items():
        crop = read_image(out / path)
        side = max(crop.size)  # a picture that is no square is of a square that was stretched
        whole = paste_back(photo, crop.resize((side, side)), face.quad)
        outputs[f"pasted {what}"] = pasted = Path(PASTED, *Path(path).parts[1:]).as_posix()
        save_image(whole, out / pasted)
    return outputs


def face_settings(job: Any) -> dict[str, Any]:
    """Return what manifests say about how a job finds faces, and what becomes of them."""
    pasted = {"pasted": True} if job.paste_back else {}
    return {"faces_found_with": FOUND_WITH if job.align else None, **pasted}


def places(faces: Sequence[AlignedFace]) -> list[dict[str, Any]]:
    """Return where faces were found, as the manifest keeps it; coordinates are x, y in pixels."""
    return [
        {
            "box": list(aligned.face.box),
            "quad": aligned.quad.round(3).tolist(),
            "score": round(aligned.face.score, 3),
        }
        for aligned in faces
    ]
