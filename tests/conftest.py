"""Fixtures that every test may use."""

import pytest
import torch

torch.set_num_threads(1)  # networks here are tiny: more threads cost more than they bring


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    """Give each test the same random numbers, whatever ran before it."""
    torch.manual_seed(0)
