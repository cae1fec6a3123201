"""`restyle app`: builds the page and serves it."""

from __future__ import annotations

import inspect
import os
import socket
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from restyle.app.settings import Page
from restyle.hub import registry
from restyle.inversion.bootstrapping import check_related
from restyle.io.imports import needed
from restyle.model import ReStyle

if TYPE_CHECKING:
    import gradio as gr

CSS = """
footer, .take-home:has(.empty) { display: none !important; }
"""
GRADIO = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "GRADIO_ANALYTICS_MAX_EVENTS": "1",
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(10**9),
}
"""What Gradio reads of the environment: it would ask its makers for news, and keep and summarise
10,000 events, with each of them.
"""
REFUSE_LARGE = """
<script>
// Gradio stops a large upload without a word.
for (const kind of ["change", "drop", "paste"]) {
  document.addEventListener(kind, (event) => {
    const data = event.dataTransfer || event.clipboardData || event.target;
    const large = [...(data.files || [])].find((file) => file.size > MOST_BYTES);
    if (!large) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    if (event.target.value) event.target.value = "";
    const found = Math.round(large.size / 1e6);
    alert(`Expected a picture of at most ${MOST_BYTES / 1e6} MB, got one of ${found} MB.`);
  }, true);
}
</script>
"""


def serve(page: Page) -> None:
    """Serve the page until it is interrupted.

    Raises:
        ImportError: Gradio is not installed (`pip install 'restyle[app]'`).
        ValueError: There is no such model, or the port is in use.
    """
    launch(page, wait=True)


def launch(page: Page, wait: bool = False) -> gr.Blocks:
    """Start the page; return it, to be closed, unless it is waited for.

    Raises:
        ImportError: Gradio is not installed (`pip install 'restyle[app]'`).
        ValueError: There is no such model, no direction of it, or the port is in use.
    """
    check_port(page.host, page.port)
    files = tempfile.TemporaryDirectory(prefix="restyle-")  # gone with the server
    os.environ |= GRADIO | {"GRADIO_TEMP_DIR": files.name}
    with needed("app", "the page needs Gradio"), without_stubs():
        from gradio import themes
    from restyle.app.brush import STROKES
    from restyle.app.person import MOST_BYTES

    model = registry.load(page.model, page.device, page.dtype)
    if page.directions:
        model.editor.add(page.directions)
    toon = None if page.toon is None else registry.load(page.toon, page.device, page.dtype)
    blocks = build(model, toon)
    blocks.queue(max_size=page.max_clients, default_concurrency_limit=1, api_open=False)
    options: dict[str, Any] = {
        "server_name": page.host,
        "server_port": page.port,
        "share": page.share,
        "max_file_size": MOST_BYTES,
        "head": REFUSE_LARGE.replace("MOST_BYTES", str(MOST_BYTES)) + STROKES,
        "footer_links": [],
        "enable_monitoring": False,
        "ssr_mode": False,
        "theme": themes.Base(),
        "css": CSS,
        "quiet": True,
        "prevent_thread_lock": True,
    }
    blocks.launch(**options)
    weakref.finalize(blocks, files.cleanup)
    print(f"The page is at http://{page.host}:{page.port} (Ctrl+C ends it)", flush=True)
    if wait:
        blocks.block_thread()
    return blocks


def build(model: ReStyle, toon: ReStyle | None = None) -> gr.Blocks:
    """Build the page of a model: a tab for each thing that it can do.

    Args:
        model: The model.
        toon: What goes on from its codes to toons.

    Raises:
        ValueError: `toon` has other codes.
    """
    import gradio as gr

    from restyle.app import drag, edit, invert, mix, samples
    from restyle.app import toon as toons
    from restyle.app.person import KEPT, Shelf, picture_of

    if toon is not None:
        check_related(model, toon)
    shelf = Shelf()
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    with gr.Blocks(title="restyle", delete_cache=(KEPT // 6, KEPT)) as blocks:
        person = gr.State(None, time_to_live=KEPT)
        gr.Markdown(f"# restyle\nThe model is **{model.name}**: {model.domain.name}.")
        with gr.Tab("Invert") as inverting:
            invert.tab(model, shelf, person)
        keep = None
        if model.editor.names:
            with gr.Tab("Edit") as opened:
                picture, keep = edit.tab(model, shelf, person)
            opened.select(lambda who: picture_of(model, who), person, picture, **private)
        with gr.Tab("Drag") as dragging:
            begun = drag.tab(model, shelf, person)
        with gr.Tab("Mix") as mixing:
            mixture = mix.tab(model, shelf, person)
        with gr.Tab("Samples") as sampling:
            samples.tab(model, shelf, person)
        then = [keep(tab) if keep else tab.select for tab in (dragging, mixing)]
        then[0](lambda who: (picture_of(model, who), "", None), person, begun, **private)
        then[1](lambda who: picture_of(model, who), person, mixture, **private)
        others = [inverting, sampling]
        if toon is not None and model.has_encoder:
            with gr.Tab("Toon") as tooning:
                toons.tab((model, toon), shelf, person)
            others.append(tooning)
        if keep:
            for tab in others:
                keep(tab)
    return blocks


@contextmanager
def without_stubs() -> Iterator[None]:
    """Import Gradio in half the time.

    It writes type stubs for its components whenever it is imported, except for classes whose file
    is not found.
    """
    find = inspect.getfile

    def found(thing: Any) -> str:
        if isinstance(thing, type) and thing.__module__.startswith("gradio."):
            raise OSError(f"{thing}: no stubs")
        return find(thing)

    inspect.getfile = found
    try:
        yield
    finally:
        inspect.getfile = find


def check_port(host: str, port: int) -> None:
    """Refuse an address that cannot be listened on.

    Raises:
        ValueError: The port is in use, or the host is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((host, port))
    except (OSError, OverflowError) as error:
        raise ValueError(
            f"port: expected an address that is free, got {host}:{port} ({error})"
        ) from error
