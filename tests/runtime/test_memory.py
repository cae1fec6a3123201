"""A training keeps the memory of a step for the next one."""

import ctypes
import subprocess
import sys

import pytest

RESIDENT = """
import sys
import torch
from restyle.runtime.memory import keep_memory
if sys.argv[1] == "keep":
    keep_memory()
for _ in range(2):
    torch.ones(50_000_000)
print(int(open("/proc/self/statm").read().split()[1]) * 4096)
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc"
)
def test_memory_that_is_given_back_is_kept():
    kept, given = (
        int(subprocess.check_output([sys.executable, "-c", RESIDENT, mode]))
        for mode in ("keep", "")
    )
    assert kept > given + 150_000_000
