"""Reading ahead and writing behind: order, limits and errors."""

import threading

import pytest

from restyle.io.pipeline import Behind, ahead


def test_items_are_read_ahead_in_order_and_no_farther_than_asked():
    taken, read = [], threading.Semaphore(0)

    def items():
        for number in range(9):
            taken.append(number)
            yield number

    def double(number):
        read.release()
        return 2 * number

    coming = ahead(double, items(), count=3, readers=2)
    item, future = next(coming)
    for _ in range(4):  # what follows is read though nobody asks for it
        assert read.acquire(timeout=10)
    assert (item, future.result(), taken) == (0, 0, [0, 1, 2, 3])
    assert [(item, future.result()) for item, future in coming] == [(n, 2 * n) for n in range(1, 9)]


def test_an_item_that_cannot_be_read_costs_only_itself():
    found = dict(ahead(lambda n: 6 // n, [1, 0, 3], count=2))
    assert (found[1].result(), found[3].result()) == (6, 2)
    with pytest.raises(ZeroDivisionError):
        found[0].result()


def test_what_is_no_longer_wanted_is_not_read():
    free, read = threading.Event(), []

    def slow(number):
        read.append(number)
        free.wait(10)

    coming = ahead(slow, range(9), count=8, readers=1)
    threading.Timer(0.1, free.set).start()
    next(coming)
    coming.close()
    assert len(read) < 9


def test_calls_are_done_behind_in_order_and_not_too_far():
    free, begun, done = threading.Event(), threading.Event(), []

    def slow(number):
        begun.set()
        free.wait(10)
        done.append(number)

    with Behind(2) as behind:
        behind(slow, 0)
        behind(slow, 1)
        assert begun.wait(10) and done == []  # the caller went on
        threading.Timer(0.1, free.set).start()
        behind(slow, 2)
        assert done[0] == 0  # the caller waited for the first
    assert done == [0, 1, 2]


def test_after_an_error_of_a_call_nothing_more_is_done():
    done, begin = [], threading.Event()

    def fail():
        begin.wait(10)
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"), Behind(9) as behind:
        behind(fail)
        behind(done.append, 1)
        begin.set()
    assert done == []


def test_what_was_given_before_an_interruption_is_done():
    done = []
    with pytest.raises(KeyboardInterrupt), Behind() as behind:
        behind(done.append, 1)
        raise KeyboardInterrupt
    assert done == [1]
