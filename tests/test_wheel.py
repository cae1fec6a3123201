"""The package as users get it: built, installed elsewhere, and used without a network."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from restyle.io.bundled import WEIGHTS

ROOT = Path(__file__).parent.parent
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, ROOT]
    subprocess.run([*PIP, *build], check=True)
    return next(folder.glob("restyle-*.whl"))


def test_the_wheel_holds_every_bundled_file(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    kept = {f"restyle/weights/{p.relative_to(WEIGHTS)}" for p in WEIGHTS.rglob("*") if p.is_file()}
    assert "restyle/weights/portraits/weights.safetensors" in kept
    assert kept <= held and "restyle/py.typed" in held
    assert not [name for name in held if name.startswith("tests")]


def test_an_installed_wheel_inverts(wheel, tmp_path):
    place = tmp_path / "site"
    subprocess.run([*PIP, "install", "--no-deps", "--no-index", "-t", place, wheel], check=True)
    image = ROOT / "examples" / "portraits" / "00000000.png"
    code = "import sys, restyle.__main__ as m; print(m.__file__); sys.exit(m.main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "invert", image, "--steps", "2", "--out", tmp_path / "out"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(place), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert str(place) in done.stdout  # and not what the tests themselves import
    assert list((tmp_path / "out").rglob("*.safetensors"))
