import subprocess
import sys

import restyle


def test_the_package_is_the_command():
    run = [sys.executable, "-m", "restyle", "--version"]
    assert subprocess.run(run, capture_output=True, text=True).stdout.strip() == restyle.__version__
