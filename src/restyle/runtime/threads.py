"""The waiting of OpenMP's threads."""

import os


def let_threads_sleep() -> None:
    """Let threads that wait sleep rather than spin, in this process and those that it starts.

    Spinning threads slow each other down many times where something else is running. OpenMP reads
    the variable when torch is loaded: call this before. A value that is set already stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
