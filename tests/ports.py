"""Addresses for servers that tests start."""

import socket
import time


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(port: int) -> None:
    """Wait until somebody listens on a port, for five minutes at most."""
    for _ in range(1200):
        time.sleep(0.25)
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
