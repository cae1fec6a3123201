"""A hook of mkdocs: put the page that inverts in the browser, which `make docs` builds, at try/."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

BUILT = Path(__file__).parents[1] / "build/try"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the built page's files.

    Args:
        files: Those of the documentation.
        config: mkdocs's own.

    Raises:
        PluginError: The page has not been built.
    """
    if not (BUILT / "index.html").is_file():
        raise PluginError(f"{BUILT}: expected the page, which `make docs` builds first")
    for path in sorted(BUILT.rglob("*")):
        if path.is_file():
            name = f"try/{path.relative_to(BUILT).as_posix()}"
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files
