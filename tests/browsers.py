"""Debian's Chromium, and what its log and its network say of a page."""

import shutil
from contextlib import contextmanager

import pytest

CHROMIUM = shutil.which("chromium")


@contextmanager
def chromium():
    """Start the browser; a test that has none is skipped."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("needs Debian's chromium")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@contextmanager
def visitors(browser, harmless=(), width=1200, timeout=30_000):
    """Open an address for a new visitor each time.

    In the end no page may have complained, but with words that begin as harmless ones do, nor asked
    any other host for anything than those that were opened.
    """
    contexts, complaints, hosts, opened = [], [], set(), set()

    def call(address, **options):
        opened.add(address.split("/")[2])
        context = browser.new_context(**{"viewport": {"width": width, "height": 900}, **options})
        context.set_default_timeout(timeout)
        context.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on("request", lambda request: hosts.add(request.url.split("/")[2]))
        contexts.append(context)
        page = context.new_page()
        page.goto(address)
        return page

    yield call
    for context in contexts:
        context.close()
    assert not [text for text in complaints if not text.startswith(tuple(harmless))]
    assert {host for host in hosts if host} <= opened
