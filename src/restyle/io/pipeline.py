"""Reading ahead and writing behind, in threads, so that a network waits for neither.

Decoders, dlib's search for faces and encoders of pictures all let other threads run meanwhile.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")

READERS = 4
"""Threads that read ahead."""


def ahead(
    read: Callable[[Item], Made], items: Iterable[Item], count: int, readers: int = READERS
) -> Iterator[tuple[Item, Future[Made]]]:
    """Read what comes next before it is asked for.

    Args:
        read: Reads an item, in any thread.
        items: What is read, taken one at a time in the caller's thread.
        count: How many items reading is ahead, at most.
        readers: Threads that read.

    Yields:
        Each item, in order, and the future of what is read, whose result may be an error.
    """
    coming: deque[tuple[Item, Future[Made]]] = deque()
    with ThreadPoolExecutor(readers) as pool:
        try:
            for item in items:
                coming.append((item, pool.submit(read, item)))
                if len(coming) > count:
                    yield coming.popleft()
            while coming:
                yield coming.popleft()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class Behind:
    """Does what it is given in a thread, in order, while its caller goes on.

    After an error, which a later call or the block's end raises, nothing more is done.
    """

    def __init__(self, count: int = 2) -> None:
        """Let so many calls wait at most: a caller that is ahead of them waits."""
        self._pool, self._count, self._failed = ThreadPoolExecutor(1), count, False
        self._waiting: deque[Future[None]] = deque()

    def __call__(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function later."""
        self.wait(self._count - 1)
        self._waiting.append(self._pool.submit(self._do, function, arguments))

    def _do(self, function: Callable[..., object], arguments: Sequence[Any]) -> None:
        if not self._failed:
            try:
                function(*arguments)
            except BaseException:
                self._failed = True
                raise

    def wait(self, count: int = 0) -> None:
        """Wait until at most `count` calls are not done."""
        while len(self._waiting) > count:
            self._waiting.popleft().result()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Wait for what is not done; an error of the block is the one that is told."""
        self._pool.shutdown()
        if kind is None:
            self.wait()
