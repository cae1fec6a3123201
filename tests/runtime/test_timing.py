import mmap
import time

import torch

from restyle.runtime.timing import (
    Stopwatch,
    describe_machine,
    peak_memory,
    reset_peak_memory,
)

CPU = torch.device("cpu")


def test_only_what_lies_between_start_and_stop_counts(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    watch = Stopwatch(CPU)
    watch.start()
    time.sleep(0.02)
    first = watch.stop()
    time.sleep(0.05)
    watch.start()
    assert first >= 0.02 and watch.stop() - first < 0.05 and watch.seconds >= first


def test_one_threads_time_is_the_processors(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    watch = Stopwatch(CPU)
    watch.start()
    time.sleep(0.05)
    assert watch.stop() < 0.04
    watch.start()
    busy = time.process_time() + 0.02
    while time.process_time() < busy:
        pass
    assert watch.stop() >= 0.02


def test_the_peak_holds_what_was_in_use_for_a_moment():
    reset_peak_memory(CPU)
    before = peak_memory(CPU)
    with mmap.mmap(-1, 200_000_000) as block:  # never what the process has kept
        block.write(bytes(len(block)))
    assert peak_memory(CPU) - before > 100e6


def test_the_machine_is_described():
    told = describe_machine(CPU)
    assert told["device"] == "cpu" and told["processor"] and told["cores"] >= 1
    assert told["torch"] == torch.__version__ and told["threads"] == torch.get_num_threads()
