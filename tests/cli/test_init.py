"""The `restyle` command as a whole: its help, and errors in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from restyle.cli import main

ROOT = Path(__file__).parents[2]


def test_tracebacks_are_shown_when_asked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("RESTYLE_TRACEBACK", "1")
    with pytest.raises(ValueError, match="unknown model"):
        main(["models", "info", "nope"])


def test_help_is_quick_and_imports_nothing_heavy():
    code = (
        "import sys, time\n"
        "from restyle.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'torch', 'numpy', 'PIL', 'skia', 'scipy', 'accelerate'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "print(time.process_time())\n"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert "invert" in process.stdout
    seconds = float(process.stdout.split()[-1])  # of the processor: others may be at work
    assert seconds < 2  # 0.3 on an idle machine


def test_the_committed_help_is_current():
    process = subprocess.run(
        [sys.executable, ROOT / "docs/make_cli.py"], capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    current = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    assert process.stdout == current, "run: python docs/make_cli.py > docs/cli.md"
