"""Time and peak memory of a device's work, and the machine that they depend on."""

import os
import platform
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch


class Stopwatch:
    """Adds up the time between `start` and `stop`, with the device's work done at both.

    On a CPU that computes with one thread it is the processor's time, which other programs on the
    machine change little; else the time that passes.

    Attributes:
        seconds: So far.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self.seconds = 0.0
        self._since = 0.0
        alone = device.type == "cpu" and torch.get_num_threads() == 1
        self._now = time.process_time if alone else time.perf_counter

    def start(self) -> None:
        """Go on."""
        synchronise(self.device)
        self._since = self._now()

    def stop(self) -> float:
        """Halt, and return the seconds so far."""
        synchronise(self.device)
        self.seconds += self._now() - self._since
        return self.seconds


def synchronise(device: torch.device) -> None:
    """Wait for what the device was given to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def reset_peak_memory(device: torch.device) -> None:
    """Let `peak_memory` speak of what is in use from now on, where the system can do that."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with suppress(OSError):  # Linux alone has it
            Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: torch.device) -> int:
    """Return the most bytes in use since `reset_peak_memory`, of the GPU or the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if most := _fact("/proc/self/status", "VmHWM"):
        return 1024 * int(most.split()[0])
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Return processor, threads, device and versions."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    return {
        "device": name,
        "processor": _fact("/proc/cpuinfo", "model name") or platform.processor() or "unknown",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": f"{platform.system()} {platform.machine()}",
    }


def _fact(path: str, name: str) -> str:
    """Return what a file of `name: value` lines says first, nothing where it does not."""
    with suppress(OSError):  # Linux alone has them
        for line in Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(name):
                return line.partition(":")[2].strip()
    return ""
