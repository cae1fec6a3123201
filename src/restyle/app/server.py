"""`restyle app`: builds the page and serves it."""

from __future__ import annotations

import os
import socket
import tempfile
import weakref
from typing import TYPE_CHECKING, Any

from restyle.app.settings import Page
from restyle.hub import registry
from restyle.model import ReStyle

if TYPE_CHECKING:
    import gradio as gr

CSS = """
footer { display: none !important; }
img { image-rendering: pixelated; }
"""
_MEBIBYTES = 20


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
        ValueError: There is no such model, or the port is in use.
    """
    check_port(page.host, page.port)
    # Gradio reads them when it is imported: it would ask its makers for news.
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
    files = tempfile.TemporaryDirectory(prefix="restyle-")  # gone with the server
    os.environ["GRADIO_TEMP_DIR"] = files.name
    try:
        from gradio import themes
    except ImportError as error:
        raise ImportError("the page needs Gradio: pip install 'restyle[app]'") from error
    model = registry.load(page.model, page.device, page.dtype)
    blocks = build(model)
    blocks.queue(max_size=page.max_clients, default_concurrency_limit=1, api_open=False)
    options: dict[str, Any] = {
        "server_name": page.host,
        "server_port": page.port,
        "share": page.share,
        "max_file_size": f"{_MEBIBYTES}mb",
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


def build(model: ReStyle) -> gr.Blocks:
    """Build the page of a model: a tab for each thing that it can do."""
    import gradio as gr

    from restyle.app import drag, edit, invert
    from restyle.app.person import KEPT, Shelf, picture_of

    shelf = Shelf()
    private: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    with gr.Blocks(title="restyle", delete_cache=(KEPT // 6, KEPT)) as blocks:
        person = gr.State(None, time_to_live=KEPT)
        gr.Markdown(f"# restyle\nThe model is **{model.name}**: {model.domain.name}.")
        with gr.Tab("Invert"):
            invert.tab(model, shelf, person)
        if model.editor.names:
            with gr.Tab("Edit") as opened:
                picture, sliders = edit.tab(model, shelf, person)
            zeros = [0.0] * len(sliders)
            opened.select(
                lambda who: [picture_of(model, who), *zeros], person, [picture, *sliders], **private
            )
        with gr.Tab("Drag") as opened:
            picture, points = drag.tab(model, shelf, person)
        opened.select(
            lambda who: (picture_of(model, who), ""), person, [picture, points], **private
        )
    return blocks


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
