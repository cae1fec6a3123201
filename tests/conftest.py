"""Fixtures that every test may use."""

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)  # networks here are tiny: more threads cost more than they bring

# A law is tried on few examples, the same each time, however busy the machine is.
settings.register_profile("quick", max_examples=50, deadline=None, derandomize=True, database=None)
settings.load_profile("quick")


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    """Give each test the same random numbers, whatever ran before it."""
    torch.manual_seed(0)
