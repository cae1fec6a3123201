"""Fetching public models: into the cache, over unreliable lines, and checked before they are used.

Downloads go through gdown and huggingface_hub, the extra `restyle[hub]`. The cache is the folder
that the variable RESTYLE_CACHE names, else `~/.cache/restyle` (or below XDG_CACHE_HOME).
"""

import hashlib
from pathlib import Path

from restyle.hub.catalogue import PUBLIC, PublicModel, find
from restyle.io.files import cache_folder
from restyle.io.imports import needed

RETRIES = 3
TIMEOUT = 60  # seconds without a byte


class DownloadError(OSError):
    """A file that could not be fetched, or is not what was published."""


def pulled(name: str) -> Path | None:
    """Return what a model was pulled as: a native checkpoint or a network's file, else None."""
    model = next((model for model in PUBLIC if model.name == name), None)
    if model is None:
        return None
    if model.kind == "network":
        path = _download_path(model)
        return path if path.is_file() else None
    folder = _folder(model)
    return folder if (folder / "config.json").is_file() else None


def pull(name: str, quiet: bool = False) -> Path:
    """Download a public model, check it and import it; what is there already is left alone.

    Without a progress bar if `quiet`.

    Returns:
        The folder of the native checkpoint, or the file of a network that is used as it is.

    Raises:
        ValueError: There is no such model.
        DownloadError: It could not be downloaded, or is not what was published.
        CheckpointError: It could be downloaded, but not read; the download is kept.
        ImportError: The extra is not installed.
    """
    model = find(name)
    if there := pulled(name):
        return there
    path = fetch(model, quiet)
    if model.kind == "network":
        return path
    from restyle.importers import convert  # needs torch

    folder = _folder(model)
    card = {"source": model.file, "published_at": list(model.sources), "licence": model.licence}
    convert(path, folder, model.name, card)
    path.unlink()
    return folder


def fetch(model: PublicModel, quiet: bool = False) -> Path:
    """Download a file into the cache, or find it there; an interrupted download is resumed.

    Its size and checksum are those published, as far as any are.

    Raises:
        DownloadError: No source could deliver it.
        ImportError: The extra is not installed.
    """
    path = _download_path(model)
    if path.exists():
        _check(path, model)
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for source in model.sources:
        try:
            (_from_hub if source.startswith("hub:") else _from_web)(source, path, quiet)
            _check(path, model)
            return path
        except DownloadError as error:
            failures.append(f"{source}: {error}")
    raise DownloadError(f"{model.name} could not be downloaded; " + "; ".join(failures))


def by_hand(model: PublicModel) -> tuple[list[str], Path]:
    """Return the addresses of a file for a browser, and what to save it as for `fetch`."""
    return [_address(source) for source in model.sources], _download_path(model)


def _address(source: str) -> str:
    kind, _, rest = source.partition(":")
    if kind == "drive":
        return f"https://drive.google.com/uc?id={rest}"
    if kind == "hub":
        repository, file = rest.split(":")
        return f"https://huggingface.co/{repository}/resolve/main/{file}"
    return source


def _folder(model: PublicModel) -> Path:
    return cache_folder() / "models" / model.name


def _download_path(model: PublicModel) -> Path:
    return cache_folder() / "downloads" / model.name / model.file


def _from_web(source: str, path: Path, quiet: bool) -> None:
    """Download from Google Drive or any web server; what arrived is kept for the next call."""
    with needed("hub", "downloading models needs gdown"):
        import gdown
        from gdown.exceptions import DownloadError as Incomplete
        from gdown.exceptions import FileURLRetrievalError
    drive = source.removeprefix("drive:")
    address = {"id": drive} if drive != source else {"url": source}
    options = {"resume": True, "quiet": quiet, "retries": RETRIES, "timeout": TIMEOUT}
    before = _size(_partial(path))
    try:
        try:
            gdown.download(**address, output=str(path), use_cookies=False, **options)
        except Incomplete:
            if not before or _size(_partial(path)) > before:
                raise
            # The server cannot resume, or has another file by now: from the start.
            for part in _partial(path):
                part.unlink()
            gdown.download(**address, output=str(path), use_cookies=False, **options)
    except FileURLRetrievalError as error:
        raise DownloadError(
            "Google Drive does not hand it out, perhaps as its daily quota is used up; try again "
            f"tomorrow, or save https://drive.google.com/uc?id={drive} as {path}"
        ) from error
    except (Incomplete, OSError) as error:  # the web client's errors are OSErrors
        raise DownloadError(" ".join(str(error).split())[:300]) from error


def _from_hub(source: str, path: Path, quiet: bool) -> None:
    """Download from the Hugging Face hub, whose client keeps what arrived."""
    with needed("hub", "downloading models needs huggingface_hub"):
        import huggingface_hub
        from huggingface_hub.utils import disable_progress_bars, enable_progress_bars
    _, repository, file = source.split(":")
    (disable_progress_bars if quiet else enable_progress_bars)()
    try:
        found = huggingface_hub.hf_hub_download(repository, file, etag_timeout=TIMEOUT)
    except Exception as error:  # the client raises errors of several libraries
        raise DownloadError(" ".join(str(error).split())[:300]) from error
    path.unlink(missing_ok=True)
    path.symlink_to(Path(found).resolve())


def _check(path: Path, model: PublicModel) -> None:
    """Compare a download with what was published; what differs is removed."""
    if found := _fault(path, model):
        path.unlink()
        raise DownloadError(f"{model.file}: {found}")


def _fault(path: Path, model: PublicModel) -> str | None:
    with path.open("rb") as file:
        start = file.read(512).lstrip()
    if start[:1] == b"<":
        return (
            "expected weights, got a web page, as a server sends when its quota is used up or "
            "the file is gone"
        )
    size = path.stat().st_size
    if size != (model.size or size) or not size:
        return f"expected {model.size or 'some'} bytes, got {size}"
    if model.digest:
        method, expected = model.digest.split(":")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, method).hexdigest()
        if not digest.startswith(expected):
            return f"expected the {method} {expected}, got {digest}"
    return None


def _partial(path: Path) -> list[Path]:
    """List what gdown has of an unfinished download."""
    return list(path.parent.glob(f"{path.name}*.part"))


def _size(parts: list[Path]) -> int:
    return sum(part.stat().st_size for part in parts)
