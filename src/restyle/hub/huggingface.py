"""Models on the Hugging Face Hub: fetched as native checkpoints, and published with their cards.

All traffic goes through huggingface_hub (the extra `restyle[hub]`), which keeps a cache and knows
the user's token. Only configuration, weights (safetensors) and texts are fetched, never code.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

from restyle.hub.downloads import DownloadError
from restyle.io.checkpoints import CONFIG, WEIGHTS, load_config
from restyle.io.imports import needed

PREFIX = "hf://"
BESIDE = ("LICENSE", "curvature.safetensors")
FILES = (CONFIG, WEIGHTS, "README.md", "card.md", *BESIDE)
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def repository_of(name: str | os.PathLike[str]) -> str | None:
    """Return the Hub repository that a model's name means, such as `user/model`, or None.

    `hf://user/model` always means the Hub; `user/model` only where there is no such file or folder.
    """
    text = str(name)
    bare = text.removeprefix(PREFIX)
    if not _NAME.fullmatch(bare) or (bare == text and Path(text).exists()):
        return None
    return bare


def fetch(repository: str) -> Path:
    """Fetch the checkpoint of `user/model` into the Hub's cache, and return its folder there.

    Raises:
        DownloadError: There is no such repository, it cannot be reached, or it holds no checkpoint.
        ImportError: The extra is not installed.
    """
    with needed("hub", "the Hugging Face Hub needs huggingface_hub"):
        import huggingface_hub as hub
    print(f"asking the Hugging Face Hub for {repository} ...", file=sys.stderr)
    try:
        folder = Path(hub.snapshot_download(repository, allow_patterns=list(FILES)))
    except (OSError, ValueError) as error:
        raise DownloadError(
            f"{repository}: expected a model on the Hugging Face Hub, got: {_first_line(error)}"
        ) from error
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise DownloadError(
            f"{repository}: expected {CONFIG} and {WEIGHTS} on the Hub, got no {missing[0]}"
        )
    return folder


def push(folder: str | os.PathLike[str], repository: str, private: bool = False) -> str:
    """Publish a native checkpoint, with a card that the Hub can read; return the commit's address.

    Args:
        folder: What `save_pretrained` wrote; weights that it shares with a folder beside it have to
            be its own.
        repository: `user/model`, made where missing.
        private: Whether a new repository is for its owner alone.

    Raises:
        ValueError: The name is not `user/model`, or the checkpoint is not whole.
        CheckpointError: The folder holds no checkpoint.
        DownloadError: The Hub refused it, or cannot be reached.
        ImportError: The extra is not installed.
    """
    folder = Path(folder)
    config = load_config(folder)
    if not _NAME.fullmatch(repository):
        raise ValueError(f"repository: expected a name such as user/model, got {repository!r}")
    if config.get("shared"):
        owner = next(iter(config["shared"].values()))["folder"]
        raise ValueError(
            f"{folder}: expected a checkpoint with all its weights, got one that shares some with "
            f"{owner}; save it anew first (restyle.load, save_pretrained)"
        )
    with needed("hub", "the Hugging Face Hub needs huggingface_hub"):
        import huggingface_hub as hub
    files: dict[str, Any] = {name: folder / name for name in (CONFIG, WEIGHTS)}
    files["README.md"] = model_card(folder, config).encode()
    files |= {name: folder / name for name in BESIDE if (folder / name).is_file()}
    adds = [hub.CommitOperationAdd(name, content) for name, content in files.items()]
    api = hub.HfApi()
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        commit = api.create_commit(repository, adds, commit_message=f"{folder.name} by restyle")
    except (OSError, ValueError) as error:
        raise DownloadError(
            f"{repository}: expected to publish {folder}, got: {_first_line(error)}"
        ) from error
    return str(commit.commit_url)


def model_card(folder: Path, config: dict[str, Any]) -> str:
    """Return a checkpoint's card as the Hub wants it: licence and tags above the text.

    The text is the folder's `card.md` or `README.md`.
    """
    texts = [folder / name for name in ("card.md", "README.md") if (folder / name).is_file()]
    text = texts[0].read_text(encoding="utf-8") if texts else f"# {folder.name}\n"
    if text.startswith("---\n"):
        return text
    licence = str((config.get("card") or {}).get("licence", "")).strip()
    named = licence.lower() if re.fullmatch(r"[\w.-]+", licence) else "other"
    head = ["---", f"license: {named}", "library_name: restyle"]
    head += ["tags:", "- stylegan", "- gan-inversion", f"- {config['kind']}", "---", "", ""]
    return "\n".join(head) + text


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
