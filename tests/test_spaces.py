"""The Space: what it requires is what the page does, and it serves from a folder of its own."""

import os
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

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
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "app.py", "--port", str(port)]
    server = subprocess.Popen(command, cwd=space, env=environment)
    try:
        for _ in range(240):
            time.sleep(0.25)
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
        assert "restyle" in httpx.get(f"http://127.0.0.1:{port}", timeout=30).text
    finally:
        server.terminate()
        server.wait(20)
