"""The options of the page, and what is said where it cannot be opened."""

import socket
import sys

import pytest

from restyle.app.server import check_port
from restyle.app.settings import Page


def test_the_page_is_reached_from_this_machine_alone_unless_asked():
    page = Page()
    assert (page.host, page.share) == ("127.0.0.1", False)


@pytest.mark.parametrize("change", [{"port": 0}, {"port": 70_000}, {"max_clients": 0}])
def test_numbers_that_cannot_be_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        Page(**change)


def test_a_port_in_use_is_one_sentence(run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("app", "--port", port)
    assert result.code == 2
    [line] = result.err.splitlines()
    assert f"127.0.0.1:{port}" in line and "free" in line
    check_port("127.0.0.1", port)


def test_a_host_of_another_machine_is_refused():
    with pytest.raises(ValueError, match=r"got 192\.0\.2\.1:7860"):
        check_port("192.0.2.1", 7860)


def test_a_missing_gradio_is_one_sentence(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    result = run("app", "--port", 17_860)
    assert result.code == 1 and "restyle[app]" in result.err and len(result.err.splitlines()) == 1
