"""Fixtures that every test may use."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import settings

from restyle.cli import main
from tests.tiny import tiny_model

torch.set_num_threads(1)  # networks here are tiny: more threads cost more than they bring

# A law is tried on few examples, the same each time, however busy the machine is.
settings.register_profile("quick", max_examples=50, deadline=None, derandomize=True, database=None)
settings.load_profile("quick")


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    """Give each test the same random numbers, whatever ran before it."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _memory_given_back(monkeypatch) -> None:
    """Let trainings in this process give their memory back, as the tests after them need it."""
    monkeypatch.setattr("restyle.training.parallel.keep_memory", lambda: None)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory) -> Path:
    """Return the folder of a saved tiny model, which no test may change."""
    folder = tmp_path_factory.mktemp("model")
    tiny_model(images=99).save_pretrained(folder)
    return folder


@pytest.fixture
def run(capsys):
    """Run a command line in this process: its exit code, and what it wrote."""

    def call(*arguments) -> SimpleNamespace:
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return SimpleNamespace(code=caught.value.code, out=out, err=err)

    return call
