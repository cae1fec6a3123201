"""The Space: what it requires is what the page does, and it serves from a folder of its own."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.ports import free_port, wait_for

ROOT = Path(__file__).parents[1]
SPACE = ROOT / "spaces"


def test_requirements_are_those_of_the_package_and_the_page():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["app"]
    assert (SPACE / "requirements.txt").read_text().split() == wanted


def test_front_matter_names_what_is_there():
    _, head, _ = (SPACE / "README.md").read_text().split("---\n", 2)
    facts = dict(line.split(": ", 1) for line in head.splitlines())
    assert facts["sdk"] == "gradio" and (SPACE / facts["app_file"]).is_file()
    assert len(facts["short_description"]) <= 60  # what the Hub takes


@pytest.mark.slow
def test_it_serves_from_a_folder_of_its_own(tmp_path):
    pytest.importorskip("gradio")
    httpx = pytest.importorskip("httpx")
    space = shutil.copytree(SPACE, tmp_path / "space")
    shutil.copytree(ROOT / "src" / "restyle", space / "restyle")
    port = free_port()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "app.py", "--port", str(port)]
    server = subprocess.Popen(command, cwd=space, env=environment)
    try:
        wait_for(port)
        assert "restyle" in httpx.get(f"http://127.0.0.1:{port}", timeout=30).text
    finally:
        server.terminate()
        server.wait(20)
