"""Training bundled models again (`tools/recreate.py`)."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from restyle.cli import main
from restyle.hub.registry import bundled

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    spec = importlib.util.spec_from_file_location("recreate", TOOLS / "recreate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", bundled())
def test_every_bundled_encoder_can_be_trained_again(tool, tmp_path, name, capsys):
    commands = tool.trainings(name, tmp_path)
    assert len(commands) > 1
    for number, arguments in enumerate(commands, start=1):
        assert arguments[-2:] == ["--out", str(tmp_path / f"{name}-{number}")]
        begins = "--initial" in arguments and arguments[arguments.index("--initial") + 1]
        if number == 1:
            assert not begins
        else:
            assert Path(begins).parent == tmp_path / f"{name}-{number - 1}"
    # The first one is described, so its options and its generator are known.
    with pytest.raises(SystemExit) as ended:
        main([*commands[0], "--dry-run"])
    assert ended.value.code == 0
    assert "generator   portraits: 64 px" in capsys.readouterr().out


def test_an_unknown_name_is_refused(tool, tmp_path, capsys):
    assert tool.recreate("nonsense", out=tmp_path) == 2
    assert "portraits-e4e" in capsys.readouterr().err


def test_the_trainings_are_carried_out_until_one_fails(tool, tmp_path, monkeypatch):
    done = []

    def start(arguments):
        done.append(arguments)
        return SimpleNamespace(wait=lambda: len(done) - 1)

    monkeypatch.setattr(subprocess, "Popen", start)
    assert tool.recreate("portraits", out=tmp_path, dry_run=True) == 0 and not done
    assert tool.recreate("portraits", out=tmp_path) == 1 and len(done) == 2
    assert done[0][:5] == [sys.executable, "-m", "restyle", "train", "encoder"]
