"""The built page, served from this machine to Debian's Chromium."""

import os
import shutil
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.browsers import chromium, visitors

TRY = Path(__file__).parents[2] / "build/try"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def served(folder):
    """Serve a folder as `python -m http.server` does, until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="session")
def built():
    if not (TRY / "index.html").is_file():
        pytest.fail(f"expected the page in {TRY}, which `make docs` builds")
    return TRY


@pytest.fixture
def changed(built, tmp_path):
    """Copy the page, with other bytes in some of its files."""

    def call(**files):
        shutil.copytree(built, tmp_path / "try", copy_function=os.link)
        for name, change in files.items():
            path = tmp_path / "try" / name
            text = path.read_bytes()
            path.unlink()  # and not the page's own
            path.write_bytes(change(text))
        return tmp_path / "try"

    return call


@pytest.fixture(scope="session")
def address(built):
    with served(built) as url:
        yield url


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture
def visit(browser, address):
    """Open the page for a new visitor, and wait until it is ready."""
    with visitors(browser, width=1100, timeout=60_000) as opened:

        def call(url=address, **options):
            page = opened(url, **options)
            page.locator("#loading").wait_for(state="hidden")
            return page

        yield call
