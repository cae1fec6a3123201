"""Photograph the pages with Debian's Chromium: `python docs/make_screenshots.py [app] [try]`."""

import shutil
import socket
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Page as Browsed

from restyle.app.server import launch
from restyle.app.settings import Page

DOCS = Path(__file__).parent
PORTRAIT = DOCS.parent / "examples" / "portraits" / "00000005.png"


def invert(page: Browsed) -> None:
    """Find a portrait."""
    page.locator("input[type=file]").first.set_input_files(str(PORTRAIT))
    page.get_by_label("Remove Image").first.wait_for()
    page.get_by_role("button", name="Find it").click()
    page.get_by_text("5 steps,").wait_for()


def edit(page: Browsed) -> None:
    """Turn the head a little."""
    page.get_by_role("tab", name="Edit").click()
    page.locator("img:visible").first.wait_for()
    page.get_by_label("range slider for yaw").focus()
    for _ in range(12):
        page.keyboard.press("ArrowRight")


def drag(page: Browsed) -> None:
    """Pull the nose to the right."""
    page.get_by_role("tab", name="Drag").click()
    page.locator("#drag-picture img").wait_for()
    page.get_by_role("textbox", name="Points").fill("64,66 > 78,66")
    page.get_by_role("button", name="Drag", exact=True).click()
    page.get_by_text("Done after").wait_for()


def mix(page: Browsed) -> None:
    """Give a sample's features to the portrait."""
    page.get_by_role("tab", name="Mix").click()
    page.get_by_role("button", name="Take a sample as the other").click()
    page.get_by_label("features (middle)").check()


def samples(page: Browsed) -> None:
    """Draw samples, and invert the second one."""
    page.get_by_role("tab", name="Samples").click()
    page.get_by_role("button", name="Draw 9").click()
    page.get_by_label("Thumbnail 2 of 9").click()
    page.get_by_text("Sample 1 at truncation").wait_for()
    page.get_by_role("button", name="Invert this one").click()
    page.get_by_text("from the true ones").wait_for()


def photograph_app(browser: Browser) -> None:
    """Write docs/page_invert.png and those of the other tabs."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    blocks = launch(Page(port=port, device="cpu"))
    page = browser.new_page(viewport={"width": 1000, "height": 760})
    page.set_default_timeout(300_000)
    page.goto(f"http://127.0.0.1:{port}")
    for act in (invert, edit, drag, mix, samples):
        act(page)
        page.mouse.move(0, 0)
        page.wait_for_timeout(1500)
        page.screenshot(path=DOCS / f"page_{act.__name__}.png")
    blocks.close()


def photograph_try(browser: Browser) -> None:
    """Write docs/page_try.png, of the page that `make docs` builds."""
    handler = partial(SimpleHTTPRequestHandler, directory=DOCS.parent / "build/try")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page(viewport={"width": 1000, "height": 960})
        page.set_default_timeout(120_000)
        page.goto(f"http://127.0.0.1:{server.server_port}")
        page.get_by_role("button", name="Portrait 6", exact=True).click()
        page.get_by_text("Found in").wait_for()
        for name, presses in (("smile", 12), ("yaw", 5)):
            page.get_by_label(name, exact=True).focus()
            for _ in range(presses):
                page.keyboard.press("ArrowRight")
        page.wait_for_timeout(3000)
        page.screenshot(path=DOCS / "page_try.png")
        server.shutdown()


def main(*names: str) -> None:
    """Photograph the named pages; all of them if none is named."""
    known = {"app": photograph_app, "try": photograph_try}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name in names or known:
            known[name](browser)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
