"""A hook of mkdocs: refuse pages for which a browser would load anything from another host."""

import re
from pathlib import Path

from mkdocs.exceptions import PluginError

LOADED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=["']?(?:https?:)?//[^"'\s>]+
    |<link\b(?=[^>]*\brel=["']?(?:stylesheet|preload|preconnect|icon|modulepreload|manifest))
        [^>]*\bhref=["']?(?:https?:)?//[^"'\s>]+
    |(?:url\(|@import\s)\s*["']?(?:https?:)?//[^"')\s]+""",
    re.VERBOSE,
)


def on_post_build(config: dict[str, str], **_: object) -> None:
    """Search the site for what loads from elsewhere.

    Args:
        config: mkdocs's own.

    Raises:
        PluginError: A page or style sheet does.
    """
    for path in sorted(Path(config["site_dir"]).rglob("*")):
        if path.suffix in {".html", ".css"}:
            found = LOADED.search(path.read_text(encoding="utf-8"))
            if found:
                raise PluginError(f"{path}: expected nothing from other hosts, got {found[0]!r}")
